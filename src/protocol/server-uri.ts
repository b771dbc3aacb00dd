/**
 * URIs of resources on an aggregated endpoint, where two servers have the same one: `{scheme}://{server}.castellan/` and
 * the rest as it was, `ui://weather.castellan/app.html` for `ui://app.html`. Valid by RFC 3986 (the name of a server is a
 * reg-name, what was the authority a segment of the path), of the same scheme, and read back from nothing but itself, so
 * it is the same in every process and after every restart. Of a template only the literal part in front changes.
 */
const MARK = '.castellan/'

/** What a client may fetch by itself must stay what it is. */
const FETCHED = /^https?:/i
const SCHEME = /^[a-z][a-z0-9+.-]*:(?:\/\/)?/i
const OURS = /^([a-z][a-z0-9+.-]*:(?:\/\/)?)([a-z0-9-]{1,64})\.castellan\/(.*)$/is

/**
 * @param uri a URI or a URI template of the server
 * @returns undefined: it has to stay as it is
 */
export function serverUri(server: string, uri: string): string | undefined {
  const head = SCHEME.exec(uri)?.[0]
  if (head === undefined || FETCHED.test(head)) return undefined
  const rest = uri.slice(head.length)
  // The brackets of an IPv6 address may stand in an authority only.
  return rest.startsWith('[') ? undefined : `${head}${server}${MARK}${rest}`
}

/** The server that a URI names, and what it is called there; undefined: it is none of `serverUri`. */
export function readServerUri(uri: string): { readonly server: string; readonly uri: string } | undefined {
  const [, head, server, rest] = OURS.exec(uri) ?? []
  return head === undefined || server === undefined ? undefined : { server, uri: `${head}${rest ?? ''}` }
}

/** What the server itself calls it. */
export function ownUri(server: string, uri: string): string {
  const read = readServerUri(uri)
  return read?.server === server ? read.uri : uri
}
