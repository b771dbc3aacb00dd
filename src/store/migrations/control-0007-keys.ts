import { sql, type ColumnDefinitionBuilder, type Kysely } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

/** `pg_advisory_xact_lock` key: held together by whoever seals, and alone by whoever retires a key. */
const SEALING_LOCK = 74_117_412

/** One master key can take the place of another. */
export const keys: Migration = {
  name: 'keys',
  async up(db, { text, integer }, dialect) {
    const { schema } = db
    await schema
      .alterTable('master_key')
      .addColumn('store_key', text, (column) => column.notNull().defaultTo(''))
      .execute()
    await schema
      .alterTable('master_key')
      .addColumn('since_ms', integer, (column) => column.notNull().defaultTo(0))
      .execute()
    await schema
      .createTable('key_rotation')
      .addColumn('id', integer, (column) => column.primaryKey().notNull())
      .addColumn('old_key', text, required)
      .addColumn('new_key', text, required)
      .addColumn('phase', text, required)
      .addColumn('new_under_old', text, required)
      .addColumn('old_under_new', text, required)
      .addColumn('keep_old', integer, required)
      .addColumn('old_since_ms', integer, required)
      .addColumn('begun_at_ms', integer, required)
      .execute()
    await schema
      .createTable('retired_keys')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('since_ms', integer, required)
      .addColumn('retired_at_ms', integer, required)
      .addColumn('keep_old', integer, required)
      .execute()
    await schema
      .createTable('key_holders')
      .addColumn('node', text, (column) => column.primaryKey().notNull())
      .addColumn('host', text, required)
      .addColumn('source', text, required)
      .addColumn('starts_with', text, required)
      .addColumn('knows', text, required)
      .addColumn('seals_with', text, required)
      .addColumn('beat', integer, required)
      .execute()
    await refuseRetired(db, dialect)
  },
}

const SEALED = ['sealed', 'grant_secrets', 'answers'] as const

/**
 * Nothing is sealed with a key that is retired, by whatever way it is written: a process that was stopped while the
 * others changed the key would leave a value that no key opens. A trigger, so that no statement can forget it.
 */
async function refuseRetired(
  db: Kysely<Record<string, Record<string, unknown>>>,
  dialect: 'sqlite' | 'postgres',
): Promise<void> {
  if (dialect === 'sqlite') {
    for (const table of SEALED)
      for (const write of ['insert', 'update of key_id'])
        await sql`
          create trigger ${sql.ref(`${table}_key_${write.slice(0, 6)}`)} before ${sql.raw(write)} on ${sql.table(table)}
          when exists (select 1 from retired_keys where id = new.key_id)
          begin select raise(abort, 'sealed with a retired master key'); end
        `.execute(db)
    return
  }
  // 40001: it is worth repeating, with the key that is in use.
  await sql`
    create function castellan_refuse_retired_key() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock_shared(${sql.lit(SEALING_LOCK)});
      if exists (select 1 from retired_keys where id = new.key_id) then
        raise exception 'sealed with a retired master key' using errcode = '40001';
      end if;
      return new;
    end
    $$
  `.execute(db)
  for (const table of SEALED)
    await sql`
      create trigger key_not_retired before insert or update of key_id on ${sql.table(table)}
      for each row execute function castellan_refuse_retired_key()
    `.execute(db)
}
