import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const answers: Migration = {
  name: 'answers',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('answers')
      .addColumn('id', text, (column) => column.primaryKey().notNull())
      .addColumn('principal', text, required)
      .addColumn('digest', text, required)
      .addColumn('bytes', integer, required)
      .addColumn('key_id', text, required)
      .addColumn('wrapped_key', text, required)
      .addColumn('nonce', text, required)
      .addColumn('ciphertext', text, required)
      .addColumn('given_at_ms', integer, required)
      .execute()
    await db.schema
      .createIndex('answers_principal')
      .on('answers')
      .columns(['principal', 'given_at_ms', 'bytes'])
      .execute()
    await db.schema.createIndex('answers_given').on('answers').column('given_at_ms').execute()
  },
}
