import type { Json } from './gateway-harness.ts'

/**
 * Who may do what in the world of the access matrix, said once: it is applied to a daemon, and read by an oracle that
 * knows docs/access.md and nothing of the code.
 */

export interface Rule {
  readonly role?: string
  readonly resource?: string
  readonly name?: string
  readonly project?: string
  readonly action?: string
}

export interface Subject {
  readonly label: string
  /** All that reaches them, through however many groups. */
  readonly rules: readonly Rule[]
  /** Of a token: it is in this project, and never does what its owner cannot. */
  readonly token?: { readonly project: string; readonly owner: readonly Rule[] }
}

export interface Question {
  readonly verb: string
  readonly kind: string
  readonly name: string
  readonly project?: string | undefined
}

export const VERBS = ['view', 'create', 'edit', 'delete', 'run'] as const
const EVERYTHING: readonly Rule[] = [
  ...VERBS.map((role) => ({ role, resource: '*' })),
  { role: 'run', action: '*' },
]
/** Which servers each project has. */
export const ATTACHED: Readonly<Record<string, readonly string[]>> = {
  demo: ['alpha', 'beta'],
  other: ['beta', 'gamma'],
}
export const SERVERS = ['alpha', 'beta', 'gamma'] as const

const user = (label: string, rules: readonly Rule[]): Subject => ({ label, rules })

/** Those who sign in. `nested` has its rights through a group in a group, `admin` through one group. */
export const USERS: readonly Subject[] = [
  user('admin', EVERYTHING),
  user('reader', [{ role: 'view', resource: '*' }]),
  user('named', [
    { role: 'view', resource: '*', name: 'alpha' },
    { role: 'edit', resource: 'servers', name: 'b?ta' },
    { role: 'delete', resource: 'tokens', project: 'demo', name: 'al*' },
  ]),
  user('of-demo', [
    { role: 'edit', resource: '*', project: 'demo' },
    { role: 'create', resource: '*', project: 'demo' },
    { role: 'delete', resource: '*', project: 'demo' },
    { role: 'run', resource: '*', project: 'demo' },
  ]),
  user('nested', [
    { role: 'run', resource: 'projects', name: 'other' },
    { role: 'view', resource: 'servers', project: 'other' },
    { role: 'create', resource: 'groups' },
  ]),
  user('of-alpha', [{ role: 'run', resource: 'servers', name: 'alpha' }]),
  user('of-tools', [
    { role: 'run', resource: 'tools', name: '*__echo' },
    { role: 'view', resource: 'projects' },
  ]),
  user('none', []),
]

const rulesOf = (label: string): readonly Rule[] => USERS.find((one) => one.label === label)?.rules ?? []

const uses = (project: string): readonly Rule[] => [
  { role: 'run', resource: 'projects', name: project },
  { role: 'view', resource: 'projects', name: project },
]

interface TokenSubject extends Subject {
  /** What the manifest says; `given` comes through a RoleBinding. */
  readonly made: {
    readonly owner?: Json
    readonly bindings?: readonly Rule[]
    readonly given?: readonly Rule[]
  }
}

const token = (
  label: string,
  project: string,
  owner: { readonly rules: readonly Rule[]; readonly ref?: Json },
  made: Omit<TokenSubject['made'], 'owner'> = {},
): TokenSubject => ({
  label,
  rules: [...(made.bindings ?? uses(project)), ...(made.given ?? [])],
  token: { project, owner: owner.rules },
  made: owner.ref === undefined ? made : { ...made, owner: owner.ref },
})

const HOST = { rules: EVERYTHING }
const person = (name: string) => ({ rules: rulesOf(name), ref: { kind: 'User', name } })
export const ROBOT: readonly Rule[] = [
  { role: 'run', resource: 'projects', name: 'demo' },
  { role: 'view', resource: 'tokens' },
]

export const TOKENS: readonly TokenSubject[] = [
  token('of-host', 'demo', HOST),
  token('empty', 'demo', HOST, { bindings: [] }),
  token('all', 'demo', person('admin'), { bindings: EVERYTHING }),
  token('few', 'demo', person('admin'), {
    bindings: [
      { role: 'run', resource: 'tools', name: 'alpha__*' },
      { role: 'view', resource: 'servers' },
      { role: 'view', resource: 'tokens', name: 'alpha' },
    ],
  }),
  token('weak', 'demo', person('of-tools')),
  token('foreign', 'other', person('nested')),
  token('abroad', 'other', person('of-demo'), { bindings: EVERYTHING }),
  token('bound', 'demo', HOST, { bindings: [], given: [{ role: 'edit', resource: 'tokens' }] }),
  token('robot', 'demo', { rules: ROBOT, ref: { kind: 'ServiceAccount', name: 'alpha' } }),
]

/** The verdict, as the page says it. */
export function may(subject: Subject, asked: Question): boolean {
  const { token: bound } = subject
  if (bound === undefined) return subject.rules.some((rule) => gives(rule, asked))
  if (!within(asked, bound.project)) return false
  return [subject.rules, bound.owner].every((rules) => rules.some((rule) => gives(rule, asked)))
}

/** Whether there is anything at all for which they have this: else even asking is refused. */
export const mayEver = ({ rules, token: bound }: Subject, verb: string, kind: string): boolean =>
  [rules, bound?.owner ?? rules].every((all) => all.some((rule) => isFor(rule, verb, kind)))

const isFor = ({ role, resource }: Rule, verb: string, kind: string): boolean =>
  (role === verb || (verb === 'view' && role === 'edit')) && (resource === '*' || resource === kind)

function gives(rule: Rule, asked: Question): boolean {
  if (!isFor(rule, asked.verb, asked.kind)) return false
  const glob = new RegExp(`^${(rule.name ?? '*').replaceAll('*', '.*').replaceAll('?', '.')}$`)
  return glob.test(asked.name) && (rule.project === undefined || within(asked, rule.project))
}

function within({ verb, kind, name, project }: Question, wanted: string): boolean {
  if (kind === 'projects') return name === wanted
  if (project !== undefined) return project === wanted
  return kind === 'servers' && ['view', 'run'].includes(verb) && ATTACHED[wanted]?.includes(name) === true
}

/** Over MCP: a tool may be called by whoever may use it, or its server, or the project. */
export const mayCall = (subject: Subject, project: string, exposed: string): boolean =>
  mayByAny(subject, project, [
    { verb: 'run', kind: 'tools', name: exposed, project },
    ...waysToUse(project, exposed.split('__')[0] ?? ''),
  ])

/** Prompts and resources come with the whole of a server. */
export const mayUse = (subject: Subject, project: string, server: string): boolean =>
  mayByAny(subject, project, waysToUse(project, server))

const waysToUse = (project: string, server: string): readonly Question[] => [
  { verb: 'run', kind: 'servers', name: server, project },
  { verb: 'run', kind: 'projects', name: project },
]

function mayByAny(subject: Subject, project: string, asked: readonly Question[]): boolean {
  if (subject.token === undefined) return asked.some((one) => may(subject, one))
  const owner = { label: 'owner', rules: subject.token.owner }
  const own = { label: 'own', rules: subject.rules }
  return (
    subject.token.project === project && [own, owner].every((held) => asked.some((one) => may(held, one)))
  )
}
