/** What a server says when it refuses a request (RFC 6750, RFC 9728): the parts that a client acts on. */
export interface Challenge {
  /** Addresses of protected resource metadata: more than one where a proxy in front of the server adds its own. */
  readonly resourceMetadata: readonly string[]
  readonly scopes: readonly string[]
  readonly error: string | undefined
}

const NONE: Challenge = { resourceMetadata: [], scopes: [], error: undefined }
const MAX_LENGTH = 8192
const MAX_ADDRESSES = 4
/** RFC 9110, 5.6.2 */
const TOKEN = "[\\w!#$%&'*+.^`|~-]+"
const PARAMETER = new RegExp(String.raw`(${TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))`, 'y')
/** A scheme, with the token68 that `Basic` and `Negotiate` have in place of parameters. */
const SCHEME = new RegExp(String.raw`(${TOKEN})(?=[\s,]|$)(?:\s+[\w.~+/-]+=*\s*(?=,|$))?`, 'y')
const BETWEEN = /[\s,]*/y

/**
 * The Bearer challenges of a `WWW-Authenticate` header, which may hold several, also of other schemes; empty where
 * there is none. What is named twice counts as it was named first.
 */
export function readChallenge(header: string | undefined): Challenge {
  if (header === undefined || header.length > MAX_LENGTH) return NONE
  const bearer = challengesIn(header).filter(({ scheme }) => scheme === 'bearer')
  const named = (name: string): readonly string[] =>
    bearer.flatMap(({ parameters }) => parameters.get(name) ?? [])
  return {
    resourceMetadata: [...new Set(named('resource_metadata'))].slice(0, MAX_ADDRESSES),
    scopes: readScopes(named('scope')[0]),
    error: named('error')[0],
  }
}

interface OneChallenge {
  readonly scheme: string
  readonly parameters: Map<string, readonly string[]>
}

/** RFC 9110, 11.6.1: schemes and parameters stand in one list, told apart by the `=`. Ends where it makes no sense. */
function challengesIn(header: string): readonly OneChallenge[] {
  const found: OneChallenge[] = []
  const read = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(header)
    at = match === null ? at : pattern.lastIndex
    return match
  }
  let at = 0
  while (at < header.length) {
    read(BETWEEN)
    const [, name = '', quoted, bare] = read(PARAMETER) ?? []
    const parameters = found.at(-1)?.parameters
    if (name !== '' && parameters !== undefined) {
      const key = name.toLowerCase()
      const value = quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? ''
      parameters.set(key, [...(parameters.get(key) ?? []), value])
      continue
    }
    const scheme = read(SCHEME)?.[1]
    if (scheme === undefined) return found
    found.push({ scheme: scheme.toLowerCase(), parameters: new Map() })
  }
  return found
}

/** Scopes as RFC 6749, 3.3 writes them; what cannot be one is left out. */
export const readScopes = (text: string | undefined): readonly string[] => [
  ...new Set((text ?? '').split(' ').filter((scope) => /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(scope))),
]
