import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const grantAttempts: Migration = {
  name: 'grant-attempts',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('grant_attempts')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('state_digest', text, (column) => column.notNull().unique())
      .addColumn('result', text, required)
      .addColumn('problem', text, required)
      .addColumn('expires_at_ms', integer, required)
      .addColumn('key_id', text, required)
      .addColumn('wrapped_key', text, required)
      .addColumn('nonce', text, required)
      .addColumn('ciphertext', text, required)
      .execute()
    await db.schema
      .createIndex('grant_attempts_expiry')
      .on('grant_attempts')
      .column('expires_at_ms')
      .execute()
  },
}
