import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import { keyOf, type Stored } from '../../control/stored.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import { SignIn, type SignInSpec } from '../../kinds/sign-in.ts'
import { User as UserKind, type User, type UserSpec } from '../../kinds/user.ts'
import { Fault } from '../../lib/fault.ts'

/* Users and their sign-ins, as the snapshot has them. */

export const USER = UserKind as unknown as KindDefinition
export const SIGN_IN = SignIn as unknown as KindDefinition

type States = Pick<SnapshotSource, 'state'>

export const userNamed = ({ state }: States, name: string): Stored | undefined =>
  state().resources.get('User')?.get(keyOf('', name))

/** Who that is at a provider: found by what it never gives to another, and by nothing else. */
export function userLinkedTo({ state }: States, provider: string, subject: string): Stored | undefined {
  for (const stored of state().resources.get('User')?.values() ?? []) {
    const { identity } = specOf(stored)
    if (identity?.provider === provider && identity.subject === subject) return stored
  }
  return undefined
}

export const specOf = ({ resource }: Stored): UserSpec => resource.spec as UserSpec
export const statusOf = ({ resource }: Stored): User['status'] => resource.status as User['status']

/** The oldest first. */
export function signInsOf({ state }: States, user: Stored): readonly Stored[] {
  const { uid } = user.resource.metadata
  return [...(state().resources.get('SignIn')?.values() ?? [])]
    .filter(({ resource }) => (resource.spec as SignInSpec).userUid === uid)
    .sort((a, b) => a.createdAtMs - b.createdAtMs)
}

/** One sentence for all that can be wrong with a name and a password: which of them it was is nobody's business. */
export const wrongPassword = (): Fault =>
  new Fault('sign_in_refused', {
    hint: 'the name or the password is not right; an administrator sets another with castellan set-password NAME',
  })

/** It was changed while somebody was signing in. */
export const changedMeanwhile = (): Fault =>
  new Fault('sign_in_refused', { hint: 'the user was changed in the meantime; sign in again' })
