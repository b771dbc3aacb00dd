import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const sessions: Migration = {
  name: 'sessions',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('sessions')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('principal', text, required)
      .addColumn('project', text, required)
      .addColumn('server', text, required)
      .addColumn('protocol_version', text, required)
      .addColumn('client', text, required)
      .addColumn('log_level', text)
      .addColumn('subscriptions', text, required)
      .addColumn('created_at_ms', integer, required)
      .addColumn('seen_at_ms', integer, required)
      .addColumn('upstream', text, required)
      .execute()
    await db.schema.createIndex('sessions_seen').on('sessions').columns(['seen_at_ms', 'id']).execute()
    await db.schema.createIndex('sessions_project').on('sessions').column('project').execute()
    await db.schema
      .createTable('token_uses')
      .addColumn('uid', text, (column) => column.primaryKey().notNull())
      .addColumn('used_at_ms', integer, required)
      .execute()
  },
}
