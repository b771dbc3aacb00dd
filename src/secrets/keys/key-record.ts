import type { KeySourceKind } from './key-source.ts'

/* What a store remembers of its master keys. The keys themselves are in it only wrapped by one another. */

export interface KeyState {
  /** Undefined before the first start. */
  readonly inUse: KeyInUse | undefined
  readonly rotation: Rotation | undefined
  readonly retired: readonly RetiredKey[]
}

export interface KeyInUse {
  readonly keyId: string
  readonly sinceMs: number
  /** Wrapped by this key; `''`: this store is older than its store key. */
  readonly storeKey: string
}

/** One master key takes the place of another. */
export interface Rotation {
  readonly oldKey: string
  readonly newKey: string
  /** `announced`: daemons learn the new key. `sealing`: they seal with it, and what the old one has sealed is sealed anew. */
  readonly phase: 'announced' | 'sealing'
  /** With either key a daemon has both, as long as this lasts. */
  readonly newUnderOld: string
  readonly oldUnderNew: string
  /** The place of the old key is left with it after the end. */
  readonly keepOld: boolean
  /** Since when the old key was in use; 0: that is not known. */
  readonly oldSinceMs: number
  readonly begunAtMs: number
}

export interface RetiredKey {
  readonly keyId: string
  readonly sinceMs: number
  readonly retiredAtMs: number
  readonly keepOld: boolean
}

/** A daemon, and how far it is. */
export interface KeyHolder {
  /** Its boot epoch. */
  readonly node: string
  readonly host: string
  readonly source: KeySourceKind
  /** Id of the key that it starts with the next time; `''`: it has none yet. */
  readonly startsWith: string
  /** Id of the newest key that it can open values of; `''`: it has not said. */
  readonly knows: string
  /** Id of the key that it seals with; `''`: it has not said. */
  readonly sealsWith: string
}

export interface KeyRecord {
  read(): Promise<KeyState>
  /** Ids of all keys that something is sealed with. */
  sealingKeys(): Promise<readonly string[]>
  /**
   * Shows the others this daemon as it is, and reads: whoever changes what is read from here on has seen it.
   */
  enter(self: Omit<KeyHolder, 'node' | 'host'>): Promise<KeyState>
  /** Records the first key, unless there is one. @returns the one in use from here on */
  claim(first: Omit<KeyInUse, 'sinceMs'>): Promise<KeyInUse>
  /** Gives a store the store key that it has none of yet. @returns the one it has from here on, wrapped */
  fillStoreKey(keyId: string, storeKey: string): Promise<string>
}
