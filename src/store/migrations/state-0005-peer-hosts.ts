import type { Migration } from './migration.ts'

export const peerHosts: Migration = {
  name: 'peer-hosts',
  async up(db, { text }) {
    // A process of an older version, which may be at work beside us, writes none.
    await db.schema
      .alterTable('peers')
      .addColumn('host', text, (column) => column.notNull().defaultTo(''))
      .execute()
  },
}
