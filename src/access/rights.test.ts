import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { isOperation, ROLES, type Binding } from '../kinds/binding.ts'
import type { Permission, Places, ResourcePermission } from './permission.ts'
import { compileAccess } from './project-access.ts'
import { fenced, rightsOf, tokenRights, type Rights } from './rights.ts'

/** Few words, so that rules and questions meet. `gh` is in `demo`, `jira` in both projects. */
const PROJECTS = ['demo', 'other']
const SERVERS = ['gh', 'jira', 'gh2']
const USED: Readonly<Record<string, readonly string[]>> = { demo: ['gh', 'jira'], other: ['jira', 'gh2'] }
const PLACES: Places = {
  inProject: (kind, name, project) => kind === 'servers' && USED[project]?.includes(name) === true,
}
const TOOLS = SERVERS.flatMap((server) => [`${server}__get`, `${server}__put`])

const maybe = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined })
const globs = fc.constantFrom(
  '*',
  '**',
  'gh',
  'gh*',
  'g?',
  '?',
  'demo',
  'd*',
  'jira',
  'gh__*',
  'gh__get',
  '*get',
  'x',
  '?*',
)
const resourceRule: fc.Arbitrary<Binding> = fc.record(
  {
    role: fc.constantFrom(...ROLES),
    resource: fc.constantFrom('*', 'servers', 'projects', 'tools', 'tokens', 'audit'),
    name: globs,
    project: fc.constantFrom(...PROJECTS),
  },
  { requiredKeys: ['role', 'resource'] },
)
const operationRule = fc
  .constantFrom('*', 'logs', 'impersonate')
  .map((action) => ({ role: 'run' as const, action }))
const rule = fc.oneof({ weight: 5, arbitrary: resourceRule }, { weight: 1, arbitrary: operationRule })
const rules = fc.array(rule, { maxLength: 4 })

/** One question of every shape that a surface asks. */
const question: fc.Arbitrary<Permission> = fc.oneof(
  fc.record({
    verb: fc.constantFrom(...ROLES),
    kind: fc.constant('servers'),
    name: maybe(fc.constantFrom(...SERVERS, 'x')),
  }),
  fc.record({
    verb: fc.constantFrom(...ROLES),
    kind: fc.constant('projects'),
    name: maybe(fc.constantFrom(...PROJECTS)),
  }),
  fc.record({
    verb: fc.constantFrom(...ROLES),
    kind: fc.constant('tokens'),
    name: maybe(fc.constantFrom('gh', 'x')),
    project: maybe(fc.constantFrom(...PROJECTS)),
  }),
  fc.record({ verb: fc.constantFrom(...ROLES), kind: fc.constant('audit') }),
  fc
    .record({ name: fc.constantFrom(...TOOLS), project: fc.constantFrom(...PROJECTS) })
    .map(({ name, project }) => ({
      verb: 'run' as const,
      kind: 'tools',
      name,
      project,
      server: serverOf(name),
    })),
  fc.record({ operation: fc.constantFrom('logs' as const, 'impersonate' as const, 'backup' as const) }),
)

const serverOf = (tool: string): string => tool.split('__')[0] ?? ''
const rightsWith = (all: readonly Binding[]): Rights =>
  rightsOf(all.map((one) => ({ rule: one, from: 'RoleBinding/x', via: 'User:x' })))
const allows = (rights: Rights, asked: Permission): boolean => rights.decide(asked, PLACES).allowed

/** What docs say that a rule gives, as plainly as it can be written. */
function gives(one: Binding, asked: Permission): boolean {
  if (isOperation(one) || 'operation' in asked)
    return isOperation(one) && 'operation' in asked && ['*', asked.operation].includes(one.action)
  const { verb, kind, name, project, server } = asked
  if (kind === 'tools') {
    const ways: ResourcePermission[] = [
      { verb, kind: 'projects', name: project },
      { verb, kind: 'servers', name: server, project },
    ]
    if (ways.some((way) => gives(one, way))) return true
  }
  if (one.role !== verb && !(verb === 'view' && one.role === 'edit')) return false
  if (one.resource !== '*' && one.resource !== kind) return false
  const glob = new RegExp(`^${(one.name ?? '*').replaceAll('*', '.*').replaceAll('?', '.')}$`)
  if (!glob.test(name ?? '') && !/^\**$/.test(one.name ?? '')) return false
  if (name === undefined && !/^\**$/.test(one.name ?? '')) return false
  return one.project === undefined || within(asked, one.project)
}

function within({ verb, kind, name, project }: ResourcePermission, wanted: string): boolean {
  if (kind === 'projects') return name === wanted
  if (project !== undefined) return project === wanted
  const uses = kind === 'servers' && (USED[wanted] ?? []).includes(name ?? '')
  return uses && (verb === 'view' || verb === 'run')
}

