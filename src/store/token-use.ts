import { sql } from 'kysely'
import type { StateDb, TokenUseRow } from './tables.ts'

/** Notes when tokens were last used; an older time never replaces a newer one. */
export async function recordUses(db: StateDb, uses: readonly TokenUseRow[]): Promise<void> {
  for (let from = 0; from < uses.length; from += 1000) {
    await db
      .insertInto('token_uses')
      .values(uses.slice(from, from + 1000))
      .onConflict((conflict) =>
        conflict
          .column('uid')
          .doUpdateSet({ used_at_ms: sql`excluded.used_at_ms` })
          .whereRef('excluded.used_at_ms', '>', 'token_uses.used_at_ms'),
      )
      .execute()
  }
}

export const listUses = (db: StateDb): Promise<TokenUseRow[]> =>
  db.selectFrom('token_uses').selectAll().orderBy('uid').execute()
