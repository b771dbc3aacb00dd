import type { Kysely } from 'kysely'
import type { ColumnTypes, Dialect } from './column-types.ts'

/**
 * One step of the tables, never changed once released. Types of today's tables are not used in it: they will have
 * moved on when it runs.
 */
export interface Migration {
  readonly name: string
  up(db: Kysely<Record<string, Record<string, unknown>>>, types: ColumnTypes, dialect: Dialect): Promise<void>
}
