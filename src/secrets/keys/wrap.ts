import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { decrypt, encrypt, frame, NONCE_BYTES } from '../aes-gcm.ts'
import { deriveKey } from '../derive-key.ts'
import { keyRefusal, masterKeyOf, type MasterKey } from './key.ts'

/**
 * The key that everything comes from which has to outlive a master key: MACs and signatures of the record, what
 * daemons and clients show us again. Made once for a store, and wrapped by its master key.
 */
export interface StoreKey {
  readonly key: KeyObject
}

export const newStoreKey = (): StoreKey => ({ key: createSecretKey(randomBytes(32)) })

/** What is wrapped is this, or a master key by its id. It opens as that, and as nothing else. */
const STORE_KEY = 'store-key'

/** @returns text for a column */
export const wrapStoreKey = (by: MasterKey, { key }: StoreKey): string => wrap(by, STORE_KEY, key)

/** @throws Fault `unavailable` when another key has wrapped it, or it was changed */
export const unwrapStoreKey = (by: MasterKey, text: string): StoreKey => ({
  key: createSecretKey(unwrap(by, STORE_KEY, text)),
})

export const wrapMasterKey = (by: MasterKey, master: MasterKey): string => wrap(by, master.id, master.key)

/** @throws Fault `unavailable` when another key has wrapped it, it was changed, or it is not the one of that id */
export function unwrapMasterKey(by: MasterKey, id: string, text: string): MasterKey {
  const master = masterKeyOf(unwrap(by, id, text))
  if (master.id !== id) throw doesNotOpen(by)
  return master
}

function wrap(by: MasterKey, what: string, key: KeyObject): string {
  const nonce = randomBytes(NONCE_BYTES)
  const sealed = encrypt(deriveKey(by, 'key-wrap'), { nonce, aad: contextOf(by, what) }, key.export())
  return Buffer.concat([nonce, sealed]).toString('base64')
}

function unwrap(by: MasterKey, what: string, text: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  const nonce = bytes.subarray(0, NONCE_BYTES)
  try {
    const context = { nonce, aad: contextOf(by, what) }
    return decrypt(deriveKey(by, 'key-wrap'), context, bytes.subarray(NONCE_BYTES))
  } catch (cause) {
    throw doesNotOpen(by, cause)
  }
}

const contextOf = (by: MasterKey, what: string): Buffer => frame(['castellan/v1/wrapped-key', by.id, what])

const doesNotOpen = ({ id }: MasterKey, cause?: unknown) =>
  keyRefusal(
    `a key of the store does not open with master key ${id}: the database was changed by somebody; restore it from a backup`,
    cause,
  )
