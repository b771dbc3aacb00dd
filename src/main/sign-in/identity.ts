import { LongName } from '../../kinds/define-kind.ts'
import type { IdentityProviderSpec } from '../../kinds/identity-provider.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Claims } from '../../oauth/client/sign-in.ts'

/** Who somebody is, as a provider says, in our words. */
export interface Identity {
  readonly provider: string
  readonly subject: string
  /** What a User is called who is made for them. */
  readonly username: string
  readonly displayName: string | undefined
  /** Verified by the provider. */
  readonly email: string | undefined
  readonly groups: readonly string[]
}

/** Whoever is in more groups has no rights through the rest: too little, and never too much. */
const MAX_GROUPS = 500
const MAX_GROUP_LENGTH = 255

/** Claims that have to be known before anybody can be told apart. */
export const wantedClaims = ({
  usernameClaim,
  groupsClaim,
  domains,
}: IdentityProviderSpec): readonly string[] => [
  usernameClaim,
  groupsClaim,
  ...(usernameClaim === 'email' || domains.length > 0 ? ['email', 'email_verified'] : []),
]

/** @returns one public sentence when nobody can sign in with these claims */
export function readIdentity(
  provider: string,
  { usernameClaim, groupsClaim, domains }: IdentityProviderSpec,
  claims: Claims,
): Result<Identity, string> {
  const { sub } = claims
  if (sub.length > 255) return err('the provider names them with a subject that is too long')
  // Some providers write the flag as text.
  const verified = claims['email_verified'] === true || claims['email_verified'] === 'true'
  const email = verified ? text(claims['email'], 320)?.toLowerCase() : undefined
  if (email === undefined && (usernameClaim === 'email' || domains.length > 0))
    return err('the provider names no mail address that it has verified')
  if (domains.length > 0 && !domains.includes(email?.slice(email.lastIndexOf('@') + 1) ?? ''))
    return err('their mail address is in no domain that may sign in here')
  const given = usernameClaim === 'email' ? email : text(claims[usernameClaim], 253)
  const username = LongName.safeParse(given?.normalize('NFKC').toLowerCase())
  if (!username.success)
    return err(
      `the claim ${usernameClaim} of the provider is not there, or cannot be the name of a User; an administrator can choose another with spec.usernameClaim`,
    )
  return ok({
    provider,
    subject: sub,
    username: username.data,
    displayName: text(claims['name'], 200),
    email,
    groups: groupsOf(claims[groupsClaim]),
  })
}

/** Text without control characters, bounded. */
function text(value: unknown, max: number): string | undefined {
  if (typeof value !== 'string' || !value.isWellFormed() || /\p{Cc}/u.test(value)) return undefined
  return value === '' || value.length > max ? undefined : value
}

function groupsOf(claim: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  const groups = all.flatMap((one) => text(one, MAX_GROUP_LENGTH) ?? [])
  return [...new Set(groups)].slice(0, MAX_GROUPS)
}
