import type { Clock } from '../../lib/clock.ts'

/** Why a request that is authentic is refused nevertheless. */
export type Stale = 'clock' | 'replayed' | 'full'

/** Two processes may differ by this much in what time it is. */
export const MAX_SKEW_MS = 30_000
/** Twice as long as a request can be in time, so that a wall clock that is set back a minute makes none good again. */
const REMEMBERED_MS = 4 * MAX_SKEW_MS
/** Far more than processes say to each other in that time; over it, nothing is taken that could be a replay. */
const MAX_NONCES = 500_000

/** Remembers each nonce until its request is out of time. Only authentic ones may be brought here. */
export function createReplayGuard({
  nowMs,
  tickMs,
}: Clock): (claim: { readonly atMs: number; readonly nonce: string }) => Stale | undefined {
  // In two halves, so that forgetting costs nothing: the older is dropped whole.
  let young = new Set<string>()
  let old = new Set<string>()
  let turnedAtMs = tickMs()
  return ({ atMs, nonce }) => {
    if (Math.abs(nowMs() - atMs) > MAX_SKEW_MS) return 'clock'
    if (tickMs() - turnedAtMs > REMEMBERED_MS) {
      old = young
      young = new Set()
      turnedAtMs = tickMs()
    }
    if (young.has(nonce) || old.has(nonce)) return 'replayed'
    if (young.size + old.size >= MAX_NONCES) return 'full'
    young.add(nonce)
    return undefined
  }
}
