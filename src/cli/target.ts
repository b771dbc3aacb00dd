import { isLoopback } from '../lib/loopback.ts'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SecretValue } from '../lib/secret-value.ts'
import {
  configPath,
  contextNamed,
  HOME_CONTEXT,
  readConfig,
  type ContextRecord,
} from './contexts/config-file.ts'
import type { CliContext } from './context.ts'
import { unavailable, usage } from './failure.ts'
import { readIfThere } from './read-if-there.ts'

/** A daemon and the credential for it. */
export interface Target {
  readonly url: URL
  /** Absent: the daemon decides what it shows to nobody in particular. */
  readonly credential: SecretValue | undefined
  /** Who to act as on the control API: `User:ada`. */
  readonly as?: string | undefined
  /** Where it is an edge gateway, its control plane is meant. */
  readonly direct?: boolean | undefined
  /** The command that mends a credential which is refused. */
  readonly signIn?: string | undefined
}

/** The global options, as they were given. */
export interface GlobalChoice {
  readonly context?: string | undefined
  readonly home?: string | undefined
  readonly as?: string | undefined
  readonly direct?: boolean | undefined
}

/** What a command may say in place of the variables of the same meaning. */
export interface TargetChoice extends GlobalChoice {
  readonly url?: string | undefined
  readonly token?: SecretValue | undefined
}

type ReadCredential = (name: string, record: ContextRecord, context: Surroundings) => SecretValue | undefined

interface Given extends TargetChoice {
  /** Absent where there are no contexts: see `credentialReader`. */
  readonly readCredential?: ReadCredential | undefined
}

/** What reads credentials of contexts, loaded only where there are contexts: most command lines never need it. */
export const credentialReader = async (context: Surroundings): Promise<ReadCredential | undefined> =>
  existsSync(configPath(context)) ? (await import('./contexts/credentials.ts')).credentialOf : undefined

/** What a running daemon says of itself in `<home>/daemon.json`. `url` is absent while it starts. */
export interface DaemonRecord {
  readonly pid: number
  readonly url?: string
  readonly startedAtMs: number
  readonly version: string
  /** How long it goes on after it was told to end. */
  readonly drainSeconds?: number
  /** Absent: a daemon with its own administrator. */
  readonly role?: 'gateway' | undefined
}

type Surroundings = Pick<CliContext, 'env' | 'cwd' | 'userHome'>

/** `--home`, else `CASTELLAN_HOME`, else `~/.castellan`; absolute. */
export function homeOf(context: Surroundings, given?: string): string {
  const chosen = given ?? context.env['CASTELLAN_HOME']
  return chosen === undefined || chosen === ''
    ? join(context.userHome, '.castellan')
    : resolve(context.cwd, chosen)
}

/** Undefined when there is none, or when what stands there is no such record. */
export function readDaemonRecord(home: string): DaemonRecord | undefined {
  const parsed = parseRecord(readIfThere(join(home, 'daemon.json')))
  return parsed !== undefined && Number.isSafeInteger(parsed.pid) && parsed.pid > 0 ? parsed : undefined
}

/** A context that is in use, by its name. */
export interface ContextInUse {
  readonly name: string
  readonly record: ContextRecord
}

/**
 * The context that this command line is about: `--context`, else the current one, which the variables go before. What
 * is more of the moment wins, so that a terminal that was prepared for a test never reaches the daemon of everybody.
 *
 * @returns undefined where it is about the daemon of a home, or of `CASTELLAN_URL`
 * @throws CliFailure when there is no context by the name
 */
export function contextInUse(context: Surroundings, given: Given = {}): ContextInUse | undefined {
  const { env } = context
  if (given.context === undefined) {
    if (given.home !== undefined || given.url !== undefined) return undefined
    if (nonEmpty(env['CASTELLAN_URL']) !== undefined || nonEmpty(env['CASTELLAN_HOME']) !== undefined)
      return undefined
  } else if (given.home !== undefined || given.url !== undefined)
    throw usage('the daemon is named twice', 'give either --context, or the other option that names one')
  if (given.context === HOME_CONTEXT) return undefined
  const config = readConfig(configPath(context))
  const name = given.context ?? config.current
  if (name === undefined || name === HOME_CONTEXT) return undefined
  return { name, record: contextNamed(config, name) }
}

