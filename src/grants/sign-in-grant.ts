import type { Issued } from '../oauth/client/token-answer.ts'
import { DEFAULT_PROFILE } from './grant-id.ts'
import type { Grant, GrantKey } from './grant.ts'
import { justIssued } from './held-secret.ts'
import type { Holder } from './holder.ts'

/**
 * What an identity provider has issued with somebody's sign-in is kept as a grant of theirs, by a name that is none
 * (`grantName` refuses it): no route gives, shows, binds or takes it back, and no Server can name it.
 */
export const SIGN_IN_GRANT = '@sign-in'

export const signInKey = (holder: Holder): GrantKey => ({
  profile: DEFAULT_PROFILE,
  holder,
  name: SIGN_IN_GRANT,
})

export const isSignIn = ({ name }: Pick<GrantKey, 'name'>): boolean => name === SIGN_IN_GRANT

/** Field of its values; `expiresAtMs` of the grant is the end of it. */
export const ID_TOKEN = 'id_token'

/** What of an answer of the provider is kept besides the tokens. */
export const idTokenIn = ({ idToken }: Issued): Pick<Grant, 'values' | 'expiresAtMs'> | undefined =>
  idToken && { values: { [ID_TOKEN]: justIssued(idToken.value) }, expiresAtMs: idToken.expiresAtMs }

/** Somebody's sign-in at an identity provider, while it lasts. */
export interface LiveSignIn {
  /** Uid of the IdentityProvider. */
  readonly provider: string
  /** Who they are there. */
  readonly subject: string
  /** When the last of their sign-ins there ends. */
  readonly untilMs: number
}

/** Whether what is kept is of this very sign-in: a User may have been linked to another account since. */
export const isOf = ({ settings }: Grant, { provider, subject }: LiveSignIn): boolean =>
  settings['provider'] === provider && settings['subject'] === subject
