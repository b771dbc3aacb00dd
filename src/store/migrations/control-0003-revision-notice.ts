import { sql } from 'kysely'
import type { Migration } from './migration.ts'

/**
 * Whoever listens on `castellan_revision` hears of each committed change. It carries the number only: what changed is
 * read from `changes`. A trigger, so that no way of writing can forget it.
 */
export const revisionNotice: Migration = {
  name: 'revision-notice',
  async up(db, _types, dialect) {
    if (dialect !== 'postgres') return
    await sql`
      create function castellan_tell_revision() returns trigger language plpgsql as $$
      begin
        perform pg_notify('castellan_revision', new.value::text);
        return null;
      end
      $$
    `.execute(db)
    await sql`
      create trigger revision_told after update on revision for each row
      when (old.value is distinct from new.value) execute function castellan_tell_revision()
    `.execute(db)
  },
}
