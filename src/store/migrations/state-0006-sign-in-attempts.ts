import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const signInAttempts: Migration = {
  name: 'sign-in-attempts',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('sign_in_attempts')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('code_digest', text, required)
      .addColumn('state', text, required)
      .addColumn('tries', integer, required)
      .addColumn('expires_at_ms', integer, required)
      .addColumn('key_id', text, required)
      .addColumn('wrapped_key', text, required)
      .addColumn('nonce', text, required)
      .addColumn('ciphertext', text, required)
      .execute()
  },
}
