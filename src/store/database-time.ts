import { sql } from 'kysely'
import type { StateDb } from './tables.ts'

/** What time it is for PostgreSQL, in milliseconds: the same for all processes that work on one database. */
export async function databaseTimeMs(db: StateDb): Promise<number> {
  const { rows } = await sql<{ ms: number }>`
    select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as ms
  `.execute(db)
  return rows[0]?.ms ?? Number.NaN
}
