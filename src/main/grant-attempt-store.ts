import type { AttemptStore } from '../grants/attempts.ts'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Sealer } from '../secrets/sealing.ts'
import {
  findGrantAttempt,
  insertGrantAttempt,
  settleGrantAttempt,
  takeGrantAttempt,
} from '../store/grant-attempts.ts'
import type { StateDb } from '../store/tables.ts'

const MAX_ATTEMPTS = 1000
/** What a draft is sealed for. */
export const placeOfGrantAttempt = (id: string) => ({ kind: 'GrantAttempt', uid: id, field: 'draft' })

/** The authorizations of the state database; what a code is exchanged with is sealed. */
export const createGrantAttemptStore = (
  db: StateDb,
  sealer: Pick<Sealer, 'seal' | 'open'>,
  { nowMs }: Pick<Clock, 'nowMs'>,
): AttemptStore => {
  return {
    async add({ id, stateDigest, expiresAtMs }, draft) {
      const row = {
        id,
        state_digest: stateDigest,
        result: 'waiting' as const,
        problem: '',
        expires_at_ms: expiresAtMs,
        ...sealer.seal(placeOfGrantAttempt(id), draft),
      }
      if (await insertGrantAttempt(db, row, { most: MAX_ATTEMPTS, nowMs: nowMs() })) return
      throw new Fault('too_many', {
        hint: 'a thousand authorizations are under way; try again in ten minutes',
      })
    },
    async take(stateDigest, id) {
      const row = await takeGrantAttempt(db, stateDigest, nowMs(), id)
      return row && { id: row.id, draft: sealer.open(placeOfGrantAttempt(row.id), row) }
    },
    settle: (id, result) =>
      settleGrantAttempt(db, id, {
        result: result.state === 'done' ? 'done' : 'failed',
        problem: result.state === 'failed' ? result.problem : '',
      }),
    async find(id) {
      const row = await findGrantAttempt(db, id)
      if (row === undefined) return undefined
      if (row.result === 'done') return { state: 'done' }
      if (row.result === 'failed') return { state: 'failed', problem: row.problem }
      return row.expires_at_ms < nowMs()
        ? { state: 'failed', problem: 'nobody finished it within ten minutes' }
        : { state: 'waiting' }
    },
  }
}
