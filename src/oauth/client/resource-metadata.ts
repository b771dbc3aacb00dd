import { err, ok, type Result } from '../../lib/result.ts'
import type { Resource } from './authorization-server.ts'
import { readChallenge, type Challenge } from './challenge.ts'
import { getDocument, REVISION, scopesOf, textOf, textsOf, TIMEOUT_MS } from './document.ts'
import type { Fetcher } from './guarded-fetch.ts'

/** What a server says of itself as a protected resource. */
export interface Described {
  readonly resource: Resource
  /** Of the authorization servers that issue tokens for it. */
  readonly issuers: readonly string[]
  /** It describes nothing: a server of 2025-03-26, which is its own authorization server at the root of its origin. */
  readonly isOwnIssuer: boolean
  /** Of the server, when it was asked without a token. */
  readonly challenge: Challenge
}

/**
 * Asks a server without a token, and reads its metadata (RFC 9728): at the addresses that the challenge names, else
 * at the well-known ones.
 *
 * @throws Unreachable
 */
export async function describeResource(
  serverUrl: string,
  fetcher: Fetcher,
): Promise<Result<Described, string>> {
  const challenge = await askWithoutToken(serverUrl, fetcher)
  const named = challenge.resourceMetadata
  let strange = false
  for (const candidate of named.length === 0 ? wellKnownResource(serverUrl) : named) {
    const document = await getDocument(candidate, fetcher)
    if (document === undefined) continue
    const identifier = textOf(document, 'resource')
    if (identifier !== undefined && covers(identifier, serverUrl)) {
      const issuers = textsOf(document, 'authorization_servers') ?? []
      const resource = { identifier, scopes: scopesOf(document) }
      return ok({ resource, issuers, isOwnIssuer: false, challenge })
    }
    strange = true
  }
  if (strange)
    return err(
      'the metadata of the server describes another resource, so its authorization server is not used; look whether the url of the server is the one that it is published under',
    )
  if (named.length > 0) return err('the server names an address for its metadata where there is none')
  const resource = { identifier: canonical(serverUrl), scopes: [] }
  return ok({ resource, issuers: [new URL(serverUrl).origin], isOwnIssuer: true, challenge })
}

const PROBE = JSON.stringify({
  jsonrpc: '2.0',
  id: 'castellan-authorize',
  method: 'server/discover',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': REVISION,
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
})

/** A server of either era answers 401 before it looks at the method. */
async function askWithoutToken(serverUrl: string, fetcher: Fetcher): Promise<Challenge> {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': REVISION,
    'mcp-method': 'server/discover',
  }
  const answer = await fetcher.send(serverUrl, { method: 'POST', headers, body: PROBE }, TIMEOUT_MS)
  const header = answer.status === 401 ? answer.headers.get('www-authenticate') : null
  return readChallenge(header ?? undefined)
}

/** RFC 9728, 3.1: after the origin and before the path; then the root. */
export function wellKnownResource(serverUrl: string): readonly string[] {
  const { origin, pathname, search } = new URL(serverUrl)
  const root = `${origin}/.well-known/oauth-protected-resource`
  return pathname === '/' ? [root] : [`${root}${pathname.replace(/\/$/, '')}${search}`, root]
}

/** Whether a resource is the server, or a part of its origin that the server lies in. */
export function covers(resource: string, serverUrl: string): boolean {
  if (!URL.canParse(resource)) return false
  const [own, server] = [new URL(resource), new URL(serverUrl)]
  const folder = own.pathname.endsWith('/') ? own.pathname : `${own.pathname}/`
  const isInside =
    `${server.pathname}/`.startsWith(folder) && (own.search === '' || own.search === server.search)
  return own.origin === server.origin && own.hash === '' && isInside
}

/** MCP, "Canonical server URI": no fragment, and no slash at the end. */
export function canonical(serverUrl: string): string {
  const { origin, pathname, search } = new URL(serverUrl)
  return `${origin}${pathname.replace(/\/$/, '')}${search}`
}
