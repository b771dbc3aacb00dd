import { sql, type RawBuilder } from 'kysely'
import type { Store } from '../store.ts'

export type Dialect = Store['dialect']

export interface ColumnTypes {
  /** Compared and sorted by its bytes, in both databases. */
  readonly text: RawBuilder<unknown>
  /** 64 bits: counters, and times in milliseconds. */
  readonly integer: RawBuilder<unknown>
}

const TYPES: Readonly<Record<Dialect, ColumnTypes>> = {
  sqlite: { text: sql`text`, integer: sql`integer` },
  postgres: { text: sql`text collate "C"`, integer: sql`bigint` },
}

export const columnTypes = (dialect: Dialect): ColumnTypes => TYPES[dialect]