/**
 * Where to send requests, with which credential, and acting as whom; docs/cli.md has the order.
 *
 * No credential goes to a daemon that it is not of. The admin credential of the home is sent to the address that its
 * own daemon published (or to the same port on a loopback address); `CASTELLAN_TOKEN` to `CASTELLAN_URL` where that
 * is set; that of a context to the address of this context.
 *
 * @throws CliFailure when no daemon is known, or an address is none
 */
export function resolveTarget(context: Surroundings, given: Given = {}): Target {
  const inUse = contextInUse(context, given)
  const target = inUse === undefined ? targetWithout(context, given) : targetOf(inUse, context, given)
  if (given.as === undefined && given.direct !== true) return target
  return { ...target, as: given.as === undefined ? undefined : checkSubject(given.as), direct: given.direct }
}

function targetOf({ name, record }: ContextInUse, context: Surroundings, given: Given): Target {
  const url = new URL(record.url)
  const token = given.token ?? tokenOf(context, url)
  // Who names a context means to be who it says; the current one gives way to the variable.
  if (token !== undefined && (given.context === undefined || given.token !== undefined))
    return { url, credential: token }
  const own = given.readCredential?.(name, record, context)
  if (own === undefined && token !== undefined) return { url, credential: token }
  return { url, credential: own, signIn: `castellan login --context ${name}` }
}

function targetWithout(context: Surroundings, given: Given): Target {
  const isNamed = given.home !== undefined || given.context !== undefined
  const home = homeOf(context, given.home)
  const record = readDaemonRecord(home)
  const published = record?.url !== undefined && isAlive(record.pid) ? parseUrl(record.url) : undefined
  const wanted = given.url ?? (isNamed ? undefined : nonEmpty(context.env['CASTELLAN_URL']))
  const url = wanted === undefined ? published : parseUrl(wanted)
  if (url === undefined && wanted !== undefined) {
    throw usage(
      `${given.url === undefined ? 'CASTELLAN_URL' : '--url'} is not an http or https address`,
      'write it as http://127.0.0.1:7411',
    )
  }
  if (url === undefined) {
    throw unavailable(
      record !== undefined && isAlive(record.pid)
        ? 'the daemon of this home is still starting'
        : `no daemon is running for the home ${home}`,
      'start one with: castellan up; or sign in to another: castellan login --url URL',
    )
  }
  const credential = given.token ?? tokenOf(context, url) ?? adminOf({ home, url, published })
  return { url, credential }
}

/** `CASTELLAN_TOKEN`, unless `CASTELLAN_URL` says that it is for another daemon. */
function tokenOf({ env }: Surroundings, url: URL | undefined): SecretValue | undefined {
  const token = nonEmpty(env['CASTELLAN_TOKEN'])
  const meant = nonEmpty(env['CASTELLAN_URL'])
  if (token === undefined) return undefined
  const isMeant = meant === undefined || (url !== undefined && parseUrl(meant)?.origin === url.origin)
  return isMeant ? new SecretValue(token) : undefined
}

function adminOf(at: {
  readonly home: string
  readonly url: URL
  readonly published: URL | undefined
}): SecretValue | undefined {
  if (at.published === undefined || !isSameDaemon(at.url, at.published)) return undefined
  const stored = readIfThere(join(at.home, 'admin-credential'))?.trim()
  return stored === undefined || stored === '' ? undefined : new SecretValue(stored)
}

/** What it names is judged by the daemon, which knows the names. */
function checkSubject(text: string): string {
  if (/^(?:User|Group|ServiceAccount|Token):[\x21-\x7e]+$/.test(text)) return text
  throw usage(
    '--as is not a subject',
    'write: --as User:ada, Group:platform, ServiceAccount:ci or Token:demo/laptop',
  )
}

const isSameDaemon = (url: URL, published: URL): boolean =>
  url.origin === published.origin ||
  (url.protocol === published.protocol &&
    url.port === published.port &&
    isLoopback(url.hostname) &&
    isLoopback(published.hostname))

/** Whether a process by that id exists; one of another user counts. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function parseRecord(json: string | undefined): DaemonRecord | undefined {
  try {
    const parsed: unknown = json === undefined ? undefined : JSON.parse(json)
    return typeof parsed === 'object' && parsed !== null ? (parsed as DaemonRecord) : undefined
  } catch {
    // Half a file, from a disk that was full: as good as none.
    return undefined
  }
}

function parseUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url : undefined
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text)
