import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import type { Sealed, Sealer, SealedWhere } from '../../secrets/sealing.ts'
import { placeOfAnswer } from '../../control/change/kept-answers.ts'
import {
  dropSealedValue,
  isGoingOn,
  listSealedWith,
  replaceSealedValue,
  SEALED_TABLES,
  type SealedTable,
  type StoredValue,
} from '../../store/sealed-tables.ts'
import type { Store } from '../../store/store.ts'
import { inTransaction } from '../../store/transaction.ts'
import { placeOfGrantAttempt } from '../grant-attempt-store.ts'
import { placeOfAttempt } from '../sign-in/attempts.ts'
import { SEALED_AS } from '../upstream-session-log.ts'

/** What a value of each table is sealed for, as whoever seals it first says. */
const PLACES: Readonly<Record<SealedTable, (value: StoredValue) => SealedWhere>> = {
  sealed: ({ kind, uid, field }) => ({ kind, uid, field }),
  grant_secrets: ({ uid, field }) => ({ kind: 'Grant', uid, field }),
  answers: ({ uid }) => placeOfAnswer(uid),
  upstream_sessions: ({ uid }) => ({ kind: SEALED_AS.kind, uid, field: SEALED_AS.field }),
  sign_in_attempts: ({ uid }) => placeOfAttempt(uid),
  grant_attempts: ({ uid }) => placeOfGrantAttempt(uid),
}

/** What somebody has given us, and would have to give again. The rest is of this day, and goes when it does not open. */
const GIVEN: ReadonlySet<SealedTable> = new Set(['sealed', 'grant_secrets'])

const AT_ONCE = 100
/** Between two batches: who changes something meanwhile waits for one of them at most. */
const PAUSE_MS = 2

export interface SealAnewDeps {
  readonly store: Pick<Store, 'control' | 'state'>
  readonly sealer: Pick<Sealer, 'seal' | 'open' | 'keyId'>
  readonly log: Log
  /** Values that the log has named already. */
  readonly named: Set<string>
}

/**
 * Seals every value that `oldKey` has sealed with the key in use, in batches, while others read and write.
 *
 * @returns how many values that were given to us do not open; they stay as they are
 */
export async function sealAnew(deps: SealAnewDeps, oldKey: string, signal: AbortSignal): Promise<number> {
  let shut = 0
  for (const table of SEALED_TABLES) {
    let after: StoredValue | undefined
    for (;;) {
      signal.throwIfAborted()
      const values = await listSealedWith(deps.store, table, { keyId: oldKey, after, limit: AT_ONCE })
      if (values.length === 0) break
      shut += await sealBatch(deps, table, values)
      after = values.at(-1)
      await sleep(PAUSE_MS)
    }
  }
  return shut
}

async function sealBatch(
  deps: SealAnewDeps,
  table: SealedTable,
  values: readonly StoredValue[],
): Promise<number> {
  let shut = 0
  await inOneTransaction(deps.store, table, async (store) => {
    shut = 0
    for (const before of values) {
      const after = anew(deps, PLACES[table](before), before)
      if (after !== undefined) await replaceSealedValue(store, table, { before, after })
      else if (GIVEN.has(table)) shut += 1
      else await dropSealedValue(store, table, before)
    }
  })
  return shut
}

/** Of the one database that the table is in. */
const inOneTransaction = (
  { control, state }: SealAnewDeps['store'],
  table: SealedTable,
  work: (store: SealAnewDeps['store']) => Promise<void>,
): Promise<void> =>
  isGoingOn(table)
    ? state.transaction().execute((tx) => work({ control, state: tx }))
    : inTransaction({ control }, (tx) => work({ control: tx, state }))

/** Undefined: it does not open. */
function anew(
  { sealer, log, named }: SealAnewDeps,
  where: SealedWhere,
  value: StoredValue,
): Sealed | undefined {
  // What was used is empty, and only its key has to change.
  if (value.ciphertext === '') return { key_id: sealer.keyId, wrapped_key: '', nonce: '', ciphertext: '' }
  try {
    return sealer.seal(where, sealer.open(where, value))
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown
    const { kind, uid, field } = where
    const name = JSON.stringify([kind, uid, field])
    if (!named.has(name))
      log.warn({ kind, uid, field }, 'a sealed value does not open: it was changed, or belongs elsewhere')
    named.add(name)
    return undefined
  }
}
