/** What a server says when it refuses a request (RFC 6750, RFC 9728): the parts that a client acts on. */
export interface Challenge {
  readonly resourceMetadata: string | undefined
  readonly scopes: readonly string[]
  readonly error: string | undefined
}

const NONE: Challenge = { resourceMetadata: undefined, scopes: [], error: undefined }
const MAX_LENGTH = 8192
const PARAMETER = /([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/gy

/** The Bearer challenge of a `WWW-Authenticate` header, which may hold several schemes; empty where there is none. */
export function readChallenge(header: string | undefined): Challenge {
  const start = header === undefined || header.length > MAX_LENGTH ? -1 : bearerAt(header)
  if (header === undefined || start < 0) return NONE
  const parameters = new Map<string, string>()
  for (const [name, value] of parametersFrom(header, start)) parameters.set(name, value)
  return {
    resourceMetadata: parameters.get('resource_metadata'),
    scopes: readScopes(parameters.get('scope')),
    error: parameters.get('error'),
  }
}

/** Where its parameters begin; a `Bearer` inside a quoted string is none. */
function bearerAt(header: string): number {
  const outside = header.replaceAll(/"(?:[^"\\]|\\.)*"/g, (quoted) => `"${'.'.repeat(quoted.length - 2)}"`)
  const found = /(?:^|,)\s*Bearer(?:\s+|$)/i.exec(outside)
  return found === null ? -1 : found.index + found[0].length
}

/** Until the name of another scheme, which has no `=` behind it. */
function* parametersFrom(header: string, start: number): Generator<readonly [string, string]> {
  let at = start
  for (;;) {
    PARAMETER.lastIndex = at
    const found = PARAMETER.exec(header)
    if (found === null) return
    const [whole, name = '', quoted, bare] = found
    yield [name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '']
    at += whole.length
    at += /^\s*,?\s*/.exec(header.slice(at))?.[0].length ?? 0
  }
}

/** Scopes as RFC 6749, 3.3 writes them; what cannot be one is left out. */
export const readScopes = (text: string | undefined): readonly string[] => [
  ...new Set((text ?? '').split(' ').filter((scope) => /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(scope))),
]
