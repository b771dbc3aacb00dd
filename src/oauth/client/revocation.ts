import type { SecretValue } from '../../lib/secret-value.ts'
import { Unreachable } from './guarded-fetch.ts'
import { loadLibrary, throughFetcher } from './library.ts'
import { parametersOf, type TokenSource } from './token-source.ts'

const TIMEOUT_MS = 10_000

/**
 * RFC 7009.
 *
 * @returns whether the authorization server says that the token is gone. Where it does not, or has no endpoint for
 *   that, the token stays valid until it runs out, and the caller says so.
 */
export async function revokeToken(
  source: TokenSource,
  token: SecretValue,
  kind: 'access_token' | 'refresh_token',
): Promise<boolean> {
  if (source.authorizationServer.revocation_endpoint === undefined) return false
  const library = await loadLibrary()
  const { server, client, authentication } = parametersOf(library, source)
  try {
    const response = await library.revocationRequest(server, client, authentication, token.reveal(), {
      ...throughFetcher(library, source.fetcher, TIMEOUT_MS),
      additionalParameters: { token_type_hint: kind },
    })
    await library.processRevocationResponse(response)
    return true
  } catch (thrown) {
    const { code } = thrown as { code?: unknown }
    if (thrown instanceof Unreachable || (typeof code === 'string' && code.startsWith('OAUTH_'))) return false
    throw thrown
  }
}
