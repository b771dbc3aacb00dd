import type * as oauth from 'oauth4webapi'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { AuthorizationServer, OAuthClient } from './authorization-server.ts'
import { authenticationOf } from './client-authentication.ts'
import { loadLibrary, throughFetcher, type Library } from './library.ts'
import { revokeToken } from './revocation.ts'
import { TIMEOUT_MS, type KnownProvider } from './sign-in-provider.ts'
import { issuedFrom, readSignInAnswer, type IdToken, type Issued, type TokenFailure } from './token-answer.ts'

/** As whom we are known to a provider at which people sign in. */
export interface SignInIdentity {
  readonly clientId: string
  readonly clientSecret: SecretValue | undefined
}

/** What goes on with a sign-in after its browser is closed. */
export interface SignInRefresh {
  readonly refresh: SecretValue
  /** `sub` of whoever has signed in. */
  readonly subject: string
}

interface Asked {
  readonly provider: SignInIdentity
  readonly nowMs: () => number
}

export function clientAt(
  { token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer,
  { clientId, clientSecret: secret }: SignInIdentity,
): OAuthClient {
  // OpenID Connect Discovery 1.0, section 3: without a list it is Basic.
  const basic = methods === undefined || methods.includes('client_secret_basic')
  const withSecret = basic ? 'client_secret_basic' : 'client_secret_post'
  return {
    clientId,
    secret,
    method: secret === undefined ? 'none' : withSecret,
    redirectUri: '',
    from: 'user',
  }
}

export const rememberedServer = (server: oauth.AuthorizationServer): AuthorizationServer => ({
  issuer: server.issuer,
  token_endpoint: server.token_endpoint ?? server.issuer,
  revocation_endpoint: server.revocation_endpoint,
  scopes_supported: [],
  authorization_response_iss_parameter_supported: false,
  client_id_metadata_document_supported: false,
})

/** OpenID Connect Core 1.0, section 12: an id_token that comes along is about the same person, or nothing of it is taken. */
export async function renewSignIn(
  { server, fetcher }: KnownProvider,
  { provider, of, nowMs }: Asked & { readonly of: SignInRefresh },
): Promise<Result<Issued, TokenFailure>> {
  const library = await loadLibrary()
  const client = { client_id: provider.clientId }
  let found: { readonly subject: string; readonly idToken: IdToken } | undefined
  const issued = await issuedFrom(nowMs, async () => {
    const response = await library.refreshTokenGrantRequest(
      server,
      client,
      authenticationOf(library, clientAt(server, provider)),
      of.refresh.reveal(),
      throughFetcher(library, fetcher, TIMEOUT_MS, readSignInAnswer),
    )
    const tokens = await library.processRefreshTokenResponse(server, client, response)
    found = await identityIn(library, { server, fetcher }, tokens, response)
    return tokens
  })
  if (!issued.ok) return issued
  if (found !== undefined && found.subject !== of.subject) return err(STRANGER)
  const { tokens, scopes } = issued.value
  return ok({
    tokens: { ...tokens, refresh: tokens.refresh ?? of.refresh },
    scopes,
    idToken: found?.idToken,
  })
}

const STRANGER: TokenFailure = {
  message: 'the identity provider answered with a sign-in of somebody else; sign in again: castellan login',
  final: true,
  code: undefined,
}

/** @throws what the library throws */
async function identityIn(
  library: Library,
  { server, fetcher }: KnownProvider,
  tokens: oauth.TokenEndpointResponse,
  response: Response,
): Promise<{ readonly subject: string; readonly idToken: IdToken } | undefined> {
  const claims = library.getValidatedIdTokenClaims(tokens)
  if (claims === undefined || tokens.id_token === undefined) return undefined
  await library.validateApplicationLevelSignature(
    server,
    response,
    throughFetcher(library, fetcher, TIMEOUT_MS),
  )
  const idToken = { value: new SecretValue(tokens.id_token), expiresAtMs: claims.exp * 1000 }
  return { subject: claims.sub, idToken }
}

/** RFC 7009. */
export const revokeSignIn = (
  { server, fetcher }: KnownProvider,
  { provider, refresh, nowMs }: Asked & { readonly refresh: SecretValue },
): Promise<boolean> =>
  revokeToken(
    {
      authorizationServer: rememberedServer(server),
      client: clientAt(server, provider),
      resource: '',
      fetcher,
      nowMs,
    },
    refresh,
    'refresh_token',
  )
