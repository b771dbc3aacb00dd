import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const upstreamSessions: Migration = {
  name: 'upstream-sessions',
  async up(db, { text, integer }) {
    // It is empty in every row: no session of a client finds its sessions at servers again.
    await db.schema.alterTable('sessions').dropColumn('upstream').execute()
    await db.schema
      .createTable('upstream_sessions')
      .addColumn('uid', text, (column) => column.primaryKey().notNull())
      .addColumn('node', text, required)
      .addColumn('server', text, required)
      .addColumn('server_uid', text, required)
      .addColumn('url', text, required)
      .addColumn('protocol_version', text, required)
      .addColumn('key_id', text, required)
      .addColumn('wrapped_key', text, required)
      .addColumn('nonce', text, required)
      .addColumn('ciphertext', text, required)
      .addColumn('opened_at_ms', integer, required)
      .execute()
    await db.schema
      .createIndex('upstream_sessions_node')
      .on('upstream_sessions')
      .columns(['node', 'uid'])
      .execute()
  },
}
