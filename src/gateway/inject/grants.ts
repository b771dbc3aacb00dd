import type { Result } from '../../lib/result.ts'
import type { SecretValue } from '../../lib/secret-value.ts'

/** For what a grant is wanted: a Server, and the origin that it is at. */
export interface Purpose {
  readonly server: string
  readonly origin: string
}

/** How a server refused a request that carried a grant's token. */
export interface RefusedGrant {
  readonly used: SecretValue | undefined
  /** HTTP status: 401 or 403. */
  readonly status: number
  /** `WWW-Authenticate`, as it came. */
  readonly challenge: string | undefined
}

/** Where the tokens of grants come from; `main` brings the plane that keeps them. */
export interface GrantSource {
  /** The token that can be sent to this origin at this moment; undefined: ask `ready`. */
  readonly current: (grant: string, origin: string) => SecretValue | undefined
  /** Does what can be done without a user; else one public sentence that says what to do. */
  readonly ready: (grant: string, purpose: Purpose) => Promise<Result<SecretValue, string>>
  /** @returns ok: send it again, with another token; undefined: it was not about the grant; else one public sentence */
  readonly refused: (grant: string, how: RefusedGrant) => Promise<Result<void, string | undefined>>
}

/** One Server's use of one grant. */
export interface GrantUse {
  readonly source: GrantSource
  readonly grant: string
  readonly purpose: Purpose
}

/** The header with which a token goes to the server that it was issued for (RFC 6750, 2.1). */
export const bearer = (token: SecretValue): string => `Bearer ${token.reveal()}`
