import type { SecretValue } from '../lib/secret-value.ts'
import type { GrantKey } from './grant.ts'
import type { Whose } from './holder.ts'

/** A grant as a Server names it, for whoever calls. */
export interface Wanted extends GrantKey {
  /** `keyOf`, worked out once. */
  readonly key: string
  readonly whose: Whose
}

/** For whom a credential is wanted: a Server, by its name and the origin it is at. */
export interface Purpose {
  readonly server: string
  readonly origin: string
}

/** How a server refused a request that carried a credential. */
export interface Refused {
  readonly used: SecretValue | undefined
  readonly status: number
  /** `WWW-Authenticate`, as it came. */
  readonly challenge: string | undefined
}

/** Why there is nothing to send. */
export interface GrantProblem {
  /** One public sentence that says what to do. */
  readonly message: string
  /** The caller can mend it by connecting an account of their own. */
  readonly connect: boolean
}
