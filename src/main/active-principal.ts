import type { Principal } from '../access/principal.ts'
import type { SnapshotSource } from '../control/snapshot/snapshot.ts'

/** A principal by its key, as it would be if it authenticated now; undefined: it could not. */
export function activePrincipal(snapshot: SnapshotSource, key: string, nowMs: number): Principal | undefined {
  if (key === 'local-admin') return { kind: 'local-admin', key, name: key }
  const [kind, uid = ''] = key.split(':', 2)
  if (kind === 'user') return activeUser(snapshot, uid)
  return kind === 'token' ? activeToken(snapshot, uid, nowMs) : undefined
}

function activeUser({ state, credentials }: SnapshotSource, uid: string): Principal | undefined {
  const name = state().byUid.get(uid)?.resource.metadata.name
  const found = name === undefined ? undefined : credentials.owner({ kind: 'User', name })
  if (name === undefined || found?.uid !== uid || found.disabled) return undefined
  return { kind: 'user', key: `user:${uid}`, uid, name, signIn: '', digest: '' }
}

function activeToken(
  { state, credentials }: SnapshotSource,
  uid: string,
  nowMs: number,
): Principal | undefined {
  const digest = state().digests.get(uid)
  const token = digest === undefined ? undefined : state().credentials.get(digest)
  if (digest === undefined || token?.kind !== 'token' || token.revoked) return undefined
  if (token.expiresAtMs !== undefined && token.expiresAtMs <= nowMs) return undefined
  const { name, project, owner } = token
  const found = owner === undefined ? undefined : credentials.owner(owner)
  if (owner !== undefined && (found?.uid !== owner.uid || found.disabled)) return undefined
  return { kind: 'token', key: `token:${uid}`, uid, name, project, owner, digest }
}
