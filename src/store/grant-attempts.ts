import type { GrantAttemptRow, StateDb } from './tables.ts'

/* Authorizations that somebody has begun at an authorization server. */

/** @returns false: there are as many as there may be */
export async function insertGrantAttempt(
  db: StateDb,
  row: GrantAttemptRow,
  { most, nowMs }: { readonly most: number; readonly nowMs: number },
): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    await tx.deleteFrom('grant_attempts').where('expires_at_ms', '<', nowMs).execute()
    const { count } = await tx
      .selectFrom('grant_attempts')
      .select((eb) => eb.fn.countAll<number | string>().as('count'))
      .executeTakeFirstOrThrow()
    if (Number(count) >= most) return false
    await tx.insertInto('grant_attempts').values(row).execute()
    return true
  })
}

/** Of several that take one, one gets it. With an id: that one, or none. */
export const takeGrantAttempt = (
  db: StateDb,
  stateDigest: string,
  nowMs: number,
  id?: string,
): Promise<GrantAttemptRow | undefined> =>
  db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom('grant_attempts')
      .selectAll()
      .where('state_digest', '=', stateDigest)
      .executeTakeFirst()
    if (row === undefined || row.expires_at_ms < nowMs || row.id !== (id ?? row.id)) return undefined
    const { numUpdatedRows } = await tx
      .updateTable('grant_attempts')
      .set({ result: 'taken', ciphertext: '' })
      .where('id', '=', row.id)
      .where('result', '=', 'waiting')
      .executeTakeFirstOrThrow()
    return numUpdatedRows > 0n ? row : undefined
  })

export async function settleGrantAttempt(
  db: StateDb,
  id: string,
  end: Pick<GrantAttemptRow, 'result' | 'problem'>,
): Promise<void> {
  await db
    .updateTable('grant_attempts')
    .set({ ...end, ciphertext: '' })
    .where('id', '=', id)
    .execute()
}

export const findGrantAttempt = (db: StateDb, id: string): Promise<GrantAttemptRow | undefined> =>
  db.selectFrom('grant_attempts').selectAll().where('id', '=', id).executeTakeFirst()
