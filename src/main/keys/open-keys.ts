import type { Log } from '../../lib/log.ts'
import { agreeOnKey, type AgreedKeys } from '../../secrets/agree-on-key.ts'
import { chooseKeySource } from '../../secrets/keys/choose-source.ts'
import type { KeySource } from '../../secrets/keys/key-source.ts'
import type { Store } from '../../store/store.ts'
import type { ServeConfig } from '../config.ts'
import { createKeyRecord, type StoreKeyRecord } from './key-record.ts'

export interface OpenedKeys extends AgreedKeys {
  readonly source: KeySource
  readonly record: StoreKeyRecord
}

export interface OpenKeysDeps {
  readonly store: Pick<Store, 'control' | 'state' | 'dialect'>
  /** Our boot epoch. */
  readonly node: string
  readonly nowMs: () => number
  readonly log: Log
}

/**
 * The keys of a daemon with a store, from wherever it was told that its master key is.
 *
 * @throws Fault `unavailable` as `agreeOnKey` does
 */
export async function openKeys(
  { home, keyFile, masterKey, keyCommand, keychain }: ServeConfig,
  deps: OpenKeysDeps,
): Promise<OpenedKeys> {
  const said = (text: string): void =>
    deps.log.warn({ said: text }, 'the key command wrote to its standard error')
  const source = chooseKeySource({
    home,
    keyFile,
    given: masterKey,
    command: keyCommand === undefined ? undefined : { argv: keyCommand.argv, env: keyCommand.env, said },
    keychain,
  })
  const record = createKeyRecord(deps)
  const { ring, storeKey, startsWith } = await agreeOnKey(source, record)
  return { source, record, ring, storeKey, startsWith }
}
