import { sql } from 'kysely'
import type { SessionRow, StateDb } from './tables.ts'

const ROWS_PER_STATEMENT = 1000

/** What may change in the life of a session. */
export type SessionChange = Partial<Pick<SessionRow, 'client' | 'log_level' | 'subscriptions' | 'seen_at_ms'>>

export async function insertSession(db: StateDb, row: SessionRow): Promise<void> {
  await db.insertInto('sessions').values(row).execute()
}

export const findSession = (db: StateDb, id: string): Promise<SessionRow | undefined> =>
  db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()

/** False: there is no such session (any more). */
export async function updateSession(db: StateDb, id: string, change: SessionChange): Promise<boolean> {
  if (Object.keys(change).length === 0) return (await findSession(db, id)) !== undefined
  const { numUpdatedRows } = await db
    .updateTable('sessions')
    .set(change)
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** Notes when sessions were last seen; unknown ones are passed over, and no time goes back. */
export async function touchSessions(
  db: StateDb,
  seen: readonly (readonly [id: string, seenAtMs: number])[],
): Promise<void> {
  for (let from = 0; from < seen.length; from += ROWS_PER_STATEMENT) {
    const rows = seen
      .slice(from, from + ROWS_PER_STATEMENT)
      .map(([id, seenAtMs]) => sql`(${id}, cast(${seenAtMs} as bigint))`)
    // An update from a list, which Kysely's builder has no portable words for.
    await sql`
      with batch(id, at_ms) as (values ${sql.join(rows)}),
      newest as (select id, max(at_ms) as at_ms from batch group by id)
      update sessions set seen_at_ms = newest.at_ms
      from newest where sessions.id = newest.id and sessions.seen_at_ms < newest.at_ms
    `.execute(db)
  }
}

/** Those of them that are not there (any more). */
export async function missingSessions(db: StateDb, ids: readonly string[]): Promise<string[]> {
  const missing = new Set(ids)
  for (let from = 0; from < ids.length; from += ROWS_PER_STATEMENT) {
    const some = ids.slice(from, from + ROWS_PER_STATEMENT)
    const rows = await db.selectFrom('sessions').select('id').where('id', 'in', some).execute()
    for (const { id } of rows) missing.delete(id)
  }
  return [...missing]
}

/** False: there was no such session. */
export async function removeSession(db: StateDb, id: string): Promise<boolean> {
  const { numDeletedRows } = await db.deleteFrom('sessions').where('id', '=', id).executeTakeFirstOrThrow()
  return numDeletedRows > 0n
}

/** Sessions of some projects, or of all but some, that were last seen before a time; the longest silent first. */
export const listExpired = (
  db: StateDb,
  beforeMs: number,
  limit: number,
  projects: { readonly which: 'only' | 'except'; readonly names: readonly string[] } = ALL_PROJECTS,
): Promise<SessionRow[]> =>
  db
    .selectFrom('sessions')
    .selectAll()
    .where('seen_at_ms', '<', beforeMs)
    .$if(projects.names.length > 0, (query) =>
      query.where('project', projects.which === 'only' ? 'in' : 'not in', projects.names),
    )
    .orderBy('seen_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()

const ALL_PROJECTS = { which: 'except', names: [] } as const

export async function countSessions(db: StateDb, project: string): Promise<number> {
  const { count } = await db
    .selectFrom('sessions')
    .select(sql<number>`count(*)`.as('count'))
    .where('project', '=', project)
    .executeTakeFirstOrThrow()
  return count
}
