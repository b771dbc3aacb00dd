import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const peers: Migration = {
  name: 'peers',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('peers')
      .addColumn('node', text, (column) => column.primaryKey().notNull())
      .addColumn('url', text, required)
      .addColumn('beat', integer, required)
      .execute()
  },
}
