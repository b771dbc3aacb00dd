/**
 * Which folder of `src/` may import which: design, "Layout". `lib` may be imported by all; `main` may import all and
 * is imported by none. `.oxlintrc.json` forbids the same; a test holds the two together.
 */
const FOUNDATIONS = ['policy', 'secrets', 'store', 'audit', 'access', 'oauth', 'runtime'] as const
const PLANES = ['gateway', 'control', 'edge', 'runs', 'prompts', 'models', 'agents', 'rooms'] as const
export const FOLDERS = [
  'lib',
  'kinds',
  'protocol',
  ...FOUNDATIONS,
  'grants',
  ...PLANES,
  'cli',
  'main',
] as const
export type Folder = (typeof FOLDERS)[number]

const WORDS = ['kinds', 'protocol'] as const

/** The gateway reads the snapshot, and declares what else it needs. */
const BELOW_GATEWAY = FOUNDATIONS.filter((folder) => folder !== 'store' && folder !== 'oauth')

const belowOf = (folder: Folder): readonly Folder[] => {
  if (folder === 'lib' || folder === 'kinds' || folder === 'protocol') return []
  if (folder === 'main') return FOLDERS
  if (folder === 'edge') return [...WORDS, 'access']
  if (folder === 'cli' || FOUNDATIONS.some((foundation) => foundation === folder)) return WORDS
  if (folder === 'gateway') return [...WORDS, ...BELOW_GATEWAY]
  return folder === 'grants' ? [...WORDS, ...FOUNDATIONS] : [...WORDS, ...FOUNDATIONS, 'grants']
}

export const mayImport = (from: Folder, to: Folder): boolean =>
  from === to || to === 'lib' || belowOf(from).includes(to)

/** Names that say nothing: what such a folder or file would hold belongs beside what it serves. */
export const NO_NAMES =
  /(?:^|\/)(?:index\.[jt]s$|(?:utils?|helpers?|common|services|controllers|misc)(?:\/|\.[jt]s$))/

/**
 * Packages and parts of Node that not everybody may use: the folders and files that may. What is not here may be
 * used by all (`node:path`), or by nobody (a package that is not named).
 */
// oxfmt-ignore
export const PLACES: Readonly<Record<string, readonly string[]>> = {
  '@clack/prompts':      ['src/cli/ask.ts'],
  '@hono/node-server':   ['src/main/control-listener.ts'],
  '@napi-rs/keyring':    ['src/lib/keychain-child.ts'],
  'commander':           ['src/cli/program.ts'],
  'hono':                ['src/control/api/'],
  'kysely':              ['src/store/'],
  'oauth4webapi':        ['src/oauth/client/'],
  'pg':                  ['src/store/postgres/', 'src/audit/postgres/'],
  'pino':                ['src/lib/log.ts', 'src/main/daemon-log.ts'],
  'prom-client':         ['src/main/metrics.ts'],
  'undici':              ['src/gateway/forward/', 'src/main/peers/', 'src/oauth/client/', 'src/edge/'],
  'yaml':                ['src/control/', 'src/grants/providers/', 'src/cli/commands/delete.ts', 'src/main/quickstart/'],
  'zod':                 ['src/kinds/', 'src/control/'],
  'node:child_process':  ['src/runtime/', 'src/grants/aws/', 'src/main/', 'src/secrets/keys/', 'src/cli/contexts/', 'src/cli/edit/', 'src/cli/granting/', 'src/cli/login/'],
  'node:http':           ['src/gateway/', 'src/main/', 'src/cli/'],
  'node:https':          ['src/cli/http-request.ts'],
  'node:net':            ['src/main/', 'src/oauth/client/', 'src/grants/ssh-agent/', 'src/lib/own-sockets.ts', 'src/cli/granting/'],
  'node:sqlite':         ['src/store/sqlite/', 'src/audit/', 'src/main/home-lock.ts', 'src/cli/contexts/'],
  'node:worker_threads': ['src/store/sqlite/', 'src/audit/'],
}
