import type * as oauth from 'oauth4webapi'
import { ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Leg } from './authorization.ts'
import { loadLibrary } from './library.ts'
import { issuedFrom, type Issued, type TokenFailure } from './token-answer.ts'
import { parametersOf, type TokenSource } from './token-source.ts'

/** @param answer what `checkCallback` has found to be good; the library looks at it once more */
export async function exchangeCode(
  source: TokenSource,
  leg: Pick<Leg, 'state' | 'verifier'>,
  answer: URLSearchParams,
): Promise<Result<Issued, TokenFailure>> {
  const library = await loadLibrary()
  const { server, client, authentication, options } = parametersOf(library, source)
  return issuedFrom(source.nowMs, async () => {
    const response = await library.authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      library.validateAuthResponse(server, client, answer, leg.state),
      source.client.redirectUri,
      leg.verifier.reveal(),
      { ...options, additionalParameters: { resource: source.resource } },
    )
    return library.processAuthorizationCodeResponse(server, client, response)
  })
}

/** The new tokens; a refresh token that is not rotated stays the one that there was. */
export async function refreshTokens(
  source: TokenSource,
  refresh: SecretValue,
): Promise<Result<Issued, TokenFailure>> {
  const issued = await requestTokens(source, 'refresh_token', { refresh_token: refresh })
  if (!issued.ok || issued.value.tokens.refresh !== undefined) return issued
  return ok({ ...issued.value, tokens: { ...issued.value.tokens, refresh } })
}

/**
 * A grant of any type (RFC 6749, 4.5), with `resource` in it.
 *
 * @param look is shown the answer, for what only this type of grant answers with
 */
export async function requestTokens(
  source: TokenSource,
  grantType: string,
  parameters: Readonly<Record<string, string | SecretValue>>,
  look: (answer: oauth.TokenEndpointResponse) => void = () => undefined,
): Promise<Result<Issued, TokenFailure>> {
  const library = await loadLibrary()
  const { server, client, authentication, options } = parametersOf(library, source)
  const sent = new URLSearchParams({ resource: source.resource })
  for (const [name, value] of Object.entries(parameters))
    sent.set(name, value instanceof SecretValue ? value.reveal() : value)
  return issuedFrom(source.nowMs, async () => {
    const response = await library.genericTokenEndpointRequest(
      server,
      client,
      authentication,
      grantType,
      sent,
      options,
    )
    const answer = await library.processGenericTokenEndpointResponse(server, client, response)
    look(answer)
    return answer
  })
}