function holds<T>(property: fc.IProperty<T>): void {
  fc.assert(property, { numRuns: 5000 })
}

test('a question is answered as one of the rules says, and not otherwise', () => {
  holds(
    fc.property(rules, question, (all, asked) => {
      expect(allows(rightsWith(all), asked)).toBe(all.some((one) => gives(one, asked)))
    }),
  )
})

test('nobody can hand on more than they hold: what covers a rule allows all that the rule allows', () => {
  holds(
    fc.property(rules, rule, fc.array(question, { minLength: 20, maxLength: 20 }), (all, given, asked) => {
      const own = rightsWith(all)
      if (!own.covers(given)) return
      for (const one of asked) if (allows(rightsWith([given]), one)) expect(allows(own, one)).toBe(true)
    }),
  )
})

test('what somebody holds, they can hand on', () => {
  holds(
    fc.property(rules, (all) => {
      for (const one of all) expect(rightsWith(all).covers(one)).toBe(true)
    }),
  )
})

test('a token never does what its owner cannot, nor anything outside of its project', () => {
  holds(
    fc.property(rules, rules, question, (own, owner, asked) => {
      const token = tokenRights('demo', rightsWith(own.map((one) => fenced(one, 'demo'))), rightsWith(owner))
      if (!allows(token, asked)) return
      expect(allows(rightsWith(owner), asked)).toBe(true)
      expect('operation' in asked ? false : within(asked, 'demo')).toBe(true)
    }),
  )
})

test('a rule on a token gives it no more than the rule gives', () => {
  holds(
    fc.property(rule, question, (one, asked) => {
      const token = rightsWith([fenced(one, 'demo')])
      if (!allows(token, asked)) return
      expect(allows(rightsWith([one]), asked)).toBe(true)
    }),
  )
})

test('what a token covers, it holds; and nothing beyond its project', () => {
  holds(
    fc.property(rules, rule, question, (own, given, asked) => {
      const token = tokenRights('demo', rightsWith(own.map((one) => fenced(one, 'demo'))), rightsWith(own))
      if (!token.covers(given) || 'operation' in asked || !within(asked, 'demo')) return
      if (allows(rightsWith([given]), asked)) expect(allows(token, asked)).toBe(true)
    }),
  )
})

test('lists and calls over MCP are filtered by the same verdict as a single question', () => {
  holds(
    fc.property(rules, rules, fc.boolean(), fc.constantFrom(...PROJECTS), (own, owner, isToken, project) => {
      const rights = isToken
        ? tokenRights('demo', rightsWith(own.map((one) => fenced(one, 'demo'))), rightsWith(owner))
        : rightsWith(owner)
      const access = compileAccess(rights.toolScopes(project))
      for (const name of TOOLS) {
        const server = serverOf(name)
        const asked: Permission = { verb: 'run', kind: 'tools', name, project, server }
        const may = access?.tool(name, server) === true
        expect([name, may]).toEqual([name, allows(rights, asked)])
        if (may) expect(access?.reaches(server)).toBe(true)
      }
      for (const server of SERVERS)
        if (access?.server(server) === true) expect(access.reaches(server)).toBe(true)
    }),
  )
})

test('a name of * is no name: whoever holds that much holds what has no name as well', () => {
  const audit: Permission = { verb: 'view', kind: 'audit' }
  const named = rightsWith([{ role: 'view', resource: '*', name: '*' }])
  expect([named.covers({ role: 'view', resource: 'audit' }), allows(named, audit)]).toEqual([true, true])
  const some = rightsWith([{ role: 'view', resource: '*', name: '?*' }])
  expect([some.covers({ role: 'view', resource: 'audit' }), allows(some, audit)]).toEqual([false, false])
})

test('a rule about another project gives a token nothing in its own', () => {
  for (const one of [
    { role: 'edit', resource: 'projects', name: 'other' },
    { role: 'edit', resource: 'tokens', project: 'other' },
  ] as const) {
    const token = tokenRights(
      'demo',
      rightsWith([fenced(one, 'demo')]),
      rightsWith([{ role: 'edit', resource: '*' }]),
    )
    expect(allows(token, { verb: 'edit', kind: 'projects', name: 'demo' })).toBe(false)
    expect(allows(token, { verb: 'edit', kind: 'tokens', name: 'x', project: 'demo' })).toBe(false)
  }
})

test('whoever may do something to anything is let past the first question', () => {
  holds(
    fc.property(rules, rules, question, (own, owner, asked) => {
      const token = tokenRights('demo', rightsWith(own), rightsWith(owner))
      for (const rights of [rightsWith(own), token])
        if (allows(rights, asked) && !('operation' in asked) && asked.kind !== 'tools')
          expect(rights.canEver({ verb: asked.verb, kind: asked.kind })).toBe(true)
    }),
  )
})
