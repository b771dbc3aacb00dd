import type { SnapshotSource } from '../control/snapshot/snapshot.ts'

/** Whether a principal, named by its key, could authenticate now. */
export function isActivePrincipal(snapshot: SnapshotSource, key: string, nowMs: number): boolean {
  if (key === 'local-admin') return true
  const state = snapshot.state()
  const digest = state.digests.get(key.slice('token:'.length))
  const token = digest === undefined ? undefined : state.tokens.get(digest)
  return (
    token !== undefined && !token.revoked && (token.expiresAtMs === undefined || token.expiresAtMs > nowMs)
  )
}
