import { err, ok, type Result } from '../../lib/result.ts'
import { readChallenge, readScopes, type Challenge } from './challenge.ts'
import { Unreachable, type Fetcher } from './guarded-fetch.ts'
import type { AuthorizationServer, Resource } from './authorization-server.ts'

export interface Found {
  readonly resource: Resource
  readonly authorizationServer: AuthorizationServer
  /** Of the server, when it was asked without a token. */
  readonly challenge: Challenge
}

const TIMEOUT_MS = 5000
const MAX_LISTED = 16

/**
 * From the url of a Server to the authorization server that issues tokens for it (MCP, "Authorization server
 * discovery"): the challenge, RFC 9728, RFC 8414 or OpenID Connect Discovery.
 *
 * @param preferred an issuer to stay with, where the server still names it
 * @returns one public sentence where it cannot be done
 */
export async function discover(
  serverUrl: string,
  fetcher: Fetcher,
  preferred: string | undefined,
): Promise<Result<Found, string>> {
  try {
    const challenge = await askWithoutToken(serverUrl, fetcher)
    const metadata = await resourceMetadata(serverUrl, fetcher, challenge)
    if (!metadata.ok) return metadata
    const { issuers, resource } = metadata.value
    const issuer = issuers.find((one) => one === preferred) ?? issuers[0]
    if (issuer === undefined) return err('the server names no authorization server')
    const found = await authorizationServer(issuer, fetcher)
    return found.ok ? ok({ resource, authorizationServer: found.value, challenge }) : found
  } catch (thrown) {
    if (thrown instanceof Unreachable)
      return err(`the way to the authorization server ends: ${thrown.message}`)
    throw thrown
  }
}

const MODERN = '2026-07-28'
const PROBE = JSON.stringify({
  jsonrpc: '2.0',
  id: 'castellan-authorize',
  method: 'server/discover',
  params: {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': MODERN,
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
})

/** A server of either era answers 401 before it looks at the method. */
async function askWithoutToken(serverUrl: string, fetcher: Fetcher): Promise<Challenge> {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': MODERN,
    'mcp-method': 'server/discover',
  }
  const answer = await fetcher.send(serverUrl, { method: 'POST', headers, body: PROBE }, TIMEOUT_MS)
  const header = answer.status === 401 ? answer.headers.get('www-authenticate') : null
  return readChallenge(header ?? undefined)
}

interface ResourceMetadata {
  readonly resource: Resource
  readonly issuers: readonly string[]
}

async function resourceMetadata(
  serverUrl: string,
  fetcher: Fetcher,
  challenge: Challenge,
): Promise<Result<ResourceMetadata, string>> {
  const candidates =
    challenge.resourceMetadata === undefined ? wellKnownResource(serverUrl) : [challenge.resourceMetadata]
  for (const candidate of candidates) {
    const document = await getJson(candidate, fetcher)
    if (document === undefined) continue
    const identifier = text(document, 'resource')
    if (identifier === undefined || !covers(identifier, serverUrl))
      return err(
        'the metadata of the server describes another resource, so its authorization server is not used',
      )
    return ok({
      resource: { identifier, scopes: scopes(document) },
      issuers: texts(document, 'authorization_servers') ?? [],
    })
  }
  if (challenge.resourceMetadata !== undefined)
    return err('the server names an address for its metadata where there is none')
  // Servers of 2025-03-26 are their own authorization server, at the root of their origin.
  const { origin } = new URL(serverUrl)
  return ok({ resource: { identifier: canonical(serverUrl), scopes: [] }, issuers: [origin] })
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
  return own.origin === server.origin && own.hash === '' && `${server.pathname}/`.startsWith(folder)
}

/** MCP, "Canonical server URI": no fragment, and no slash at the end. */
function canonical(serverUrl: string): string {
  const { origin, pathname, search } = new URL(serverUrl)
  return `${origin}${pathname.replace(/\/$/, '')}${search}`
}

/**
 * Metadata of an authorization server. A document whose `issuer` is not the very text that the address was made of
 * says nothing (RFC 8414, 3.3), and one without S256 is not used (MCP, "Authorization code protection").
 */
async function authorizationServer(
  issuer: string,
  fetcher: Fetcher,
): Promise<Result<AuthorizationServer, string>> {
  if (!URL.canParse(issuer)) return err('the server names an authorization server that is no address')
  let problem = 'the authorization server publishes no metadata'
  for (const candidate of wellKnownIssuer(issuer)) {
    const document = await getJson(candidate, fetcher)
    if (document === undefined) continue
    const read = readMetadata(document, issuer)
    if (read.ok) return read
    problem = read.error
  }
  return err(problem)
}

/** MCP, "Authorization server metadata discovery": path inserted (RFC 8414, OpenID Connect), then appended. */
export function wellKnownIssuer(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const inserted = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}/.well-known/openid-configuration${path}`,
  ]
  return path === '' ? inserted : [...inserted, `${origin}${path}/.well-known/openid-configuration`]
}

type Json = Readonly<Record<string, unknown>>

function readMetadata(document: Json, issuer: string): Result<AuthorizationServer, string> {
  if (document['issuer'] !== issuer)
    return err('the metadata of the authorization server is about another issuer, so it is not used')
  const authorize = text(document, 'authorization_endpoint')
  const token = text(document, 'token_endpoint')
  if (authorize === undefined || token === undefined)
    return err('the metadata of the authorization server lacks an endpoint')
  if (!(texts(document, 'code_challenge_methods_supported') ?? []).includes('S256'))
    return err('the authorization server does not say that it supports PKCE with S256')
  return ok({
    issuer,
    authorization_endpoint: authorize,
    token_endpoint: token,
    registration_endpoint: text(document, 'registration_endpoint'),
    revocation_endpoint: text(document, 'revocation_endpoint'),
    scopes_supported: scopes(document),
    token_endpoint_auth_methods_supported: texts(document, 'token_endpoint_auth_methods_supported'),
    authorization_response_iss_parameter_supported:
      document['authorization_response_iss_parameter_supported'] === true,
    client_id_metadata_document_supported: document['client_id_metadata_document_supported'] === true,
  })
}

/** Undefined where there is no such document: the next address may have one. */
async function getJson(address: string, fetcher: Fetcher): Promise<Json | undefined> {
  const headers = { accept: 'application/json', 'mcp-protocol-version': MODERN }
  const answer = await fetcher.send(address, { method: 'GET', headers }, TIMEOUT_MS)
  if (answer.status !== 200) return undefined
  try {
    const parsed: unknown = await answer.json()
    return typeof parsed === 'object' && parsed !== null ? (parsed as Json) : undefined
  } catch {
    // A page for people, at an address that knows no metadata.
    return undefined
  }
}

const MAX_TEXT = 2048

function text(document: Json, field: string): string | undefined {
  const value = document[field]
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined
}

function texts(document: Json, field: string): readonly string[] | undefined {
  const value = document[field]
  if (!Array.isArray(value)) return undefined
  return (value as unknown[])
    .filter((one): one is string => typeof one === 'string' && one.length <= MAX_TEXT)
    .slice(0, MAX_LISTED)
}

function scopes(document: Json): readonly string[] {
  const value = document['scopes_supported']
  if (!Array.isArray(value)) return []
  return readScopes(
    (value as unknown[])
      .filter((one) => typeof one === 'string')
      .slice(0, 256)
      .join(' '),
  )
}
