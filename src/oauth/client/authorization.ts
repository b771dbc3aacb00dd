import { createHash, randomBytes } from 'node:crypto'
import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { isLoopbackHost } from './addresses.ts'
import type { AuthorizationServer, OAuthClient } from './authorization-server.ts'
import { needsConsent } from './scopes.ts'

/** What has to be kept between the request and its answer. */
export interface Leg {
  readonly state: string
  readonly verifier: SecretValue
  /** To be opened by the user; holds nothing secret. */
  readonly url: string
}

/**
 * The authorization request (OAuth 2.1, 4.1.1; RFC 7636, RFC 8707).
 *
 * @returns one public sentence when the endpoint is not an address that a browser should open
 */
export function requestAuthorization(
  server: AuthorizationServer,
  client: Pick<OAuthClient, 'clientId' | 'redirectUri'>,
  wanted: { readonly scopes: readonly string[]; readonly resource: string },
): Result<Leg, string> {
  if (server.authorization_endpoint === undefined)
    return err('the authorization server has no page to authorize at, only device codes: say --device')
  const url = browserAddress(server.authorization_endpoint)
  if (url === undefined) return err('the authorization endpoint is not an https address')
  const state = mintState()
  const verifier = randomBytes(32).toString('base64url')
  const { scopes, resource } = wanted
  const parameters = {
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    resource,
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    ...(needsConsent(scopes) ? { prompt: 'consent' } : {}),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return ok({ state, verifier: new SecretValue(verifier), url: url.href })
}

/** 256 bits: whoever brings it back has begun it, or was sent by who has. */
export const mintState = (): string => randomBytes(32).toString('base64url')

/** What a browser may be sent to: https, or http on a loopback address. */
export function browserAddress(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const safe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname))
  return safe ? url : undefined
}

/** Codes of RFC 6749, 4.1.2.1 and OpenID Connect; nothing else of what a stranger wrote into an address is shown. */
const KNOWN = new Set(
  'access_denied invalid_request unauthorized_client unsupported_response_type invalid_scope server_error temporarily_unavailable login_required consent_required interaction_required invalid_target'.split(
    ' ',
  ),
)

/**
 * Checks the answer to an authorization request, whose `state` has led here. `iss` is compared before anything else is
 * looked at: of an answer that another issuer gave, not even the error is repeated (RFC 9207, 2.4).
 */
export function checkCallback(
  server: Pick<AuthorizationServer, 'issuer' | 'authorization_response_iss_parameter_supported'>,
  answer: URLSearchParams,
): Result<void, string> {
  for (const name of ['state', 'code', 'iss', 'error'])
    if (answer.getAll(name).length > 1) return err('the answer repeats a parameter')
  const iss = answer.get('iss')
  if (iss === null && server.authorization_response_iss_parameter_supported)
    return err('the answer does not say which authorization server gave it, though that one always does')
  if (iss !== null && iss !== server.issuer)
    return err(
      'the answer comes from another authorization server than the one that was asked; if its endpoints were given by hand, say with --issuer which it is',
    )
  const error = answer.get('error')
  if (error !== null)
    return err(
      error === 'access_denied'
        ? 'the authorization was denied'
        : `the authorization server refused${KNOWN.has(error) ? ` (${error})` : ''}`,
    )
  return answer.get('code') === null ? err('the answer holds no code') : ok(undefined)
}
