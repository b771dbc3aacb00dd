import type { ControlDb, GrantRow, SealedRow } from './tables.ts'

/** A grant with its sealed values. */
export interface StoredGrant {
  readonly row: GrantRow
  readonly sealed: readonly SealedRow[]
}

/** All of them, or the one of that name, in the order of their names. */
export async function listGrants(db: ControlDb, name?: string): Promise<StoredGrant[]> {
  // One transaction, so that a grant and its secrets are of one version.
  return db.transaction().execute(async (tx) => {
    const query = tx.selectFrom('grants').selectAll().orderBy('name')
    const rows = await (name === undefined ? query : query.where('name', '=', name)).execute()
    if (rows.length === 0) return []
    const uids = rows.map(({ uid }) => uid)
    const sealed = await tx
      .selectFrom('grant_secrets')
      .selectAll()
      .where('uid', 'in', uids)
      .orderBy('uid')
      .orderBy('field')
      .execute()
    return rows.map((row) => ({ row, sealed: sealed.filter(({ uid }) => uid === row.uid) }))
  })
}

/**
 * Keeps a grant with exactly these secrets, as its version says: 1 is a grant that is not there yet.
 *
 * @returns false when the stored one is not of the version before: somebody else has changed it
 */
export async function saveGrant(db: ControlDb, { row, sealed }: StoredGrant): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    if (!(await putRow(tx, row))) return false
    await tx.deleteFrom('grant_secrets').where('uid', '=', row.uid).execute()
    if (sealed.length > 0)
      await tx
        .insertInto('grant_secrets')
        .values([...sealed])
        .execute()
    return true
  })
}

async function putRow(db: ControlDb, row: GrantRow): Promise<boolean> {
  if (row.version === 1) {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('grants')
      .values(row)
      .onConflict((conflict) => conflict.column('name').doNothing())
      .executeTakeFirstOrThrow()
    return (numInsertedOrUpdatedRows ?? 0n) > 0n
  }
  const { uid, ...change } = row
  const { numUpdatedRows } = await db
    .updateTable('grants')
    .set(change)
    .where('uid', '=', uid)
    .where('version', '=', row.version - 1)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** With its secrets. */
export async function removeGrant(db: ControlDb, name: string): Promise<void> {
  await db.deleteFrom('grants').where('name', '=', name).execute()
}
