import { resolve } from 'node:path'
import type { CliContext } from '../cli/context.ts'
import { usage } from '../cli/failure.ts'
import { homeOf } from '../cli/target.ts'
import { readEdgeOptions, ROLES, type EdgeOptions, type Role } from './edge/edge-options.ts'
import { keyGiven, readKeyChoice, type KeyConfig, type KeyOptions } from './keys/key-options.ts'
import { readPeerOptions, type PeerOptions } from './peers/peer-options.ts'
import { readSecretSources, type SecretSourceOptions } from './secret-sources.ts'

/** Everything that the start of a daemon depends on; read once, from arguments and environment. */
export interface ServeConfig extends KeyConfig {
  /** Absolute path. */
  readonly home: string
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** `postgres://…`; absent: the embedded store in the home. */
  readonly database?: string | undefined
  /** Where other daemons on the same database reach this one; absent with the embedded store. */
  readonly peers?: PeerOptions | undefined
  /** Files and directories that `up` applies once the daemon answers; absolute paths, or `-`. */
  readonly manifests: readonly string[]
  readonly logLevel: LogLevel
  /** `file`: `<home>/logs/daemon.log`. */
  readonly logTo: 'stderr' | 'file'
  /** For how long it says that it is not ready, and takes everything all the same, before it ends; absent: not at all. */
  readonly drainSeconds?: number | undefined
  /** Names by which clients reach it, besides `host` and loopback. */
  readonly hostNames?: readonly string[] | undefined
  /** It is an edge gateway; absent: a daemon with a configuration of its own. */
  readonly edge?: EdgeOptions | undefined
  /** An origin; absent: where it listens. */
  readonly publicUrl?: string | undefined
  /** How long a sign-in lasts; absent: 12. */
  readonly signInHours?: number | undefined
  /** Where Secrets may refer to; absent: to no file. */
  readonly secretSources?: SecretSourceOptions | undefined
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const MAX_DRAIN_SECONDS = 300
const MAX_SIGN_IN_HOURS = 720

/**
 * Every variable that Castellan reads. A name that begins with `CASTELLAN_` and is not here is refused, but for those
 * that hold values of Secrets.
 */
// oxfmt-ignore
export const VARIABLES = {
  CASTELLAN_HOME:      'where the daemon keeps its data; default `~/.castellan`',
  CASTELLAN_URL:       'the daemon that the command line asks; default: that of the context, or of the home',
  CASTELLAN_TOKEN:     'the credential that the command line sends; default: that of the context, or of the home',
  CASTELLAN_CONFIG:    'the file of contexts; default `~/.config/castellan/config.json`',
  CASTELLAN_HOST:      'address to listen on; default `127.0.0.1`',
  CASTELLAN_PORT:      'port to listen on; default `7411`, `0` takes any free one',
  CASTELLAN_DATABASE:  '`postgres://…`, with its password if it has one; default: the embedded store in the home',
  CASTELLAN_LOG_LEVEL: '`trace`, `debug`, `info`, `warn`, `error` or `fatal`; default `info`',
  CASTELLAN_LOG_TO:    '`stderr` or `file`; default `stderr` in the foreground, `file` with `-d`',
  CASTELLAN_KEY_FILE:  'the file with the master key; default `<home>/master.key`',
  CASTELLAN_MASTER_KEY: 'the master key itself (what its file holds), for where there is no file',
  CASTELLAN_SECRET_DIRS: 'directories of files that Secrets may refer to, separated by `:`; default: none',
  CASTELLAN_SECRET_ENV_PREFIX: 'how the variables begin that Secrets may refer to; default `CASTELLAN_SECRET_`',
  CASTELLAN_KEY_COMMAND: 'a program that prints what a key file holds: its path, or a JSON array with its arguments',
  CASTELLAN_KEY_KEYCHAIN: '`1`: the keychain of the system keeps the master key',
  CASTELLAN_PEER_LISTEN: '`host:port` to listen on for other daemons on the same database; default `127.0.0.1:0`',
  CASTELLAN_PEER_URL:  'where they reach it, if that is not where it listens',
  CASTELLAN_DRAIN_SECONDS: 'seconds for which it says that it is not ready before it ends; default `0`',
  CASTELLAN_PUBLIC_URL: 'where browsers reach the daemon, if that is not where it listens: `https://castellan.example.com`',
  CASTELLAN_SIGN_IN_HOURS: 'how long a sign-in lasts; default `12`',
  CASTELLAN_HOST_NAMES: 'names by which clients reach it besides loopback, separated by commas',
  CASTELLAN_ROLE:      '`all` (default) or `gateway`: an edge gateway, which holds nothing of its own',
  CASTELLAN_CONTROL_URL: 'the control plane of an edge gateway',
  CASTELLAN_TOKEN_POSITIVE_TTL_MS: 'how long an edge gateway takes a caller for known; default and most `30000`',
  CASTELLAN_TOKEN_NEGATIVE_TTL_MS: 'how long it takes one for unknown; default and most `5000`',
  CASTELLAN_DEBUG:     '`1`: the command line shows where in itself something went wrong',
} as const satisfies Record<`CASTELLAN_${string}`, string>

/** Options of `up` as they were given; each wins over its variable. */
export interface ServeOptions extends KeyOptions {
  readonly home: string | undefined
  readonly host: string | undefined
  readonly port: string | undefined
  readonly database: string | undefined
  readonly logLevel: LogLevel | undefined
  readonly logTo: 'stderr' | 'file' | undefined
  readonly secretDirs: readonly string[]
  readonly secretEnvPrefix: string | undefined
  readonly peerListen: string | undefined
  readonly peerUrl: string | undefined
  readonly drainSeconds: string | undefined
  readonly role: Role | undefined
  readonly control: string | undefined
  readonly manifests: readonly string[]
}

/** @throws CliFailure `invalid` for a value that cannot be, and for an unknown `CASTELLAN_` variable */
export function readServeConfig(
  options: ServeOptions,
  context: Pick<CliContext, 'env' | 'cwd' | 'userHome'>,
): ServeConfig {
  const { env, cwd } = context
  const home = homeOf(context, options.home)
  const { secretDirs: directories, secretEnvPrefix: envPrefix } = options
  const secretSources = readSecretSources({ directories, envPrefix, home }, context)
  refuseUnknownVariables(env, secretSources.envPrefix)
  const database = readDatabase(options.database, env)
  return {
    home,
    host: options.host ?? nonEmpty(env['CASTELLAN_HOST']) ?? '127.0.0.1',
    port: readPort(options.port ?? nonEmpty(env['CASTELLAN_PORT'])),
    database,
    peers: readPeerOptions({
      listen: options.peerListen ?? nonEmpty(env['CASTELLAN_PEER_LISTEN']),
      url: options.peerUrl ?? nonEmpty(env['CASTELLAN_PEER_URL']),
      shared: database !== undefined,
    }),
    manifests: options.manifests.map((path) => (path === '-' ? path : resolve(cwd, path))),
    logLevel:
      options.logLevel ??
      oneOf('CASTELLAN_LOG_LEVEL', nonEmpty(env['CASTELLAN_LOG_LEVEL']), LOG_LEVELS) ??
      'info',
    logTo:
      options.logTo ??
      oneOf('CASTELLAN_LOG_TO', nonEmpty(env['CASTELLAN_LOG_TO']), ['stderr', 'file']) ??
      'stderr',
    drainSeconds: readDrain(options.drainSeconds ?? nonEmpty(env['CASTELLAN_DRAIN_SECONDS'])),
    hostNames: readHostNames(nonEmpty(env['CASTELLAN_HOST_NAMES'])),
    edge: readEdgeOptions(
      {
        role: options.role ?? oneOf('CASTELLAN_ROLE', nonEmpty(env['CASTELLAN_ROLE']), ROLES),
        control: options.control ?? nonEmpty(env['CASTELLAN_CONTROL_URL']),
        home: options.home ?? nonEmpty(env['CASTELLAN_HOME']),
        foreign: foreignToEdge(options, env),
      },
      context,
    ),
    publicUrl: readPublicUrl(nonEmpty(env['CASTELLAN_PUBLIC_URL'])),
    signInHours: readSignInHours(nonEmpty(env['CASTELLAN_SIGN_IN_HOURS'])),
    secretSources,
    ...readKeyChoice(options, context),
  }
}

function readPublicUrl(given: string | undefined): string | undefined {
  if (given === undefined) return undefined
  const url = URL.canParse(given) ? new URL(given) : undefined
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`
  if (isPlain) return url.origin
  throw usage(
    'CASTELLAN_PUBLIC_URL is not the address of a host, without a path',
    'write: CASTELLAN_PUBLIC_URL=https://castellan.example.com',
  )
}

function readSignInHours(given: string | undefined): number | undefined {
  if (given === undefined) return undefined
  const hours = Number(given)
  if (/^\d{1,3}$/.test(given) && hours >= 1 && hours <= MAX_SIGN_IN_HOURS) return hours
  throw usage(
    `CASTELLAN_SIGN_IN_HOURS is not a number of hours from 1 to ${MAX_SIGN_IN_HOURS}`,
    'write: CASTELLAN_SIGN_IN_HOURS=12',
  )
}

function refuseUnknownVariables(env: CliContext['env'], secretPrefix: string): void {
  const known = Object.keys(VARIABLES)
  for (const name of Object.keys(env)) {
    if (!name.startsWith('CASTELLAN_') || known.includes(name)) continue
    const [nearest = ''] = known.toSorted((a, b) => distance(a, name) - distance(b, name))
    // What is one letter away from a setting is not a secret either.
    if (name.startsWith(secretPrefix) && distance(nearest, name) > 1) continue
    throw usage(
      `the environment has the variable ${name.slice(0, 64)}, which Castellan does not know`,
      distance(nearest, name) <= 4
        ? `did you mean ${nearest}? Otherwise unset it`
        : 'unset it; docs/cli.md lists those there are',
    )
  }
}

/** What is given although only a daemon with a configuration of its own has a use for it. */
function foreignToEdge(options: ServeOptions, env: CliContext['env']): string[] {
  const given = [
    ['a manifest', options.manifests[0]],
    ['--database', options.database ?? env['CASTELLAN_DATABASE']],
    ['a master key', keyGiven(options, env)],
    ['--secret-dir', options.secretDirs[0] ?? env['CASTELLAN_SECRET_DIRS']],
    ['--secret-env-prefix', options.secretEnvPrefix ?? env['CASTELLAN_SECRET_ENV_PREFIX']],
    ['--peer-listen', options.peerListen ?? env['CASTELLAN_PEER_LISTEN']],
    ['--peer-url', options.peerUrl ?? env['CASTELLAN_PEER_URL']],
  ] as const
  return given.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [name]))
}

function readHostNames(given: string | undefined): readonly string[] | undefined {
  const names = given?.split(',').map((name) => name.trim())
  if (names?.every((name) => /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])$/.test(name)) !== false)
    return names
  throw usage(
    'CASTELLAN_HOST_NAMES has something in it that is no host name',
    'write names without scheme or port, separated by commas: mcp.example.com,mcp',
  )
}

function readPort(given: string | undefined): number {
  if (given === undefined) return 7411
  const port = Number(given)
  if (!/^\d{1,5}$/.test(given) || port > 65_535)
    throw usage('the port is not a number from 0 to 65535', 'write: --port 7411')
  return port
}

function readDrain(given: string | undefined): number | undefined {
  if (given === undefined) return undefined
  const seconds = Number(given)
  if (!/^\d{1,3}$/.test(given) || seconds > MAX_DRAIN_SECONDS)
    throw usage(
      `the drain period is not a number of seconds from 0 to ${MAX_DRAIN_SECONDS}`,
      'write: --drain-seconds 10',
    )
  return seconds
}

/** A password in an argument can be read by every user of the machine, so it has to come from the environment. */
export function readDatabase(option: string | undefined, env: CliContext['env']): string | undefined {
  const given = option ?? nonEmpty(env['CASTELLAN_DATABASE'])
  if (given === undefined) return undefined
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url?.protocol !== 'postgres:' && url?.protocol !== 'postgresql:')
    throw usage('the database is not a postgres:// address', 'write: postgres://user@host:5432/name')
  if (option !== undefined && (url.password !== '' || url.searchParams.has('password')))
    throw usage(
      'a password may not stand in an argument',
      'give the whole address in CASTELLAN_DATABASE instead',
    )
  return given
}

function oneOf<Value extends string>(
  variable: keyof typeof VARIABLES,
  given: string | undefined,
  values: readonly Value[],
): Value | undefined {
  const found = values.find((value) => value === given)
  if (given !== undefined && found === undefined)
    throw usage(`${variable} has a value that cannot be`, `use one of: ${values.join(', ')}`)
  return found
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text)

/** Levenshtein: how many letters to add, drop or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change))
    }
    row = next
  }
  return row[b.length] ?? 0
}
