import type { ControlDb, SealedRow } from './tables.ts'

/** Keeps a sealed value, instead of the one that was there. Its resource must exist. */
export async function putSealed(db: ControlDb, row: SealedRow): Promise<void> {
  const { uid, field, key_id, wrapped_key, nonce, ciphertext } = row
  const sealed = { key_id, wrapped_key, nonce, ciphertext }
  await db
    .insertInto('sealed')
    .values({ uid, field, ...sealed })
    .onConflict((conflict) => conflict.columns(['uid', 'field']).doUpdateSet(sealed))
    .execute()
}

/** The sealed values of one resource, by field in the order of their bytes. */
export const listSealed = (db: ControlDb, uid: string): Promise<SealedRow[]> =>
  db.selectFrom('sealed').selectAll().where('uid', '=', uid).orderBy('field').execute()

/** The sealed values of all resources: for building the snapshot. */
export const listAllSealed = (db: ControlDb): Promise<SealedRow[]> =>
  db.selectFrom('sealed').selectAll().orderBy('uid').orderBy('field').execute()

export async function removeSealed(db: ControlDb, uid: string, field: string): Promise<void> {
  await db.deleteFrom('sealed').where('uid', '=', uid).where('field', '=', field).execute()
}

/** Ids of the master keys that something here is sealed with: none of them may be missing, and none be made anew. */
export async function listSealingKeys(db: ControlDb): Promise<string[]> {
  const rows = await db
    .selectFrom('sealed')
    .select('key_id')
    .union(db.selectFrom('grant_secrets').select('key_id'))
    .union(db.selectFrom('answers').select('key_id'))
    .orderBy('key_id')
    .execute()
  return rows.map(({ key_id }) => key_id)
}
