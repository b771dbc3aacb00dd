import type { KeyObject } from 'node:crypto'
import { Fault } from '../lib/fault.ts'

/** The key that everything sealed in the store depends on. */
export interface MasterKey {
  readonly id: string
  readonly key: KeyObject
}

export interface MasterKeyOptions {
  readonly home: string
  /** Instead of `<home>/master.key`. */
  readonly keyFile?: string | undefined
  /** Ids of the keys that sealed what the store holds (`listSealingKeys`): with any there, no key is made. */
  readonly sealedWith: readonly string[]
}

/** Loads the master key, or makes one in a home that holds nothing sealed. */
export function loadMasterKey(options: MasterKeyOptions): Promise<MasterKey> {
  return Promise.reject(new Fault('unavailable', { detail: options.home }))
}
