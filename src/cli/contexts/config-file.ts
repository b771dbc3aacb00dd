import { join, resolve } from 'node:path'
import type { CliContext } from '../context.ts'
import { unavailable, usage } from '../failure.ts'
import { readIfThere } from '../read-if-there.ts'

/** Where the credential of a context is kept; `none`: it has none. */
export type CredentialPlace = 'keychain' | 'file' | 'none'

/** A daemon, and as whom it is asked. */
export interface ContextRecord {
  /** http or https, without user, query and fragment. */
  readonly url: string
  /** Fills `-p` in, where a kind belongs to projects. */
  readonly project?: string | undefined
  /** Who is signed in. */
  readonly user?: string | undefined
  readonly credential: CredentialPlace
  /** When the sign-in ends: RFC 3339, UTC. */
  readonly expiresAt?: string | undefined
}

/** Who asks where, by name. No credential stands in it. */
export interface ClientConfig {
  /** Absent: the daemon of the home. */
  readonly current: string | undefined
  readonly contexts: ReadonlyMap<string, ContextRecord>
}

/** The context that is always there and is in no file: the daemon of the home, as its administrator. */
export const HOME_CONTEXT = 'home'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/
const MAX_BYTES = 1024 * 1024
const PLACES: ReadonlySet<unknown> = new Set(['keychain', 'file', 'none'])

/** `CASTELLAN_CONFIG`, else `$XDG_CONFIG_HOME/castellan/config.json`, else below `~/.config`; absolute. */
export function configPath({ env, cwd, userHome }: Pick<CliContext, 'env' | 'cwd' | 'userHome'>): string {
  const given = env['CASTELLAN_CONFIG']
  if (given !== undefined && given !== '') return resolve(cwd, given)
  const base = env['XDG_CONFIG_HOME']
  // A relative path there is to be ignored (XDG Base Directory Specification).
  const folder = base?.startsWith('/') === true ? base : join(userHome, '.config')
  return join(folder, 'castellan', 'config.json')
}

/**
 * @returns an empty one where there is no file
 * @throws CliFailure when what stands there cannot be read as one
 */
export function readConfig(path: string): ClientConfig {
  const text = readIfThere(path)
  if (text === undefined) return { current: undefined, contexts: new Map() }
  const parsed = text.length > MAX_BYTES ? undefined : parse(text)
  if (parsed === undefined)
    throw unavailable(
      `${path} is not a file of contexts`,
      'mend it, or put it out of the way and sign in again: castellan login --url URL',
    )
  return parsed
}

/**
 * A context by its name.
 * @throws CliFailure when there is none by that name
 */
export function contextNamed(config: ClientConfig, name: string): ContextRecord {
  const found = config.contexts.get(name)
  if (found !== undefined) return found
  const names = [HOME_CONTEXT, ...config.contexts.keys()].join(', ')
  throw usage(
    'there is no context by that name',
    `those there are: ${names}; castellan login --url URL or castellan config set-context NAME --url URL makes one`,
  )
}

/**
 * A name that may be given to a context.
 * @throws CliFailure `invalid`
 */
export function checkName(name: string): string {
  if (name === HOME_CONTEXT)
    throw usage('the context home is always there, and is the daemon of the home', 'choose another name')
  if (!NAME.test(name))
    throw usage(
      'that cannot be the name of a context',
      'use up to 63 letters, digits, dots, dashes, underscores and @, beginning with a letter or digit',
    )
  return name
}

/**
 * An address as it is kept: without what a request adds to it.
 * @throws CliFailure `invalid`
 */
export function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw usage('that is not an http or https address', 'write it as https://castellan.example.com')
  if (url.username + url.password + url.search + url.hash !== '')
    throw usage('an address holds no user, query or fragment', 'write it as https://castellan.example.com')
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

function parse(text: string): ClientConfig | undefined {
  const json = parseJson(text)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined
  const { current, contexts = {} } = json as { current?: unknown; contexts?: unknown }
  if (typeof contexts !== 'object' || contexts === null) return undefined
  const entries = Object.entries(contexts as Record<string, unknown>)
  if (!entries.every((entry): entry is [string, ContextRecord] => NAME.test(entry[0]) && isRecord(entry[1])))
    return undefined
  return { current: typeof current === 'string' ? current : undefined, contexts: new Map(entries) }
}

function isRecord(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { url, credential, project, user, expiresAt } = value as Record<keyof ContextRecord, unknown>
  const isText = (field: unknown): boolean => field === undefined || typeof field === 'string'
  return (
    typeof url === 'string' &&
    URL.canParse(url) &&
    PLACES.has(credential) &&
    [project, user, expiresAt].every(isText)
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Said by whoever reads it, in one way for all that is no such file.
    return undefined
  }
}
