import { listSealingKeys } from './sealed.ts'
import type { ControlDb, KeyHolderRow, KeyRotationRow, MasterKeyRow, RetiredKeyRow } from './tables.ts'

/* Which master key a store is used with, which one takes its place, and how far each daemon is with that. */

/** Both rows, where they are there. */
export interface KeyRows {
  readonly master: MasterKeyRow | undefined
  readonly rotation: KeyRotationRow | undefined
}

/** The one row of `master_key`, and of `key_rotation`. */
const ROW = 1

export const findMasterKey = (db: ControlDb): Promise<MasterKeyRow | undefined> =>
  db.selectFrom('master_key').selectAll().where('id', '=', ROW).executeTakeFirst()

/** Ids of the master keys that this store is used with: the recorded one, and whatever else something is sealed with. */
export async function keysInUse(db: ControlDb): Promise<string[]> {
  const [recorded, sealing] = await Promise.all([findMasterKey(db), listSealingKeys(db)])
  return [...new Set([...(recorded === undefined ? [] : [recorded.key_id]), ...sealing])]
}

/**
 * Records the master key that the store is used with from here on, unless one is recorded.
 * @returns the row that is there
 */
export async function claimMasterKey(db: ControlDb, row: Omit<MasterKeyRow, 'id'>): Promise<MasterKeyRow> {
  await db
    .insertInto('master_key')
    .values(Object.assign({ id: ROW }, row))
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
  return db.selectFrom('master_key').selectAll().where('id', '=', ROW).executeTakeFirstOrThrow()
}

/** Where there is none yet. @returns the one that is there */
export async function fillStoreKey(db: ControlDb, keyId: string, storeKey: string): Promise<string> {
  await db
    .updateTable('master_key')
    .set({ store_key: storeKey })
    .where('key_id', '=', keyId)
    .where('store_key', '=', '')
    .execute()
  const { store_key } = await db
    .selectFrom('master_key')
    .select('store_key')
    .where('id', '=', ROW)
    .executeTakeFirstOrThrow()
  return store_key
}

/** Instead of the key that is in use. */
export async function replaceMasterKey(db: ControlDb, row: Omit<MasterKeyRow, 'id'>): Promise<void> {
  await db.updateTable('master_key').set(row).where('id', '=', ROW).execute()
}

export const findRotation = (db: ControlDb): Promise<KeyRotationRow | undefined> =>
  db.selectFrom('key_rotation').selectAll().where('id', '=', ROW).executeTakeFirst()

/** False: there is one already, which stays as it is. */
export async function insertRotation(db: ControlDb, row: Omit<KeyRotationRow, 'id'>): Promise<boolean> {
  const { numInsertedOrUpdatedRows = 0n } = await db
    .insertInto('key_rotation')
    .values(Object.assign({ id: ROW }, row))
    .onConflict((conflict) => conflict.column('id').doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows > 0n
}

/** False: it is not announced, or not by that key. */
export async function startSealing(db: ControlDb, newKey: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('key_rotation')
    .set({ phase: 'sealing' })
    .where('new_key', '=', newKey)
    .where('phase', '=', 'announced')
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}

/** False: there is none by that key. */
export async function removeRotation(db: ControlDb, newKey: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('key_rotation')
    .where('new_key', '=', newKey)
    .executeTakeFirstOrThrow()
  return numDeletedRows > 0n
}

/** The one that was retired last comes first. */
export const listRetiredKeys = (db: ControlDb): Promise<RetiredKeyRow[]> =>
  db.selectFrom('retired_keys').selectAll().orderBy('retired_at_ms', 'desc').orderBy('id').execute()

/** From here on the database takes nothing that is sealed with it. */
export async function insertRetiredKey(db: ControlDb, row: RetiredKeyRow): Promise<void> {
  await db.insertInto('retired_keys').values(row).execute()
}

/** Shows that a daemon lives, and how far it is. */
export async function putKeyHolder(db: ControlDb, row: Omit<KeyHolderRow, 'beat'>): Promise<void> {
  await db
    .insertInto('key_holders')
    .values(Object.assign({ beat: 0 }, row))
    .onConflict((conflict) =>
      conflict.column('node').doUpdateSet((eb) => ({
        source: row.source,
        starts_with: row.starts_with,
        knows: row.knows,
        seals_with: row.seals_with,
        beat: eb('key_holders.beat', '+', 1),
      })),
    )
    .execute()
}

export const listKeyHolders = (db: ControlDb): Promise<KeyHolderRow[]> =>
  db.selectFrom('key_holders').selectAll().orderBy('host').orderBy('node').execute()

/** @param beat only if it still has this one: who has gone on since is alive */
export async function removeKeyHolder(db: ControlDb, node: string, beat?: number): Promise<void> {
  const query = db.deleteFrom('key_holders').where('node', '=', node)
  await (beat === undefined ? query : query.where('beat', '=', beat)).execute()
}

/** Of a store that only one process can have open: whoever else is in it is gone. */
export async function removeOtherKeyHolders(db: ControlDb, node: string): Promise<void> {
  await db.deleteFrom('key_holders').where('node', '<>', node).execute()
}
