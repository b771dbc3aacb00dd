import { sql } from 'kysely'
import type { StateDb, TokenUseRow } from './tables.ts'

const ROWS_PER_STATEMENT = 1000

/** Notes when tokens were last used; an older time never replaces a newer one. */
export async function recordUses(db: StateDb, uses: readonly TokenUseRow[]): Promise<void> {
  const rows = newestUses(uses)
  for (let from = 0; from < rows.length; from += ROWS_PER_STATEMENT) {
    await db
      .insertInto('token_uses')
      .values(rows.slice(from, from + ROWS_PER_STATEMENT))
      .onConflict((conflict) =>
        conflict
          .column('uid')
          .doUpdateSet({ used_at_ms: sql`excluded.used_at_ms` })
          .whereRef('excluded.used_at_ms', '>', 'token_uses.used_at_ms'),
      )
      .execute()
  }
}

/** One row a token: PostgreSQL refuses an upsert that meets a row twice. By uid, so that two nodes never lock crosswise. */
function newestUses(uses: readonly TokenUseRow[]): TokenUseRow[] {
  const newest = new Map<string, number>()
  for (const { uid, used_at_ms } of uses) newest.set(uid, Math.max(used_at_ms, newest.get(uid) ?? 0))
  return [...newest]
    .map(([uid, used_at_ms]) => ({ uid, used_at_ms }))
    .sort((a, b) => (a.uid < b.uid ? -1 : 1))
}

export const listUses = (db: StateDb): Promise<TokenUseRow[]> =>
  db.selectFrom('token_uses').selectAll().orderBy('uid').execute()
