import { rm } from 'node:fs/promises'
import { loadMasterKey, otherKey, type MasterKey, type MasterKeyOptions } from './master-key.ts'

/** What a store remembers of the master key that it is used with. */
export interface KeyRecord {
  /** Ids of all keys that it is known to be used with: none before the first start. */
  usedWith(): Promise<readonly string[]>
  /** Records a key as the one in use, unless there is one. @returns the id of the key in use from here on */
  claim(id: string): Promise<string>
}

/**
 * Loads the master key that all daemons of a store share. Of several that start at once on an empty store, the first
 * to record its key decides; the others are refused, and a key that one has made for nothing goes away with it.
 * @throws Fault `unavailable` as `loadMasterKey` does
 */
export async function agreeOnKey(
  options: Omit<MasterKeyOptions, 'usedWith'>,
  record: KeyRecord,
): Promise<MasterKey> {
  const { master, madeAt } = await loadMasterKey({ ...options, usedWith: await record.usedWith() })
  const inUse = await record.claim(master.id)
  if (inUse === master.id) return master
  if (madeAt !== undefined) await rm(madeAt, { force: true })
  throw otherKey(inUse, master.id, madeAt ?? 'what was given here')
}
