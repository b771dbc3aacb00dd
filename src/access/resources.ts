import { KINDS } from '../kinds/registry.ts'

/** What bindings can be about besides the kinds: each with the roles that mean something for it. */
// oxfmt-ignore
const OTHERS = {
  tools:  'tools of servers, by their name in a project (`{server}__{tool}`): run',
  grants: 'credentials that others issued to us: view, create, delete, run (to name one in a server)',
  audit:  'the record of calls and changes: view',
  daemon: 'what the daemon says of itself, its metrics: view',
} as const

/** Every word that can stand in `resource:` of a binding, but for `*`. */
export const RESOURCES: readonly string[] = [...KINDS.map(({ plural }) => plural), ...Object.keys(OTHERS)]

/**
 * Things that are done and are neither reading nor changing a resource. Later parts add theirs here, and whoever holds
 * `action:*` holds them with that.
 */
// oxfmt-ignore
export const OPERATIONS = {
  logs:            'read the log of the daemon and what servers wrote to their standard error',
  backup:          'take a backup of everything that is configured',
  restore:         'put a backup back',
  'reveal-secret': 'show the values of a Secret',
  impersonate:     'act as somebody else (--as), with their rights',
  keys:            'show which master keys there are, and replace the one in use',
  shutdown:        'end the daemon',
} as const satisfies Record<string, string>

export type Operation = keyof typeof OPERATIONS

/** Operations that no Token can do, whatever it is given. */
export const NEVER_FOR_TOKENS: ReadonlySet<Operation> = new Set([
  'reveal-secret',
  'impersonate',
  'keys',
  'shutdown',
])

export const isOperationName = (word: string): word is Operation => Object.hasOwn(OPERATIONS, word)
