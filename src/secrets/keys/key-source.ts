import type { MasterKey } from './key.ts'

export type KeySourceKind = 'file' | 'environment' | 'command' | 'keychain'

/** Where a daemon has its master key from. */
export interface KeySource {
  readonly kind: KeySourceKind
  /** What to call it in a message: a path, the name of a variable. */
  readonly where: string
  /**
   * The key that is there at this moment; undefined: none.
   *
   * @throws Fault `unavailable` when that cannot be told, or what is there is no key: never taken for "none"
   */
  read(): Promise<MasterKey | undefined>
  /** What the daemon can do with it by itself. Absent: only its operator can put a key there. */
  readonly keep?: KeyKeeper
}

export interface KeyKeeper {
  /** Makes the first key. @returns the one that is there afterwards, which another process may have made */
  make(): Promise<MasterKey>
  /** Takes back a key that was made a moment ago, and is nobody's. */
  unmake(): Promise<void>
  /** @throws Fault `unavailable` where `replace` could not work */
  checkReplace(): Promise<void>
  /** Puts `next` in the place of `old`, which is kept beside it. Durable when it resolves; the same when it is repeated. */
  replace(next: MasterKey, old: MasterKey): Promise<void>
  /** Removes the key that `replace` has kept. */
  forget(oldId: string): Promise<void>
}
