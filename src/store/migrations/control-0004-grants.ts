import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const grants: Migration = {
  name: 'grants',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('grants')
      .addColumn('uid', text, (column) => column.primaryKey().notNull())
      .addColumn('name', text, (column) => column.notNull().unique())
      .addColumn('server', text, required)
      .addColumn('origin', text, required)
      .addColumn('state', text, required)
      .addColumn('version', integer, required)
      .addColumn('updated_at_ms', integer, required)
      .execute()
    await db.schema
      .createTable('grant_secrets')
      .addColumn('uid', text, (column) => column.notNull().references('grants.uid').onDelete('cascade'))
      .addColumn('field', text, required)
      .addColumn('key_id', text, required)
      .addColumn('wrapped_key', text, required)
      .addColumn('nonce', text, required)
      .addColumn('ciphertext', text, required)
      .addPrimaryKeyConstraint('grant_secrets_pk', ['uid', 'field'])
      .execute()
  },
}
