import { expect, test } from 'vitest'
import { EVERYTHING, type Binding } from '../kinds/binding.ts'
import type { SubjectKey } from '../kinds/subject.ts'
import type { AccessIndex, AccessView, NamedRules, TokenRules } from './access-view.ts'
import { createAuthorizer, subjectsOf } from './authorize.ts'
import type { Permission } from './permission.ts'
import type { Principal } from './principal.ts'

interface World {
  bindings: Record<string, readonly Binding[]>
  groups?: Record<string, readonly string[]>
  claims?: Record<string, readonly string[]>
  tokens?: Record<string, TokenRules>
}

/** Lists are the same object for as long as nothing in them changes, as those of the snapshot. */
function worldOf(world: World) {
  const lists = new Map<readonly Binding[], readonly NamedRules[]>()
  const bindingsOf = (subject: SubjectKey): readonly NamedRules[] => {
    const rules = world.bindings[subject] ?? NONE
    const known = lists.get(rules) ?? [{ name: `of ${subject}`, rules }]
    lists.set(rules, known)
    return known
  }
  const groups = new Map<string, readonly string[]>()
  const index = (): AccessIndex => ({
    bindingsOf,
    groupsOf: (member) => groups.get(member) ?? world.groups?.[member] ?? NONE,
    groupsByClaim: (claim) =>
      Object.entries(world.claims ?? {}).flatMap(([name, claims]) => (claims.includes(claim) ? [name] : [])),
  })
  let current = index()
  const view = (): AccessView => ({
    index: current,
    token: (uid) => world.tokens?.[uid],
    tokenNamed: (project, name) =>
      Object.values(world.tokens ?? {}).find((one) => one.project === project && one.name === name),
    owner: ({ name }) => ({ uid: `usr_${name}`, disabled: false, claims: [`at-work-of-${name}`] }),
    inProject: () => false,
  })
  return {
    world,
    view,
    authorizer: createAuthorizer({ view }),
    /** As any change of a binding makes another index. */
    changed: () => void (current = index()),
  }
}

const NONE: readonly never[] = []
const VIEW: readonly Binding[] = [{ role: 'view', resource: 'servers' }]
const ASKED: Permission = { verb: 'view', kind: 'servers', name: 'x' }
const user = (name: string): Principal => ({
  kind: 'user',
  key: `user:usr_${name}`,
  uid: `usr_${name}`,
  name,
  signIn: '',
  digest: '',
})
const token = (uid: string): Principal => ({
  kind: 'token',
  key: `token:${uid}`,
  uid,
  name: uid,
  project: 'demo',
  owner: undefined,
  digest: '',
})

test('a right comes directly, through a group in a group, and through what a provider says', () => {
  const { authorizer } = worldOf({
    bindings: { 'User:ada': VIEW, 'Group:outer': VIEW, 'Group:staff': VIEW },
    groups: { 'User:ben': ['inner'], 'Group:inner': ['outer'] },
    claims: { staff: ['at-work-of-cy'] },
  })
  const via = (name: string): unknown => {
    const decision = authorizer.decide(user(name), ASKED)
    return decision.allowed ? decision.by.via : decision.reason
  }
  expect(['ada', 'ben', 'cy', 'dee'].map(via)).toEqual(['User:ada', 'Group:outer', 'Group:staff', 'no-right'])
})

test('a circle of groups is walked once', () => {
  const { view } = worldOf({
    bindings: {},
    groups: { 'User:ada': ['a'], 'Group:a': ['b'], 'Group:b': ['a'] },
  })
  expect(subjectsOf(view(), { kind: 'User', name: 'ada' })).toEqual(['User:ada', 'Group:a', 'Group:b'])
})

test('who acts as another has their rights and not those of their own', () => {
  const { authorizer } = worldOf({ bindings: { 'User:ben': VIEW, 'User:ada': EVERYTHING } })
  const actor = { kind: 'local-admin', key: 'local-admin', name: 'local-admin' } as const
  const subject = { kind: 'User', name: 'ben' } as const
  const ben: Principal = { kind: 'subject', key: 'as:User:ben', name: 'ben', subject, actor }
  expect(authorizer.decide(ben, ASKED).allowed).toBe(true)
  expect(authorizer.decide(ben, { verb: 'edit', kind: 'servers', name: 'x' }).allowed).toBe(false)
})

// What each depends on, changed: remembering must not outlive any of it.
test.each<readonly [string, (world: World) => void]>([
  ['a binding', (world) => Object.assign(world.bindings, { 'User:ada': NONE })],
  ['the group that it comes through', (world) => Object.assign(world, { groups: {} })],
  ['a group in between', (world) => Object.assign(world.groups ?? {}, { 'Group:inner': NONE })],
  ['the binding of a group', (world) => Object.assign(world.bindings, { 'Group:outer': NONE })],
  ['a claim', (world) => Object.assign(world, { claims: {} })],
])('a right ends with %s', (what, change) => {
  const direct = what === 'a binding'
  const claimed = what === 'a claim'
  const bindings: Record<string, readonly Binding[]> = direct ? { 'User:ada': VIEW } : { 'Group:outer': VIEW }
  const given = worldOf({
    bindings,
    groups: claimed ? {} : { 'User:ada': ['inner'], 'Group:inner': ['outer'] },
    claims: claimed ? { outer: ['at-work-of-ada'] } : {},
  })
  expect(given.authorizer.decide(user('ada'), ASKED).allowed).toBe(true)
  change(given.world)
  given.changed()
  expect(given.authorizer.decide(user('ada'), ASKED).allowed).toBe(false)
})

test('a token loses what its owner loses, and what its own rules lose', () => {
  const rules = { name: 'laptop', project: 'demo', bindings: undefined }
  const owner = { kind: 'User', name: 'ada' } as const
  const use: readonly Binding[] = [{ role: 'run', resource: 'projects' }]
  const given = worldOf({ bindings: { 'User:ada': use }, tokens: { tok_1: Object.assign({ owner }, rules) } })
  const opens = (): boolean => given.authorizer.project(token('tok_1'), 'demo') !== undefined
  expect(opens()).toBe(true)
  given.world.bindings = {}
  given.changed()
  expect(opens()).toBe(false)
  given.world.bindings = { 'User:ada': use }
  given.changed()
  expect(opens()).toBe(true)
  Object.assign(given.world.tokens ?? {}, { tok_1: { name: 'laptop', project: 'demo', owner, bindings: [] } })
  given.changed()
  expect(opens()).toBe(false)
})

test('a change that concerns somebody else leaves what is known as it is', () => {
  const use: readonly Binding[] = [{ role: 'run', resource: 'projects' }]
  const given = worldOf({ bindings: { 'User:ada': use } })
  const before = given.authorizer.project(user('ada'), 'demo')
  given.world.bindings['User:ben'] = VIEW
  given.changed()
  expect(given.authorizer.project(user('ada'), 'demo')).toBe(before)
  expect(given.authorizer.rights(user('ada'))).toBe(given.authorizer.rights(user('ada')))
})
