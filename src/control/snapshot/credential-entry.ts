import type { SignInEntry, TokenEntry } from '../../access/authenticate.ts'
import type { SignInSpec } from '../../kinds/sign-in.ts'
import type { Token } from '../../kinds/token.ts'
import type { Stored } from '../stored.ts'

/** Kinds of which a credential is out: each has a row with its digest. */
export const hasCredential = (kind: string): boolean => kind === 'Token' || kind === 'SignIn'

/** What a credential stands for, as the authenticator reads it. */
export function credentialEntry(
  { resource, project }: Stored,
  expiresAtMs: number | undefined,
): TokenEntry | SignInEntry {
  const { uid, name } = resource.metadata
  if (resource.kind === 'SignIn') {
    const { user, userUid, expiresAt } = resource.spec as SignInSpec
    return { kind: 'sign-in', uid, user: { name: user, uid: userUid }, expiresAtMs: Date.parse(expiresAt) }
  }
  const { spec, status } = resource as Token
  const owner =
    spec.owner === undefined
      ? undefined
      : { kind: spec.owner.kind, name: spec.owner.name, uid: status.ownerUid ?? '' }
  return { kind: 'token', uid, name, project, expiresAtMs, revoked: spec.revoked, owner }
}
