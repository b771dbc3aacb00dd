import { createHash, randomBytes } from 'node:crypto'
import type * as oauth from 'oauth4webapi'
import { err, ok, type Result } from '../../lib/result.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import { browserAddress, checkCallback } from './authorization.ts'
import { Unreachable } from './guarded-fetch.ts'
import { authenticationOf } from './client-authentication.ts'
import { loadLibrary, throughFetcher, type Library } from './library.ts'
import { createProviders, TIMEOUT_MS, type KnownProvider } from './sign-in-provider.ts'

/** An OpenID Connect provider, as an administrator has described it. */
export interface SignInProvider {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: SecretValue | undefined
  readonly scopes: readonly string[]
  /** Claims that are looked for in the user info where the id_token lacks them. */
  readonly wanted: readonly string[]
}

/** What has to be kept between the authentication request and its answer. Secret but for `redirectUri`. */
export interface SignInLeg {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly redirectUri: string
}

/** Claims of an id_token whose signature, issuer, audience, times and nonce are good, and of the user info. */
export type Claims = Readonly<Record<string, unknown>> & { readonly sub: string }

/** OpenID Connect Core 1.0, section 3.1 (authorization code), with PKCE (RFC 7636) always. */
export interface SignInClient {
  /** @returns the address for the browser, or one public sentence */
  authenticationUrl(provider: SignInProvider, leg: SignInLeg): Promise<Result<string, string>>
  /**
   * @param answer parameters of the callback, whose `state` has led here
   * @returns who it is, or one public sentence
   */
  identify(provider: SignInProvider, leg: SignInLeg, answer: URLSearchParams): Promise<Result<Claims, string>>
  close(): Promise<void>
}

/** Verifier and nonce for one sign-in, and whatever else has to be unguessable. */
export const mintRandom = (): string => randomBytes(32).toString('base64url')

/** Id_tokens of providers whose clocks are this much ahead or behind. */
const CLOCK_TOLERANCE_SECONDS = 60
/** Answers that are being worked on at once: each asks the provider, and a stranger can begin one. */
const AT_ONCE = 32

export function createSignInClient(tickMs: () => number): SignInClient {
  const providers = createProviders(tickMs)
  let running = 0
  return {
    async authenticationUrl(provider, leg) {
      const known = await providers.find(provider.issuer)
      return known.ok ? authenticationRequest(known.value, provider, leg) : known
    },
    async identify(provider, leg, answer) {
      const known = await providers.find(provider.issuer)
      if (!known.ok) return known
      const { issuer, authorization_response_iss_parameter_supported } = known.value.server
      const good = checkCallback(
        {
          issuer,
          authorization_response_iss_parameter_supported:
            authorization_response_iss_parameter_supported === true,
        },
        answer,
      )
      if (!good.ok) return good
      if (running >= AT_ONCE) return err('too many sign-ins at once; try again in a few seconds')
      running += 1
      try {
        return ok(await exchange(known.value, { provider, leg, answer }))
      } catch (thrown) {
        return err(problemOf(thrown))
      } finally {
        running -= 1
      }
    },
    close: () => providers.close(),
  }
}

function authenticationRequest(
  { server }: KnownProvider,
  { clientId, scopes }: SignInProvider,
  { state, nonce, verifier, redirectUri }: SignInLeg,
): Result<string, string> {
  const url = browserAddress(server.authorization_endpoint ?? '')
  if (url === undefined)
    return err('the authorization endpoint of the identity provider is not an https address')
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: [...new Set(['openid', ...scopes])].join(' '),
    state,
    nonce,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return ok(url.href)
}

interface Exchange {
  readonly provider: SignInProvider
  readonly leg: SignInLeg
  readonly answer: URLSearchParams
}

/** @throws what the library throws, `Unreachable` */
async function exchange(
  { server, fetcher }: KnownProvider,
  { provider, leg, answer }: Exchange,
): Promise<Claims> {
  const library = await loadLibrary()
  const client = { client_id: provider.clientId, [library.clockTolerance]: CLOCK_TOLERANCE_SECONDS }
  const options = throughFetcher(library, fetcher, TIMEOUT_MS)
  const response = await library.authorizationCodeGrantRequest(
    server,
    client,
    clientAuthentication(library, server, provider),
    library.validateAuthResponse(server, client, answer, leg.state),
    leg.redirectUri,
    leg.verifier,
    options,
  )
  const tokens = await library.processAuthorizationCodeResponse(server, client, response, {
    expectedNonce: leg.nonce,
    requireIdToken: true,
  })
  // It came over a connection to the provider itself, which would do (OpenID Connect Core, 3.1.3.7, 6); a proxy that
  // looks into connections then could be anybody.
  await library.validateApplicationLevelSignature(server, response, options)
  const claims = library.getValidatedIdTokenClaims(tokens)
  if (claims === undefined) throw new Error('the library has found no id_token, though it wants one')
  const complete = provider.wanted.every((name) => claims[name] !== undefined)
  if (complete || server.userinfo_endpoint === undefined) return claims
  const asked = await library.userInfoRequest(server, client, tokens.access_token, options)
  const more = await library.processUserInfoResponse(server, client, claims.sub, asked)
  return Object.assign({}, more, claims)
}

function clientAuthentication(
  library: Library,
  { token_endpoint_auth_methods_supported: methods }: oauth.AuthorizationServer,
  { clientId, clientSecret: secret }: SignInProvider,
): oauth.ClientAuth {
  if (secret === undefined) return library.None()
  // OpenID Connect Discovery 1.0, section 3: without a list it is Basic.
  const basic = methods === undefined || methods.includes('client_secret_basic')
  return authenticationOf(library, {
    clientId,
    secret,
    method: basic ? 'client_secret_basic' : 'client_secret_post',
  })
}

/** Nothing that a provider has written is repeated but the codes of RFC 6749, 5.2. */
function problemOf(thrown: unknown): string {
  if (thrown instanceof Unreachable) return `the identity provider was asked who it is: ${thrown.message}`
  const { error, code, name } = thrown as { error?: unknown; code?: unknown; name?: unknown }
  if (typeof error === 'string')
    return `the identity provider refused${/^invalid_(?:client|grant|request|scope)$|^unauthorized_client$/.test(error) ? ` (${error})` : ''}`
  const known = typeof code === 'string' && code.startsWith('OAUTH_')
  if (
    known ||
    name === 'OperationProcessingError' ||
    name === 'UnsupportedOperationError' ||
    name === 'DataError'
  )
    return 'the answer of the identity provider cannot be trusted: a signature, an issuer, an audience or a time in it is wrong'
  throw thrown
}
