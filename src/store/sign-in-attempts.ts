import { sql } from 'kysely'
import type { SignInAttemptRow, StateDb } from './tables.ts'

/* Sign-ins of which the provider has said who it is, and which nobody has finished yet. */

/** False: there is one by that id, so its answer has come before. */
export async function insertAttempt(db: StateDb, row: SignInAttemptRow): Promise<boolean> {
  const { numInsertedOrUpdatedRows = 0n } = await db
    .insertInto('sign_in_attempts')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows > 0n
}

/** Counts one more try. Undefined: there is no such attempt. */
export const tryAttempt = (db: StateDb, id: string): Promise<SignInAttemptRow | undefined> =>
  db
    .updateTable('sign_in_attempts')
    .set({ tries: sql`tries + 1` })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()

/** Of several that try, one gets true. What was sealed goes; that it was there stays until its time is over. */
export async function useAttempt(db: StateDb, id: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('sign_in_attempts')
    .set({ state: 'used', ciphertext: '' })
    .where('id', '=', id)
    .where('state', '=', 'ready')
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

export async function forgetAttempts(db: StateDb, beforeMs: number): Promise<void> {
  await db.deleteFrom('sign_in_attempts').where('expires_at_ms', '<', beforeMs).execute()
}
