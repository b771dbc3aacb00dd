import { sql, type ColumnDefinitionBuilder } from 'kysely'
import type { Migration } from './migration.ts'

const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull()

/** A grant is told from others by profile, holder and name; it may be sent to several origins. */
export const grantHolders: Migration = {
  name: 'grant-holders',
  async up(db, { text, integer }) {
    const { schema } = db
    await schema.alterTable('grants').renameColumn('name', 'key').execute()
    await schema.alterTable('grants').renameColumn('origin', 'origins').execute()
    for (const [column, value] of [
      ['name', ''],
      ['profile', 'default'],
      ['holder', ''],
    ] as const)
      await schema
        .alterTable('grants')
        .addColumn(column, text, (made) => made.notNull().defaultTo(value))
        .execute()
    await db
      .updateTable('grants')
      .set({
        name: sql.ref('key'),
        key: sql`'default//' || key`,
        origins: sql`'["' || origins || '"]'`,
      })
      .execute()
    await rewriteStates(db)
    await schema.createIndex('grants_holder').on('grants').columns(['holder', 'name']).execute()
    await schema
      .createTable('grant_changes')
      .addColumn('seq', integer, (column) => column.primaryKey().notNull())
      .addColumn('key', text, required)
      .addColumn('at_ms', integer, required)
      .execute()
  },
}

/** What is of OAuth stands in a field of its own. */
async function rewriteStates(db: Parameters<Migration['up']>[0]): Promise<void> {
  for (const row of await db.selectFrom('grants').select(['uid', 'state', 'updated_at_ms']).execute()) {
    const {
      trouble,
      renewingUntilMs: _,
      ...oauth
    } = JSON.parse(String(row['state'])) as Record<string, unknown>
    const state = JSON.stringify({
      source: 'browser',
      settings: {},
      givenAtMs: Number(row['updated_at_ms']),
      oauth,
      ...(trouble === undefined ? {} : { trouble }),
    })
    await db.updateTable('grants').set({ state }).where('uid', '=', row['uid']).execute()
  }
}
