import type { ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

export const resources: Migration = {
  name: 'resources',
  async up(db, { text, integer }) {
    await db.schema
      .createTable('resources')
      .addColumn('uid', text, (column) => column.primaryKey().notNull())
      .addColumn('kind', text, required)
      .addColumn('project', text, required)
      .addColumn('name', text, required)
      .addColumn('generation', integer, required)
      .addColumn('labels', text, required)
      .addColumn('annotations', text, required)
      .addColumn('spec', text, required)
      .addColumn('status', text, required)
      .addColumn('created_at_ms', integer, required)
      .addColumn('updated_at_ms', integer, required)
      .addColumn('revision', integer, required)
      .addUniqueConstraint('resources_key', ['kind', 'project', 'name'])
      .execute()
    await db.schema
      .createTable('revision')
      .addColumn('id', integer, (column) => column.primaryKey().notNull())
      .addColumn('value', integer, required)
      .execute()
    await db.insertInto('revision').values({ id: 1, value: 0 }).execute()
    await db.schema
      .createTable('changes')
      .addColumn('revision', integer, required)
      .addColumn('uid', text, required)
      .addColumn('kind', text, required)
      .addColumn('project', text, required)
      .addColumn('name', text, required)
      .addColumn('operation', text, required)
      .addColumn('at_ms', integer, required)
      .addPrimaryKeyConstraint('changes_pk', ['revision', 'uid'])
      .execute()
    await db.schema
      .createTable('sealed')
      .addColumn('uid', text, (column) => column.notNull().references('resources.uid').onDelete('cascade'))
      .addColumn('field', text, required)
      .addColumn('key_id', text, required)
      .addColumn('wrapped_key', text, required)
      .addColumn('nonce', text, required)
      .addColumn('ciphertext', text, required)
      .addPrimaryKeyConstraint('sealed_pk', ['uid', 'field'])
      .execute()
    await db.schema
      .createTable('tokens')
      .addColumn('uid', text, (column) =>
        column.primaryKey().notNull().references('resources.uid').onDelete('cascade'),
      )
      .addColumn('digest', text, (column) => column.notNull().unique())
      .addColumn('prefix', text, required)
      .addColumn('expires_at_ms', integer)
      .execute()
  },
}
