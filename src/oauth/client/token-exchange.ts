import { err, ok, type Result } from '../../lib/result.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { Issued, TokenFailure } from './token-answer.ts'
import { unusable } from './token-answer.ts'
import { requestTokens } from './token-endpoint.ts'
import type { TokenSource } from './token-source.ts'

/** RFC 8693, 3: what kinds of tokens are called. */
const TOKEN_TYPES = {
  access_token: 'urn:ietf:params:oauth:token-type:access_token',
  id_token: 'urn:ietf:params:oauth:token-type:id_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
} as const

export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** On whose behalf a token is wanted. */
export interface Subject {
  readonly token: SecretValue
  readonly type: keyof typeof TOKEN_TYPES
  /** Whom the authorization server knows the target by, where `resource` does not tell it. */
  readonly audience: string | undefined
  readonly scopes: readonly string[]
}

/**
 * Exchanges a token of somebody for one that the upstream takes (RFC 8693). What comes is an access token or nothing:
 * one of another kind is not what `resource` wants, and a refresh token would outlive the sign-in that it came from,
 * so it is not kept.
 */
export async function exchangeToken(
  source: TokenSource,
  { token, type, audience, scopes }: Subject,
): Promise<Result<Issued, TokenFailure>> {
  let issuedType: unknown
  const issued = await requestTokens(
    source,
    EXCHANGE,
    {
      subject_token: token,
      subject_token_type: TOKEN_TYPES[type],
      requested_token_type: TOKEN_TYPES.access_token,
      ...(audience === undefined ? {} : { audience }),
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    },
    (answer) => (issuedType = answer['issued_token_type']),
  )
  if (!issued.ok) return err(issued.error)
  // RFC 8693, 2.2.1: required. A JWT that is an access token may be called either.
  if (issuedType !== TOKEN_TYPES.access_token && issuedType !== TOKEN_TYPES.jwt)
    return unusable('it does not say that what it holds is an access token')
  const { tokens, scopes: granted } = issued.value
  return ok({ tokens: { ...tokens, refresh: undefined }, scopes: granted })
}

/** Whether an authorization server says that it exchanges tokens; RFC 8414 has no default that includes it. */
export const exchangesTokens = ({ grant_types_supported }: TokenSource['authorizationServer']): boolean =>
  grant_types_supported?.includes(EXCHANGE) === true
