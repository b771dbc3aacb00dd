import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { SignInSpec } from '../../kinds/sign-in.ts'

/** Who is signed in, and until when. */
export interface LiveSignIns {
  /**
   * When the last of somebody's sign-ins by one method ends.
   *
   * @param method `password`, or the name of the identity provider
   * @returns undefined: there is none
   */
  untilMs(userUid: string, method: string): number | undefined
  close(): void
}

interface Entry {
  readonly method: string
  readonly expiresAtMs: number
}

/**
 * Follows the sign-ins of the snapshot, by user: looked up for each exchange, of which there can be thousands at once.
 *
 * @param ended a sign-in of this user has gone
 */
export function followSignIns(
  snapshot: Pick<SnapshotSource, 'state' | 'subscribe'>,
  ended: (userUid: string) => void,
): LiveSignIns {
  const owners = new Map<string, string>()
  const users = new Map<string, Map<string, Entry>>()

  function add(uid: string): void {
    const stored = snapshot.state().byUid.get(uid)
    if (stored === undefined) return
    const { userUid, method, expiresAt } = stored.resource.spec as SignInSpec
    const own = users.get(userUid) ?? new Map<string, Entry>()
    users.set(userUid, own.set(uid, { method, expiresAtMs: Date.parse(expiresAt) }))
    owners.set(uid, userUid)
  }

  function remove(uid: string): void {
    const userUid = owners.get(uid)
    if (userUid === undefined) return
    owners.delete(uid)
    const own = users.get(userUid)
    own?.delete(uid)
    if (own?.size === 0) users.delete(userUid)
    ended(userUid)
  }

  for (const { resource } of snapshot.state().resources.get('SignIn')?.values() ?? [])
    add(resource.metadata.uid)
  const close = snapshot.subscribe(({ changed }) => {
    for (const { kind, uid, operation } of changed) {
      if (kind !== 'SignIn') continue
      if (operation === 'remove') remove(uid)
      else add(uid)
    }
  })
  return {
    untilMs(userUid, method) {
      const ends = [...(users.get(userUid)?.values() ?? [])].flatMap((entry) =>
        entry.method === method ? [entry.expiresAtMs] : [],
      )
      return ends.length === 0 ? undefined : Math.max(...ends)
    },
    close,
  }
}
