import type { Store } from './store.ts'
import type { ControlTransaction } from './tables.ts'

/**
 * Runs `work` as one transaction on the configuration: all of it is committed, or nothing.
 *
 * Changing transactions go one after the other on both databases (SQLite has one writer; on PostgreSQL each first
 * locks the one row of `revision`), so what is read inside stays true until the commit, and none deadlocks. Nothing
 * slow may be awaited inside: no network, no file, no user code; and every statement goes through `tx`, since on
 * SQLite one through `store` would wait for the end of this very transaction.
 */
export function inTransaction<T>(
  store: Pick<Store, 'control'>,
  work: (tx: ControlTransaction) => Promise<T>,
): Promise<T> {
  return store.control.transaction().execute(async (tx) => {
    await tx
      .updateTable('revision')
      .set('value', (eb) => eb.ref('value'))
      .execute()
    return work(tx)
  })
}
