import type * as oauth from 'oauth4webapi'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Leg } from './authorization.ts'
import { readScopes } from './challenge.ts'
import type { AuthorizationServer, OAuthClient, Tokens } from './authorization-server.ts'
import { Unreachable, type Fetcher } from './guarded-fetch.ts'

const TIMEOUT_MS = 30_000

/** Where tokens come from, as whom and for what. */
export interface TokenSource {
  readonly authorizationServer: AuthorizationServer
  readonly client: OAuthClient
  /** Goes along in every request (RFC 8707). */
  readonly resource: string
  readonly fetcher: Fetcher
  readonly nowMs: () => number
}

export interface Issued {
  readonly tokens: Tokens
  /** Undefined: as they were asked for (RFC 6749, 5.1). */
  readonly scopes: readonly string[] | undefined
}

export interface TokenFailure {
  /** One public sentence. */
  readonly message: string
  /** `invalid_grant` and the like: trying again would not help. */
  readonly final: boolean
}

type Library = typeof oauth

/** Loaded with the first authorization: a daemon without OAuth grants does without. */
const loadLibrary = (): Promise<Library> => import('oauth4webapi')

/** @param answer what `checkCallback` has found to be good; the library looks at it once more */
export async function exchangeCode(
  source: TokenSource,
  leg: Pick<Leg, 'state' | 'verifier'>,
  answer: URLSearchParams,
): Promise<Result<Issued, TokenFailure>> {
  const library = await loadLibrary()
  const { server, client, authentication, options } = parametersOf(library, source)
  return issuedFrom(source, async () => {
    const response = await library.authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      library.validateAuthResponse(server, client, answer, leg.state),
      source.client.redirectUri,
      leg.verifier.reveal(),
      options,
    )
    return library.processAuthorizationCodeResponse(server, client, response)
  })
}

/** The new tokens; a refresh token that is not rotated stays the one that there was. */
export async function refreshTokens(
  source: TokenSource,
  refresh: SecretValue,
): Promise<Result<Issued, TokenFailure>> {
  const library = await loadLibrary()
  const { server, client, authentication, options } = parametersOf(library, source)
  const issued = await issuedFrom(source, async () => {
    const response = await library.refreshTokenGrantRequest(
      server,
      client,
      authentication,
      refresh.reveal(),
      options,
    )
    return library.processRefreshTokenResponse(server, client, response)
  })
  if (!issued.ok || issued.value.tokens.refresh !== undefined) return issued
  return ok({ ...issued.value, tokens: { ...issued.value.tokens, refresh } })
}

/** RFC 7009. True where the authorization server says that the token is gone. */
export async function revokeToken(source: TokenSource, token: SecretValue): Promise<boolean> {
  if (source.authorizationServer.revocation_endpoint === undefined) return false
  const library = await loadLibrary()
  const { server, client, authentication, options } = parametersOf(library, source)
  try {
    const response = await library.revocationRequest(server, client, authentication, token.reveal(), options)
    await library.processRevocationResponse(response)
    return true
  } catch {
    // It stays valid until it runs out; the caller says so.
    return false
  }
}

async function issuedFrom(
  source: TokenSource,
  request: () => Promise<oauth.TokenEndpointResponse>,
): Promise<Result<Issued, TokenFailure>> {
  try {
    const answer = await request()
    if (answer.token_type !== 'bearer')
      return err({
        message: 'the authorization server gave a token of a kind that is not Bearer',
        final: true,
      })
    const nowMs = source.nowMs()
    const { access_token, refresh_token, expires_in, scope } = answer
    return ok({
      tokens: {
        access: new SecretValue(access_token),
        refresh: refresh_token === undefined ? undefined : new SecretValue(refresh_token),
        expiresAtMs: expires_in === undefined ? undefined : nowMs + expires_in * 1000,
        obtainedAtMs: nowMs,
      },
      scopes: scope === undefined ? undefined : readScopes(scope),
    })
  } catch (thrown) {
    return err(failureOf(thrown))
  }
}

/** Codes of RFC 6749, 5.2 and RFC 8707; anything else that an authorization server writes is not repeated. */
const KNOWN = new Set(
  'invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope invalid_target'.split(
    ' ',
  ),
)

function failureOf(thrown: unknown): TokenFailure {
  if (thrown instanceof Unreachable)
    return { message: `the authorization server was asked for a token: ${thrown.message}`, final: false }
  const { error, cause, code } = thrown as { error?: unknown; cause?: unknown; code?: unknown }
  if (typeof error === 'string')
    return {
      message: `the authorization server refused to give a token${KNOWN.has(error) ? ` (${error})` : ''}`,
      final: error !== 'temporarily_unavailable' && error !== 'server_error',
    }
  if (typeof code !== 'string' || !code.startsWith('OAUTH_')) throw thrown
  const away = cause instanceof Response && (cause.status >= 500 || cause.status === 429)
  return { message: 'the answer of the token endpoint cannot be used', final: !away }
}

function parametersOf(
  library: Library,
  source: TokenSource,
): {
  readonly server: oauth.AuthorizationServer
  readonly client: oauth.Client
  readonly authentication: oauth.ClientAuth
  readonly options: oauth.TokenEndpointRequestOptions
} {
  const { issuer, token_endpoint, revocation_endpoint } = source.authorizationServer
  return {
    server: { issuer, token_endpoint, ...(revocation_endpoint === undefined ? {} : { revocation_endpoint }) },
    client: { client_id: source.client.clientId },
    authentication: authenticationOf(library, source.client),
    options: {
      additionalParameters: { resource: source.resource },
      // The fetcher decides where `http:` is allowed.
      [library.allowInsecureRequests]: true,
      [library.customFetch]: (url, { method, headers, body }) =>
        source.fetcher.send(url, { method, headers, body: body?.toString() }, TIMEOUT_MS),
    },
  }
}

/** How the client proves itself at the token endpoint. */
export function authenticationOf(
  library: Library,
  { method, secret, clientId }: Pick<OAuthClient, 'method' | 'secret' | 'clientId'>,
): oauth.ClientAuth {
  if (method === 'none' || secret === undefined) return library.None()
  if (method === 'client_secret_post') return library.ClientSecretPost(secret.reveal())
  // RFC 6749, 2.3.1, in the form of RFC 6749, appendix B. The library's own also escapes what this form leaves
  // alone (`-`), and servers that do not decode it then know nobody by that name.
  return (_server, _client, _body, headers) => {
    const pair = Buffer.from(`${formEncode(clientId)}:${formEncode(secret.reveal())}`)
    headers.set('authorization', `Basic ${pair.toString('base64')}`)
  }
}

const formEncode = (value: string): string => new URLSearchParams({ v: value }).toString().slice(2)
