import { sql, type Kysely } from 'kysely'
import { Fault } from '../../lib/fault.ts'
import { NEWER_DATABASE } from '../database-hints.ts'
import { columnTypes, type Dialect } from './column-types.ts'
import type { Migration } from './migration.ts'

interface MigrationTables {
  readonly migrations: { readonly part: string; readonly number: number; readonly name: string }
}

export interface MigrateOptions {
  /** Which tables: both parts live in one PostgreSQL database. */
  readonly part: 'control' | 'state'
  /** Numbered from 1 without a gap; forward only. */
  readonly migrations: readonly Migration[]
  readonly dialect: Dialect
}

/** `pg_advisory_xact_lock` key: any number that nobody else is likely to use in this database. */
const LOCK_KEY = 74_117_411

/**
 * Brings the tables up to this version: in one transaction, so that a failure leaves what was there, and under a
 * lock, so that of several daemons that start together one does it.
 * @throws Fault `unavailable` when a newer version has written the database
 */
export async function migrate<Tables>(db: Kysely<Tables>, options: MigrateOptions): Promise<void> {
  const { part, migrations, dialect } = options
  const types = columnTypes(dialect)
  await db.transaction().execute(async (transaction) => {
    const tx = transaction as unknown as Kysely<MigrationTables>
    // SQLite has one writer, and its transactions begin as that.
    if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${LOCK_KEY})`.execute(tx)
    await tx.schema
      .createTable('migrations')
      .ifNotExists()
      .addColumn('part', types.text, (column) => column.notNull())
      .addColumn('number', types.integer, (column) => column.notNull())
      .addColumn('name', types.text, (column) => column.notNull())
      .addPrimaryKeyConstraint('migrations_pk', ['part', 'number'])
      .execute()
    const last = await tx
      .selectFrom('migrations')
      .select('number')
      .where('part', '=', part)
      .orderBy('number', 'desc')
      .limit(1)
      .executeTakeFirst()
    const done = last?.number ?? 0
    if (done > migrations.length) throw new Fault('unavailable', { hint: NEWER_DATABASE })
    for (const [i, migration] of migrations.entries()) {
      if (i < done) continue
      await migration.up(tx as unknown as Parameters<Migration['up']>[0], types, dialect)
      await tx
        .insertInto('migrations')
        .values({ part, number: i + 1, name: migration.name })
        .execute()
    }
  })
}
