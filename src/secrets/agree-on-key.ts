import { createSecretKey } from 'node:crypto'
import { keyRefusal, otherKey, type MasterKey } from './keys/key.ts'
import type { KeyInUse, KeyRecord, KeyState, Rotation } from './keys/key-record.ts'
import type { KeySource } from './keys/key-source.ts'
import { Keyring } from './keys/keyring.ts'
import { newStoreKey, unwrapMasterKey, unwrapStoreKey, wrapStoreKey, type StoreKey } from './keys/wrap.ts'

/** The keys that a daemon works with. */
export interface AgreedKeys {
  readonly ring: Keyring
  readonly storeKey: StoreKey
  /** Id of the key that its source holds. */
  readonly startsWith: string
}

/**
 * Loads the master key that all daemons of a store share. Of several that start at once on an empty store, the first
 * to record its key decides; the others are refused, and a key that one has made for nothing goes away with it. While
 * a key takes the place of another, either opens the store.
 *
 * @throws Fault `unavailable` when the key is missing, damaged, readable by others, or another than the store is used
 *   with; no key is made then
 */
export async function agreeOnKey(source: KeySource, record: KeyRecord): Promise<AgreedKeys> {
  const found = await source.read()
  const about = { source: source.kind, startsWith: found?.id ?? '', knows: '', sealsWith: '' }
  const state = await record.enter(about)
  const sealing = await record.sealingKeys()
  const agreed =
    state.inUse === undefined
      ? await beginWith(source, record, { found, sealing })
      : openWith(source, { found, state, inUse: state.inUse })
  for (const id of sealing)
    if (agreed.ring.get(id) === undefined) throw otherKey(id, agreed.startsWith, source.where)
  const storeKey = await storeKeyOf(agreed, record)
  return { ring: agreed.ring, storeKey, startsWith: agreed.startsWith }
}

interface Opened {
  readonly ring: Keyring
  readonly startsWith: string
  readonly inUse: KeyInUse
}

/** No key is recorded: the first start, or that of a store which is older than the record. */
async function beginWith(
  source: KeySource,
  record: KeyRecord,
  { found, sealing }: { readonly found: MasterKey | undefined; readonly sealing: readonly string[] },
): Promise<Opened> {
  if (found === undefined && sealing.length > 0) throw missing(source, sealing.join(', '))
  const other = sealing.find((id) => id !== found?.id)
  if (found !== undefined && other !== undefined) throw otherKey(other, found.id, source.where)
  const own = found ?? (await source.keep?.make())
  if (own === undefined)
    throw keyRefusal(
      `${source.where} gives no master key; castellan keys new --out FILE makes one to put there`,
    )
  const inUse = await record.claim({ keyId: own.id, storeKey: wrapStoreKey(own, newStoreKey()) })
  if (inUse.keyId === own.id) return { ring: new Keyring(own), startsWith: own.id, inUse }
  if (found === undefined) await source.keep?.unmake()
  throw otherKey(inUse.keyId, own.id, source.where)
}

interface Stored {
  readonly found: MasterKey | undefined
  readonly state: KeyState
  readonly inUse: KeyInUse
}

function openWith(source: KeySource, { found, state, inUse }: Stored): Opened {
  const { rotation, retired } = state
  if (found === undefined) throw missing(source, inUse.keyId)
  const ring = new Keyring(found)
  if (rotation !== undefined) addOther(ring, found, rotation)
  if (ring.get(inUse.keyId) === undefined) {
    if (!retired.some(({ keyId }) => keyId === found.id)) throw otherKey(inUse.keyId, found.id, source.where)
    throw keyRefusal(
      `${source.where} holds master key ${found.id}, which was replaced by ${inUse.keyId}; give this daemon the key that the others start with (castellan keys list)`,
    )
  }
  ring.use(inUse.keyId)
  return { ring, startsWith: found.id, inUse }
}

/** While one key takes the place of another, whoever has one has both. */
export function addOther(ring: Keyring, own: MasterKey, rotation: Rotation): void {
  if (own.id === rotation.oldKey) ring.add(unwrapMasterKey(own, rotation.newKey, rotation.newUnderOld))
  if (own.id === rotation.newKey) ring.add(unwrapMasterKey(own, rotation.oldKey, rotation.oldUnderNew))
}

async function storeKeyOf({ ring, inUse }: Opened, record: KeyRecord): Promise<StoreKey> {
  const master = ring.get(inUse.keyId)
  if (master === undefined) throw new TypeError('the key in use is known')
  if (inUse.storeKey !== '') return unwrapStoreKey(master, inUse.storeKey)
  // What such a store has signed was signed with keys of its master key, and has to verify for good.
  const storeKey = { key: createSecretKey(master.key.export()) }
  return unwrapStoreKey(master, await record.fillStoreKey(master.id, wrapStoreKey(master, storeKey)))
}

const missing = ({ where }: KeySource, used: string) =>
  keyRefusal(
    `the store is used with master key ${used}; put its file at ${where}, or name the file with --key-file`,
  )
