import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const leases: Migration = {
  name: 'leases',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('leases')
      .addColumn('name', text, (column) => column.primaryKey().notNull())
      .addColumn('holder', text, required)
      .addColumn('beat', integer, required)
      .execute()
  },
}
