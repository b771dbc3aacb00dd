import { addOther } from '../../secrets/agree-on-key.ts'
import { chooseKeySource, type KeyChoice } from '../../secrets/keys/choose-source.ts'
import { keyRefusal, otherKey, type MasterKey } from '../../secrets/keys/key.ts'
import type { KeySource } from '../../secrets/keys/key-source.ts'
import { Keyring } from '../../secrets/keys/keyring.ts'
import { unwrapStoreKey, type StoreKey } from '../../secrets/keys/wrap.ts'
import type { KeyRows } from '../../store/master-key.ts'
import { toRotation } from './key-record.ts'

/** The master key, for a command that works beside a daemon or without one: it makes none. */
export interface OfflineKey {
  /**
   * What a record is signed with: the store key of its store; where there is no store, the master key itself.
   *
   * @throws Fault `unavailable` when the store is used with another master key
   */
  storeKey(rows: KeyRows | undefined): StoreKey
}

/** @throws Fault `unavailable` when there is no key, or it cannot be read */
export async function openOfflineKey(choice: KeyChoice): Promise<OfflineKey> {
  const source = chooseKeySource(choice)
  const own = await source.read()
  if (own === undefined)
    throw keyRefusal('there is no master key: name the home with --home, or the key with --key-file')
  return { storeKey: (rows) => storeKeyOf(source, own, rows) }
}

function storeKeyOf(source: KeySource, own: MasterKey, rows: KeyRows | undefined): StoreKey {
  const { master: row, rotation } = rows ?? {}
  if (row === undefined) return own
  const ring = new Keyring(own)
  if (rotation !== undefined) addOther(ring, own, toRotation(rotation))
  const master = ring.get(row.key_id)
  if (master === undefined) throw otherKey(row.key_id, own.id, source.where)
  return row.store_key === '' ? master : unwrapStoreKey(master, row.store_key)
}
