import { createHash, randomBytes } from 'node:crypto'
import type * as oauth from 'oauth4webapi'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Clock } from '../../lib/clock.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import { browserAddress, checkCallback } from './authorization.ts'
import { Unreachable } from './guarded-fetch.ts'
import { authenticationOf } from './client-authentication.ts'
import { loadLibrary, throughFetcher } from './library.ts'
import { createProviders, TIMEOUT_MS, type KnownProvider } from './sign-in-provider.ts'
import {
  clientAt,
  rememberedServer,
  renewSignIn,
  revokeSignIn,
  type SignInRefresh,
} from './sign-in-renewal.ts'
import { issuedFrom, type Issued, type TokenFailure } from './token-answer.ts'

/** An OpenID Connect provider, as an administrator has described it. */
export interface SignInProvider {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: SecretValue | undefined
  readonly scopes: readonly string[]
  /** Claims that are looked for in the user info where the id_token lacks them. */
  readonly wanted: readonly string[]
  /** What it issues has to live on while nobody is at a browser. */
  readonly offline: boolean
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

/** Who somebody is, and what their provider has issued with that. */
export interface Identified {
  readonly claims: Claims
  readonly server: AuthorizationServer
  /** Undefined: what it issued besides the id_token is of no use. */
  readonly issued: Issued | undefined
}

/** OpenID Connect Core 1.0, section 3.1 (authorization code), with PKCE (RFC 7636) always. */
export interface SignInClient {
  /** @returns the address for the browser, or one public sentence */
  authenticationUrl(provider: SignInProvider, leg: SignInLeg): Promise<Result<string, string>>
  /**
   * @param answer parameters of the callback, whose `state` has led here
   * @returns who it is, or one public sentence
   */
  identify(
    provider: SignInProvider,
    leg: SignInLeg,
    answer: URLSearchParams,
  ): Promise<Result<Identified, string>>
  /**
   * What the provider issues in place of what it issued before; with an id_token where it gives one.
   *
   * @param of the refresh token, and the subject that an id_token must be about
   */
  renew(provider: SignInProvider, of: SignInRefresh): Promise<Result<Issued, TokenFailure>>
  /** RFC 7009. @returns whether the provider says that it is gone */
  revoke(provider: SignInProvider, refresh: SecretValue): Promise<boolean>
  close(): Promise<void>
}

/** Verifier and nonce for one sign-in, and whatever else has to be unguessable. */
export const mintRandom = (): string => randomBytes(32).toString('base64url')

/** Id_tokens of providers whose clocks are this much ahead or behind. */
const CLOCK_TOLERANCE_SECONDS = 60
/** Answers that are being worked on at once: each asks the provider, and a stranger can begin one. */
const AT_ONCE = 32

export function createSignInClient({ tickMs, nowMs }: Pick<Clock, 'tickMs' | 'nowMs'>): SignInClient {
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
        return ok(await exchange(known.value, { provider, leg, answer, nowMs }))
      } catch (thrown) {
        return err(problemOf(thrown))
      } finally {
        running -= 1
      }
    },
    async renew(provider, of) {
      const known = await providers.find(provider.issuer)
      return known.ok
        ? renewSignIn(known.value, { provider, of, nowMs })
        : err({ message: known.error, final: false, code: undefined })
    },
    async revoke(provider, refresh) {
      const known = await providers.find(provider.issuer)
      return known.ok && revokeSignIn(known.value, { provider, refresh, nowMs })
    },
    close: () => providers.close(),
  }
}

const OFFLINE = 'offline_access'

/**
 * Refresh tokens are asked for with `offline_access` and the user's consent (OpenID Connect Core 1.0, section 11), unless
 * the provider says that it knows no such scope, or an administrator names it among the scopes: then they have settled
 * it with the provider, and users are not asked each time.
 */
function offlineParameters(
  { scopes_supported: supported }: oauth.AuthorizationServer,
  { offline, scopes }: SignInProvider,
): { readonly scopes: readonly string[]; readonly prompt?: string } {
  const asks = offline && !scopes.includes(OFFLINE) && supported?.includes(OFFLINE) !== false
  return asks ? { scopes: [...scopes, OFFLINE], prompt: 'consent' } : { scopes }
}

function authenticationRequest(
  { server }: KnownProvider,
  provider: SignInProvider,
  { state, nonce, verifier, redirectUri }: SignInLeg,
): Result<string, string> {
  const url = browserAddress(server.authorization_endpoint ?? '')
  if (url === undefined)
    return err('the authorization endpoint of the identity provider is not an https address')
  const { scopes, ...more } = offlineParameters(server, provider)
  const parameters = {
    response_type: 'code',
    client_id: provider.clientId,
    redirect_uri: redirectUri,
    scope: [...new Set(['openid', ...scopes])].join(' '),
    state,
    nonce,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return ok(url.href)
}

interface Exchange {
  readonly provider: SignInProvider
  readonly leg: SignInLeg
  readonly answer: URLSearchParams
  readonly nowMs: () => number
}

/** @throws what the library throws, `Unreachable` */
async function exchange(
  { server, fetcher }: KnownProvider,
  { provider, leg, answer, nowMs }: Exchange,
): Promise<Identified> {
  const library = await loadLibrary()
  const client = { client_id: provider.clientId, [library.clockTolerance]: CLOCK_TOLERANCE_SECONDS }
  const options = throughFetcher(library, fetcher, TIMEOUT_MS)
  const response = await library.authorizationCodeGrantRequest(
    server,
    client,
    authenticationOf(library, clientAt(server, provider)),
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
  if (claims === undefined || tokens.id_token === undefined)
    throw new Error('the library has found no id_token, though it wants one')
  const issued = await issuedFrom(nowMs, () => Promise.resolve(tokens))
  const idToken = { value: new SecretValue(tokens.id_token), expiresAtMs: claims.exp * 1000 }
  const kept = {
    server: rememberedServer(server),
    issued: issued.ok ? { ...issued.value, idToken } : undefined,
  }
  const complete = provider.wanted.every((name) => claims[name] !== undefined)
  if (complete || server.userinfo_endpoint === undefined) return { ...kept, claims }
  const asked = await library.userInfoRequest(server, client, tokens.access_token, options)
  const more = await library.processUserInfoResponse(server, client, claims.sub, asked)
  return { ...kept, claims: Object.assign({}, more, claims) }
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
