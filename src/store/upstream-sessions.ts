import type { StateDb, UpstreamSessionRow } from './tables.ts'

/* Sessions that processes have open at servers. What is left of one that is gone, another process takes over. */

/** Far below what either database takes in one statement: 11 values each. */
const ROWS_PER_STATEMENT = 500

export async function insertUpstreamSessions(
  db: StateDb,
  rows: readonly UpstreamSessionRow[],
): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_PER_STATEMENT)
    await db
      .insertInto('upstream_sessions')
      .values(rows.slice(from, from + ROWS_PER_STATEMENT))
      // A batch whose answer was lost is written again.
      .onConflict((conflict) => conflict.column('uid').doNothing())
      .execute()
}

/** Only what `node` has: what another process has taken over is no longer its own to forget. */
export async function removeUpstreamSessions(
  db: StateDb,
  node: string,
  uids: readonly string[],
): Promise<void> {
  for (let from = 0; from < uids.length; from += ROWS_PER_STATEMENT)
    await db
      .deleteFrom('upstream_sessions')
      .where('node', '=', node)
      .where('uid', 'in', uids.slice(from, from + ROWS_PER_STATEMENT))
      .execute()
}

/** The processes but `self` that have sessions here, alive or not. */
export async function listUpstreamSessionNodes(db: StateDb, self: string): Promise<string[]> {
  const rows = await db
    .selectFrom('upstream_sessions')
    .select('node')
    .distinct()
    .where('node', '<>', self)
    .orderBy('node')
    .execute()
  return rows.map(({ node }) => node)
}

/** Makes sessions of `gone` those of `self`: of several processes that try, each session goes to one. */
export const claimUpstreamSessions = (
  db: StateDb,
  { gone, self, limit }: { readonly gone: string; readonly self: string; readonly limit: number },
): Promise<UpstreamSessionRow[]> =>
  db
    .updateTable('upstream_sessions')
    .set({ node: self })
    .where('node', '=', gone)
    .where('uid', 'in', (query) =>
      query
        .selectFrom('upstream_sessions')
        .select('uid')
        .where('node', '=', gone)
        .orderBy('uid')
        .limit(limit),
    )
    .returningAll()
    .execute()
