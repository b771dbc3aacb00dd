import { isActiveOwner, refusalOf, tokenOf, userOf } from '../access/authenticate.ts'
import type { Principal, UserPrincipal } from '../access/principal.ts'
import type { SnapshotSource } from '../control/snapshot/snapshot.ts'
import type { SignInSpec } from '../kinds/sign-in.ts'

/** A principal by its key, as it would be if it authenticated now; undefined: it could not. */
export function activePrincipal(snapshot: SnapshotSource, key: string, nowMs: number): Principal | undefined {
  if (key === 'local-admin') return { kind: 'local-admin', key, name: key }
  const [kind, uid = ''] = key.split(':', 2)
  if (kind === 'user') return activeUser(snapshot, uid, nowMs)
  return kind === 'token' ? activeToken(snapshot, uid, nowMs) : undefined
}

/** A person is here for as long as any of their sign-ins is. */
function activeUser(
  { state, credentials }: SnapshotSource,
  uid: string,
  nowMs: number,
): Principal | undefined {
  if ((signedInUntil(state()).get(uid) ?? 0) <= nowMs) return undefined
  const name = state().byUid.get(uid)?.resource.metadata.name
  if (name === undefined || !isActiveOwner(credentials, { kind: 'User', name, uid })) return undefined
  return { kind: 'user', key: `user:${uid}`, uid, name, signIn: '', digest: '' }
}

/** Who is signed in by a credential that nobody shows here, as it would authenticate now. @param digest of it */
export function activeUserOf(
  { credentials }: Pick<SnapshotSource, 'credentials'>,
  digest: string,
  nowMs: number,
): UserPrincipal | undefined {
  const signIn = credentials.byDigest(digest)
  if (signIn?.kind !== 'sign-in') return undefined
  return refusalOf(signIn, credentials, nowMs) === undefined ? userOf(signIn, digest) : undefined
}

function activeToken(
  { state, credentials }: SnapshotSource,
  uid: string,
  nowMs: number,
): Principal | undefined {
  const digest = state().digests.get(uid)
  const token = digest === undefined ? undefined : state().credentials.get(digest)
  if (digest === undefined || token?.kind !== 'token') return undefined
  return refusalOf(token, credentials, nowMs) === undefined ? tokenOf(token, digest) : undefined
}

const known = new WeakMap<object, ReadonlyMap<string, number>>()

/** By uid of the user: when the last of their sign-ins ends. Worked out once for all who ask while no sign-in changes. */
function signedInUntil({ resources }: ReturnType<SnapshotSource['state']>): ReadonlyMap<string, number> {
  const signIns = resources.get('SignIn')
  if (signIns === undefined) return new Map()
  const found = known.get(signIns)
  if (found !== undefined) return found
  const until = new Map<string, number>()
  for (const { resource } of signIns.values()) {
    const { userUid, expiresAt } = resource.spec as SignInSpec
    until.set(userUid, Math.max(until.get(userUid) ?? 0, Date.parse(expiresAt)))
  }
  known.set(signIns, until)
  return until
}
