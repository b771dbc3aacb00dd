import { err, ok, type Result } from '../../lib/result.ts'
import { browserAddress } from './authorization.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import { getDocument, scopesOf, textOf, textsOf, type Document } from './document.ts'
import type { Fetcher } from './guarded-fetch.ts'

/**
 * Metadata of an authorization server (RFC 8414, OpenID Connect Discovery). A document whose `issuer` is not the very
 * text that the address was made of says nothing (RFC 8414, 3.3), and one without S256 is not used (MCP,
 * "Authorization code protection").
 *
 * @param withoutPkce take one that does not say that it supports PKCE, which is used all the same
 * @returns undefined where there is no metadata; one public sentence where it cannot be used
 * @throws Unreachable
 */
export async function findAuthorizationServer(
  issuer: string,
  fetcher: Fetcher,
  withoutPkce: boolean,
): Promise<Result<AuthorizationServer | undefined, string>> {
  if (!URL.canParse(issuer)) return err('the server names an authorization server that is no address')
  let problem: string | undefined
  for (const candidate of wellKnownIssuer(issuer)) {
    const document = await getDocument(candidate, fetcher)
    if (document === undefined) continue
    const read = readMetadata(document, issuer, withoutPkce)
    if (read.ok) return read
    problem = read.error
  }
  return problem === undefined ? ok(undefined) : err(problem)
}

/** MCP 2025-03-26, "Fallbacks for servers without metadata discovery"; nothing says that such a server supports PKCE. */
export const serverOf20250326 = (origin: string): AuthorizationServer => ({
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  registration_endpoint: `${origin}/register`,
  scopes_supported: [],
  token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
  authorization_response_iss_parameter_supported: false,
  client_id_metadata_document_supported: false,
})

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

const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'registration_endpoint',
  'revocation_endpoint',
  'device_authorization_endpoint',
] as const

function readMetadata(
  document: Document,
  issuer: string,
  withoutPkce: boolean,
): Result<AuthorizationServer, string> {
  if (document['issuer'] !== issuer)
    return err('the metadata of the authorization server is about another issuer, so it is not used')
  const endpoints = Object.fromEntries(ENDPOINTS.map((name) => [name, textOf(document, name)])) as Readonly<
    Record<(typeof ENDPOINTS)[number], string | undefined>
  >
  const { authorization_endpoint, token_endpoint, device_authorization_endpoint } = endpoints
  if (token_endpoint === undefined || (authorization_endpoint ?? device_authorization_endpoint) === undefined)
    return err('the metadata of the authorization server lacks an endpoint')
  for (const address of Object.values(endpoints))
    if (address !== undefined && browserAddress(address) === undefined)
      return err('an endpoint in the metadata of the authorization server is not an https address')
  const hasS256 = textsOf(document, 'code_challenge_methods_supported')?.includes('S256') === true
  if (authorization_endpoint !== undefined && !hasS256 && !withoutPkce)
    return err(
      'the authorization server does not say that it supports PKCE with S256; whoever knows that it does can say --allow-without-pkce-advertised',
    )
  return ok({
    ...endpoints,
    issuer,
    token_endpoint,
    scopes_supported: scopesOf(document),
    grant_types_supported: textsOf(document, 'grant_types_supported'),
    token_endpoint_auth_methods_supported: textsOf(document, 'token_endpoint_auth_methods_supported'),
    authorization_response_iss_parameter_supported:
      document['authorization_response_iss_parameter_supported'] === true,
    client_id_metadata_document_supported: document['client_id_metadata_document_supported'] === true,
  })
}
