import type { AnswerRow, ControlDb } from './tables.ts'

/* Answers to changes that a client may have to ask for again. */

export const ANSWERS_KEPT_MS = 24 * 3_600_000

/** @param sinceMs those given before count as forgotten */
export const findAnswer = (db: ControlDb, id: string, sinceMs: number): Promise<AnswerRow | undefined> =>
  db
    .selectFrom('answers')
    .selectAll()
    .where('id', '=', id)
    .where('given_at_ms', '>', sinceMs)
    .executeTakeFirst()

/** Instead of one that counts as forgotten. */
export async function keepAnswer(db: ControlDb, row: AnswerRow): Promise<void> {
  await db.deleteFrom('answers').where('id', '=', row.id).execute()
  await db.insertInto('answers').values(row).execute()
}

/** How much is kept for one principal. */
export async function measureAnswers(
  db: ControlDb,
  principal: string,
  sinceMs: number,
): Promise<{ readonly count: number; readonly bytes: number }> {
  const { count, bytes } = await db
    .selectFrom('answers')
    .select((eb) => [
      eb.fn.countAll<number>().as('count'),
      eb.fn.sum<string | number | null>('bytes').as('bytes'),
    ])
    .where('principal', '=', principal)
    .where('given_at_ms', '>', sinceMs)
    .executeTakeFirstOrThrow()
  // PostgreSQL gives a sum of integers as text.
  return { count, bytes: Number(bytes ?? 0) }
}

export async function forgetAnswers(db: ControlDb, nowMs: number): Promise<void> {
  await db
    .deleteFrom('answers')
    .where('given_at_ms', '<=', nowMs - ANSWERS_KEPT_MS)
    .execute()
}
