import { nearest } from '../../lib/nearest.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { readScopes } from './challenge.ts'
import { ADDRESSES, isEndpoint, SETTING_NAMES, SETTINGS, type OAuthSettings } from './settings.ts'

/** What is wrong with a file; who has read it knows in which line the key stands. */
export interface FileProblem {
  /** Undefined: the file as a whole. */
  readonly key: string | undefined
  /** One public sentence, without a word of the file. */
  readonly message: string
}

const KEYS = Object.values(SETTING_NAMES) as readonly string[]
const METHODS = ['client_secret_basic', 'client_secret_post'] as const

/**
 * Reads `oauth/NAME.yaml`: `auth_url`, `token_url`, `client_id`, `client_secret`, `scopes` and what else
 * `SETTING_NAMES` has. All problems at once.
 *
 * @param parsed the document as YAML has it
 */
export function parseSettings(parsed: unknown): Result<OAuthSettings, readonly FileProblem[]> {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    return err([{ key: undefined, message: `must be a mapping with some of ${KEYS.join(', ')}` }])
  const document = parsed as Readonly<Record<string, unknown>>
  const problems: FileProblem[] = Object.keys(document)
    .filter((key) => !KEYS.includes(key))
    .map((key) => ({ key, message: `unknown key${meant(key)}` }))
  const found: [string, unknown][] = []
  for (const name of SETTINGS) {
    const key = SETTING_NAMES[name]
    if (!Object.hasOwn(document, key)) continue
    const read = readSetting(name, document[key])
    if (read.ok) found.push([name, read.value])
    else problems.push({ key, message: read.error })
  }
  return problems.length > 0 ? err(problems) : ok(Object.fromEntries(found))
}

function meant(key: string): string {
  const known = nearest(key, KEYS)
  return known === undefined ? `; known are ${KEYS.join(', ')}` : ` (did you mean ${known}?)`
}

function readSetting(name: keyof OAuthSettings, value: unknown): Result<unknown, string> {
  if (ADDRESSES.some((one) => one === name))
    return typeof value === 'string' && isEndpoint(value)
      ? ok(value)
      : err('must be an https address, or http on loopback')
  if (name === 'scopes') return readScopeList(value)
  if (name === 'tokenAuthMethod')
    return METHODS.some((one) => one === value) ? ok(value) : err(`must be ${METHODS.join(' or ')}`)
  const most = name === 'clientId' ? 2048 : 4096
  if (typeof value !== 'string' || value.length > most || !/^[\x20-\x7e]+$/.test(value))
    return err(`must be a text of at most ${most} visible characters; put numbers into quotes`)
  return ok(name === 'clientSecret' ? new SecretValue(value) : value)
}

/** A list, or one text with spaces as RFC 6749 has it. */
function readScopeList(value: unknown): Result<readonly string[], string> {
  const words: unknown[] =
    typeof value === 'string'
      ? value.split(' ').filter((word) => word !== '')
      : Array.isArray(value)
        ? value
        : [0]
  const isList =
    words.length <= 256 && words.every((word) => typeof word === 'string' && readScopes(word)[0] === word)
  return isList
    ? ok([...new Set(words as string[])])
    : err('must be a list of scopes, or one text with spaces between them')
}
