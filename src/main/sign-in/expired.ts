import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { Stored } from '../../control/stored.ts'
import type { SignInSpec } from '../../kinds/sign-in.ts'

/** Sign-ins whose time is over: nobody can use them any more, and lists need not show them. */
export function* expired({ state }: Pick<SnapshotSource, 'state'>, nowMs: number): Generator<Stored> {
  for (const stored of state().resources.get('SignIn')?.values() ?? [])
    if (Date.parse((stored.resource.spec as SignInSpec).expiresAt) <= nowMs) yield stored
}

export const hasExpired = (snapshot: Pick<SnapshotSource, 'state'>, nowMs: number): boolean =>
  expired(snapshot, nowMs).next().done !== true
