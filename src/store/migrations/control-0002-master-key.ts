import type { Migration } from './migration.ts'

export const masterKey: Migration = {
  name: 'master-key',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('master_key')
      .addColumn('id', integer, (column) => column.primaryKey().notNull())
      .addColumn('key_id', text, (column) => column.notNull())
      .execute()
  },
}
