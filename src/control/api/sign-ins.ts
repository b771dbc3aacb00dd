import type { Fault } from '../../lib/fault.ts'
import type { Result } from '../../lib/result.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { SystemTransaction } from '../change/by-system.ts'
import type { Stored } from '../stored.ts'

/** Who somebody has proven to be, before they are signed in. */
export interface Proven {
  /** The User; of one that is made by this sign-in, as it will be. */
  readonly user: { readonly name: string; readonly uid: string }
  /** `password`, or the name of the IdentityProvider. */
  readonly method: string
  /** Whether the User is made by it. */
  readonly isFirst: boolean
  /**
   * The User as it is when nobody else can write any more, with what has been seen of it.
   *
   * @throws Fault `sign_in_refused` when it is not as it was when it was looked at
   */
  readonly settle: (tx: SystemTransaction) => Promise<Stored>
  /** What is left to be done once they are signed in; it never fails. */
  readonly afterwards?: ((user: Stored) => Promise<void>) | undefined
}

export interface SignInRefusal {
  readonly method: string
  /** For the record only. */
  readonly reason: string
  /** Digest of the account that was named, where one was. */
  readonly account?: string | undefined
  /** What is answered. */
  readonly fault: Fault
}

export interface SignedIn {
  readonly credential: SecretValue
  /** RFC 3339, UTC. */
  readonly expiresAt: string
  readonly user: string
}

/** How people sign in. `main/sign-in/` provides it. */
export interface SignIns {
  /** Which ways there are at this moment. */
  ways(): { readonly passwords: boolean; readonly providers: readonly string[] }
  /** @throws Fault `too_many`, `unavailable` */
  byPassword(given: PasswordTry): Promise<Result<Proven, SignInRefusal>>
  /** @throws Fault `not_found`, `unavailable` */
  startAtProvider(wanted: ProviderStart): Promise<{ readonly attempt: string; readonly url: string }>
  finishAtProvider(given: ProviderFinish): Promise<Result<Proven, SignInRefusal>>
  /** @param from what is signing in, as it calls itself */
  signIn(proven: Proven, from: string | undefined): Promise<SignedIn>
  /** @param uid of the SignIn */
  signOut(uid: string): Promise<void>
  /**
   * Sets a password and ends the user's sign-ins.
   *
   * @throws Fault `invalid`, `sign_in_refused`, `too_many`, `conflict`
   */
  setPassword(change: PasswordChange): Promise<void>
}

export interface PasswordTry {
  readonly user: string
  readonly password: string
  /** Address of whoever tries. */
  readonly source: string
}

export interface ProviderStart {
  readonly provider: string
  /** Where the command line waits for the browser; undefined: the user carries the code. */
  readonly loopbackPort: number | undefined
  /** SHA-256 of a verifier that only whoever finishes knows, base64url. */
  readonly challenge: string
}

export interface ProviderFinish {
  readonly attempt: string
  readonly code: string
  readonly verifier: string
}

export interface PasswordChange {
  readonly user: Stored
  readonly password: string
  /** Of whoever changes their own: it has to be the right one. */
  readonly current: { readonly password: string; readonly source: string } | undefined
  /** Uid of the SignIn that goes on. */
  readonly keep: string | undefined
}
