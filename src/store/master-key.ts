import { listSealingKeys } from './sealed.ts'
import type { ControlDb } from './tables.ts'

/** The one row of `master_key`. */
const ROW = 1

/** Ids of the master keys that this store is used with: the recorded one, and whatever else something is sealed with. */
export async function keysInUse(db: ControlDb): Promise<string[]> {
  const [recorded, sealing] = await Promise.all([recordedKey(db), listSealingKeys(db)])
  return [...new Set([...(recorded === undefined ? [] : [recorded]), ...sealing])]
}

/**
 * Records the master key that the store is used with from here on, unless one is recorded.
 * @returns the id of the one that is
 */
export async function claimMasterKey(db: ControlDb, keyId: string): Promise<string> {
  const known = await recordedKey(db)
  if (known !== undefined) return known
  await db
    .insertInto('master_key')
    .values({ id: ROW, key_id: keyId })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
  return (await recordedKey(db)) ?? keyId
}

const recordedKey = async (db: ControlDb): Promise<string | undefined> =>
  (await db.selectFrom('master_key').select('key_id').where('id', '=', ROW).executeTakeFirst())?.key_id
