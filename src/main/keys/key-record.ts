import { hostname } from 'node:os'
import type { KeyHolder, KeyRecord, KeyState, Rotation } from '../../secrets/keys/key-record.ts'
import type { KeySourceKind } from '../../secrets/keys/key-source.ts'
import {
  claimMasterKey,
  fillStoreKey,
  findMasterKey,
  findRotation,
  insertRetiredKey,
  insertRotation,
  listKeyHolders,
  listRetiredKeys,
  putKeyHolder,
  removeKeyHolder,
  removeOtherKeyHolders,
  removeRotation,
  replaceMasterKey,
  startSealing,
} from '../../store/master-key.ts'
import { countSealed, holdSealing, SEALED_TABLES } from '../../store/sealed-tables.ts'
import { listSealingKeys } from '../../store/sealed.ts'
import type { Store } from '../../store/store.ts'
import type { ControlDb, KeyHolderRow, KeyRotationRow } from '../../store/tables.ts'
import { inTransaction } from '../../store/transaction.ts'

export interface StoreKeyRecordDeps {
  readonly store: Pick<Store, 'control' | 'state' | 'dialect'>
  /** Our boot epoch. */
  readonly node: string
  readonly nowMs: () => number
}

/** What the control database remembers of the master keys. */
export interface StoreKeyRecord extends KeyRecord {
  /** Shows that this daemon lives, and how far it is. */
  show(self: Omit<KeyHolder, 'node' | 'host'>): Promise<void>
  leave(): Promise<void>
  holders(): Promise<readonly (KeyHolder & { readonly beat: number })[]>
  /** Only if its beat is still this one. */
  forgetHolder(node: string, beat: number): Promise<void>
  /** False: one is under way, or the key in use is not the old one of this. */
  begin(rotation: Rotation): Promise<boolean>
  beginSealing(rotation: Rotation, storeKey: string): Promise<void>
  /** False: something is sealed with the old key. */
  finish(rotation: Rotation): Promise<boolean>
}

export function createKeyRecord({ store, node, nowMs }: StoreKeyRecordDeps): StoreKeyRecord {
  const { control } = store
  const put = (db: ControlDb, { source, startsWith, knows, sealsWith }: Omit<KeyHolder, 'node' | 'host'>) =>
    putKeyHolder(db, {
      node,
      host: hostname(),
      source,
      starts_with: startsWith,
      knows,
      seals_with: sealsWith,
    })
  return {
    read: () => readState(control),
    sealingKeys: () => listSealingKeys(control),
    enter: (self) =>
      inTransaction(store, async (tx) => {
        if (store.dialect === 'sqlite') await removeOtherKeyHolders(tx, node)
        await put(tx, self)
        return readState(tx)
      }),
    async claim({ keyId, storeKey }) {
      const row = await claimMasterKey(control, { key_id: keyId, store_key: storeKey, since_ms: nowMs() })
      return { keyId: row.key_id, storeKey: row.store_key, sinceMs: row.since_ms }
    },
    fillStoreKey: (keyId, storeKey) => fillStoreKey(control, keyId, storeKey),
    show: (self) => put(control, self),
    leave: () => removeKeyHolder(control, node),
    holders: async () => (await listKeyHolders(control)).map(toHolder),
    forgetHolder: (gone, beat) => removeKeyHolder(control, gone, beat),
    begin: (rotation) =>
      inTransaction(store, async (tx) => {
        if ((await findMasterKey(tx))?.key_id !== rotation.oldKey) return false
        return insertRotation(tx, toRow(rotation))
      }),
    beginSealing: ({ newKey }, storeKey) =>
      inTransaction(store, async (tx) => {
        if (!(await startSealing(tx, newKey))) return
        await replaceMasterKey(tx, { key_id: newKey, store_key: storeKey, since_ms: nowMs() })
      }),
    finish: (rotation) => finish(store, rotation, nowMs()),
  }
}

async function finish(
  store: StoreKeyRecordDeps['store'],
  { oldKey, newKey, keepOld, oldSinceMs, begunAtMs }: Rotation,
  nowMs: number,
): Promise<boolean> {
  const isSealedIn = async (table: (typeof SEALED_TABLES)[number], from: Pick<Store, 'control' | 'state'>) =>
    (await countSealed(from, table)).some(({ key_id }) => key_id === oldKey)
  // What is going on is in a file of its own in the embedded store, and does not outlive much.
  for (const table of SEALED_TABLES) if (await isSealedIn(table, store)) return false
  return inTransaction(store, async (tx) => {
    await holdSealing(tx, store.dialect)
    if ((await listSealingKeys(tx)).includes(oldKey)) return false
    if (!(await removeRotation(tx, newKey))) return true
    await insertRetiredKey(tx, {
      id: oldKey,
      since_ms: oldSinceMs,
      retired_at_ms: Math.max(nowMs, begunAtMs),
      keep_old: keepOld ? 1 : 0,
    })
    return true
  })
}

async function readState(db: ControlDb): Promise<KeyState> {
  const [inUse, rotation, retired] = [
    await findMasterKey(db),
    await findRotation(db),
    await listRetiredKeys(db),
  ]
  return {
    inUse:
      inUse === undefined
        ? undefined
        : { keyId: inUse.key_id, storeKey: inUse.store_key, sinceMs: inUse.since_ms },
    rotation: rotation === undefined ? undefined : toRotation(rotation),
    retired: retired.map((row) => ({
      keyId: row.id,
      sinceMs: row.since_ms,
      retiredAtMs: row.retired_at_ms,
      keepOld: row.keep_old === 1,
    })),
  }
}

export const toRotation = (row: KeyRotationRow): Rotation => ({
  oldKey: row.old_key,
  newKey: row.new_key,
  phase: row.phase,
  newUnderOld: row.new_under_old,
  oldUnderNew: row.old_under_new,
  keepOld: row.keep_old === 1,
  oldSinceMs: row.old_since_ms,
  begunAtMs: row.begun_at_ms,
})

const toRow = (rotation: Rotation): Omit<KeyRotationRow, 'id'> => ({
  old_key: rotation.oldKey,
  new_key: rotation.newKey,
  phase: rotation.phase,
  new_under_old: rotation.newUnderOld,
  old_under_new: rotation.oldUnderNew,
  keep_old: rotation.keepOld ? 1 : 0,
  old_since_ms: rotation.oldSinceMs,
  begun_at_ms: rotation.begunAtMs,
})

const toHolder = (row: KeyHolderRow): KeyHolder & { readonly beat: number } => ({
  node: row.node,
  host: row.host,
  source: row.source as KeySourceKind,
  startsWith: row.starts_with,
  knows: row.knows,
  sealsWith: row.seals_with,
  beat: row.beat,
})
