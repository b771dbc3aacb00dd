import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SecretValue } from '../lib/secret-value.ts'
import type { CliContext } from './context.ts'
import { unavailable, usage } from './failure.ts'

/** A daemon and the credential for it. */
export interface Target {
  readonly url: URL
  /** Absent: the daemon decides what it shows to nobody in particular. */
  readonly credential: SecretValue | undefined
}

/** What a running daemon says of itself in `<home>/daemon.json`. `url` is absent while it starts. */
export interface DaemonRecord {
  readonly pid: number
  readonly url?: string
  readonly startedAtMs: number
  readonly version: string
  /** How long it goes on after it was told to end. */
  readonly drainSeconds?: number
}

/** `--home`, else `CASTELLAN_HOME`, else `~/.castellan`; absolute. */
export function homeOf(context: Pick<CliContext, 'env' | 'cwd' | 'userHome'>, given?: string): string {
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

/**
 * Where to send requests, and with which credential. `CASTELLAN_URL` and `CASTELLAN_TOKEN` win. The admin credential
 * of the home goes only to the address that its own daemon published (or to the same port on a loopback address):
 * another `CASTELLAN_URL` never sees it.
 *
 * @throws CliFailure when no daemon is known, or `CASTELLAN_URL` is not an http(s) address
 */
export function resolveTarget(context: CliContext, givenHome?: string): Target {
  const home = homeOf(context, givenHome)
  const record = readDaemonRecord(home)
  const published = record?.url !== undefined && isAlive(record.pid) ? parseUrl(record.url) : undefined
  const wanted = givenHome === undefined ? nonEmpty(context.env['CASTELLAN_URL']) : undefined
  const url = wanted === undefined ? published : parseUrl(wanted)
  if (url === undefined && wanted !== undefined) {
    throw usage('CASTELLAN_URL is not an http or https address', 'write it as http://127.0.0.1:7411')
  }
  if (url === undefined) {
    throw unavailable(
      record !== undefined && isAlive(record.pid)
        ? 'the daemon of this home is still starting'
        : `no daemon is running for the home ${home}`,
      'start one with: castellan up; or name another with --home, CASTELLAN_HOME or CASTELLAN_URL',
    )
  }
  return { url, credential: credentialFor(context, { home, url, published }) }
}

function credentialFor(
  context: CliContext,
  at: { readonly home: string; readonly url: URL; readonly published: URL | undefined },
): SecretValue | undefined {
  const token = nonEmpty(context.env['CASTELLAN_TOKEN'])
  if (token !== undefined) return new SecretValue(token)
  if (at.published === undefined || !isSameDaemon(at.url, at.published)) return undefined
  const stored = readIfThere(join(at.home, 'admin-credential'))?.trim()
  return stored === undefined || stored === '' ? undefined : new SecretValue(stored)
}

const isSameDaemon = (url: URL, published: URL): boolean =>
  url.origin === published.origin ||
  (url.protocol === published.protocol &&
    url.port === published.port &&
    isLoopback(url) &&
    isLoopback(published))

const isLoopback = ({ hostname }: URL): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)

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

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw unavailable(
      `${path} cannot be read (${code ?? 'unknown reason'})`,
      'run this as the user who started the daemon',
      error,
    )
  }
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text)
