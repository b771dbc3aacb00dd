import type { Authenticator } from '../access/authenticate.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { listUses, recordUses } from '../store/token-use.ts'
import type { StateDb } from '../store/tables.ts'

const WRITE_EVERY_MS = 60_000

/** When tokens and grants were last used. */
export interface TokenUses {
  note(uid: string): void
  /** The same authenticator, but each token that passes is noted. */
  watch(authenticator: Authenticator): Authenticator
  /** Token uid to when it was last used, in milliseconds; up to this moment. */
  all(): Promise<ReadonlyMap<string, number>>
  close(): Promise<void>
}

/** When tokens were last used: noted in memory on each call, written once a minute. */
export function createTokenUses(db: StateDb, clock: Clock, log: Log): TokenUses {
  const used = new Map<string, number>()
  const timer = setInterval(
    () =>
      void write().catch((thrown: unknown) =>
        log.warn({ err: thrown }, 'last uses of tokens are not written'),
      ),
    WRITE_EVERY_MS,
  )
  timer.unref()

  async function write(): Promise<void> {
    if (used.size === 0) return
    const batch = [...used].map(([uid, used_at_ms]) => ({ uid, used_at_ms }))
    await recordUses(db, batch)
    for (const { uid, used_at_ms } of batch) if (used.get(uid) === used_at_ms) used.delete(uid)
  }

  return {
    note: (uid) => void used.set(uid, clock.nowMs()),
    watch: (authenticator) => ({
      authenticate(authorization, connection) {
        const found = authenticator.authenticate(authorization, connection)
        if (found.ok && found.value.kind === 'token') used.set(found.value.uid, clock.nowMs())
        return found
      },
    }),
    async all() {
      const stored = (await listUses(db)).map(({ uid, used_at_ms }) => [uid, used_at_ms] as const)
      return new Map([...stored, ...used])
    },
    async close() {
      clearInterval(timer)
      await write()
    },
  }
}
