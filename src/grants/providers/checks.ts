/** What may stand where in a provider: each gives a sentence that names no value, or nothing. */
export type Check = (text: string) => string | undefined

const matches =
  (pattern: RegExp, sentence: string): Check =>
  (text) =>
    pattern.test(text) ? undefined : sentence

export const providerName = matches(
  /^[a-z][a-z0-9-]{0,38}$/,
  'must be lowercase letters, digits and dashes, a letter first, at most 39 characters',
)

/** RFC 9110 §7.6.1 (hop by hop), and what belongs to the connection, the body or the protocol. */
const TAKEN_HEADERS =
  /^(?:host|content-.*|mcp-.*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|last-event-id|accept)$/i

export const headerName: Check = (text) => {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(text)) return 'must be the name of an HTTP header'
  return TAKEN_HEADERS.test(text) ? 'must not be a header of the connection or of the protocol' : undefined
}

export const headerPrefix = matches(
  /^[\u0020-\u007e]{0,64}$/,
  'must be at most 64 printable ASCII characters, without line breaks',
)

/** RFC 1123 names, with or without a star for everything below. A star below one label alone would be half of the world. */
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const HOST = new RegExp(`^(?:\\*\\.${LABEL}\\.${LABEL}|${LABEL})(?:\\.${LABEL})*$`)

export const hostPattern: Check = (text) =>
  text.length <= 253 && HOST.test(text) && !/^[\d.]+$/.test(text)
    ? undefined
    : 'must be a host name in lowercase, or *. and a name of two labels or more; without scheme, port and path'

/** A host that is a qualifier. */
export const hostName: Check = (text) =>
  text.startsWith('*') || hostPattern(text) !== undefined ? 'must be a host name in lowercase' : undefined

export const variableName: Check = (text) => {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(text)) return 'must be the name of a variable'
  return /^CASTELLAN_/i.test(text) ? 'must not begin with CASTELLAN_' : undefined
}

export const segmentPrefix = matches(
  /^[A-Za-z0-9._~-]{0,32}$/,
  'must be at most 32 characters that can stand in a path',
)

/** @param text may hold `{segment}` as one whole segment of its path */
export const httpsUrl: Check = (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.protocol !== 'https:') return 'must be a URL with https:'
  if (url.username !== '' || url.password !== '' || url.hash !== '')
    return 'must be a URL without user, password and fragment'
  return undefined
}

/** @returns whether a host is one of these: exact, or below a `*.` */
export const hostMatches = (hosts: readonly string[], host: string): boolean =>
  hosts.some((pattern) => (pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern))
