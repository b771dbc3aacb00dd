import { sql } from 'kysely'
import type { LeaseRow, StateDb } from './tables.ts'

/*
 * Who does what only one of the processes on this database may do. A holder keeps a lease as long as its `beat` goes
 * on: no two hosts have to agree on a time for that.
 */

export const listLeases = (db: StateDb): Promise<LeaseRow[]> =>
  db.selectFrom('leases').selectAll().orderBy('name').execute()

/**
 * Makes a lease that of `holder`: of several processes that try, one gets it.
 * @param seen the row as it was read; undefined: there was none. Whoever has moved since keeps it.
 */
export async function takeLease(
  db: StateDb,
  name: string,
  holder: string,
  seen: LeaseRow | undefined,
): Promise<boolean> {
  if (seen === undefined) {
    const { numInsertedOrUpdatedRows = 0n } = await db
      .insertInto('leases')
      .values({ name, holder, beat: 0 })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .executeTakeFirstOrThrow()
    return numInsertedOrUpdatedRows > 0n
  }
  const { numUpdatedRows } = await db
    .updateTable('leases')
    .set({ holder, beat: sql`beat + 1` })
    .where('name', '=', name)
    .where('holder', '=', seen.holder)
    .where('beat', '=', seen.beat)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** Goes on with all leases of `holder`. @returns their names: what is missing was lost */
export async function keepLeases(db: StateDb, holder: string): Promise<string[]> {
  const rows = await db
    .updateTable('leases')
    .set({ beat: sql`beat + 1` })
    .where('holder', '=', holder)
    .returning('name')
    .execute()
  return rows.map(({ name }) => name)
}

/** Whoever wants them can take them at once. */
export async function dropLeases(db: StateDb, holder: string): Promise<void> {
  await db.deleteFrom('leases').where('holder', '=', holder).execute()
}
