import { hash } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Sealer } from '../../secrets/sealing.ts'
import { ANSWERS_KEPT_MS, findAnswer, keepAnswer, measureAnswers } from '../../store/answers.ts'
import type { ControlDb } from '../../store/tables.ts'

/** A request that is to be done once, however often it comes. */
export interface OnceRequest {
  /** Whose key it is: another's key of the same text is another key. */
  readonly principal: string
  readonly key: string
  /** Of the request: a key stands for one. */
  readonly digest: string
}

export interface KeptAnswer {
  readonly status: number
  readonly etag?: string | undefined
  readonly body: string
}

/** Answers to changes, sealed: one can hold the secret of a new Token. */
export interface KeptAnswers {
  /** @throws Fault `key_reused` when its key stands for another request */
  find(db: ControlDb, request: OnceRequest): Promise<KeptAnswer | undefined>
  /**
   * In the transaction of the change itself: either both are there afterwards, or neither.
   *
   * @throws Fault `too_many` for a principal that has too much kept already
   */
  keep(tx: ControlDb, request: OnceRequest, answer: KeptAnswer): Promise<void>
}

export interface KeptAnswersDeps {
  readonly sealer: Pick<Sealer, 'seal' | 'open'>
  readonly clock: Pick<Clock, 'nowMs'>
}

const MOST_OF_ONE = 10_000
const MOST_BYTES_OF_ONE = 64 * 1024 * 1024

const idOf = ({ principal, key }: OnceRequest): string =>
  hash('sha256', JSON.stringify([principal, key]), 'hex')
export const placeOfAnswer = (id: string) => ({ kind: 'Answer', uid: id, field: 'answer' })

export function createKeptAnswers({ sealer, clock }: KeptAnswersDeps): KeptAnswers {
  const forgottenMs = (): number => clock.nowMs() - ANSWERS_KEPT_MS
  return {
    async find(from, request) {
      const id = idOf(request)
      const row = await findAnswer(from, id, forgottenMs())
      if (row === undefined) return undefined
      if (row.digest !== request.digest)
        throw new Fault('key_reused', { hint: 'make another key for another request; nothing was changed' })
      return JSON.parse(sealer.open(placeOfAnswer(id), row).reveal()) as KeptAnswer
    },
    async keep(tx, request, answer) {
      const { principal, digest } = request
      const { count, bytes: kept } = await measureAnswers(tx, principal, forgottenMs())
      const text = JSON.stringify(answer)
      const bytes = Buffer.byteLength(text)
      if (count >= MOST_OF_ONE || kept + bytes > MOST_BYTES_OF_ONE)
        throw new Fault('too_many', {
          hint: 'too many answers are kept for your Idempotency-Keys of the last 24 hours; nothing was changed',
          retryAfterSeconds: 3600,
        })
      const id = idOf(request)
      const sealed = sealer.seal(placeOfAnswer(id), new SecretValue(text))
      await keepAnswer(tx, { id, principal, digest, bytes, ...sealed, given_at_ms: clock.nowMs() })
    },
  }
}
