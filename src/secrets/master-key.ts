import { otherKey, keyRefusal, type MasterKey } from './keys/key.ts'
import { chooseKeySource, type KeyChoice } from './keys/choose-source.ts'

export interface MasterKeyOptions extends KeyChoice {
  /** Ids of the keys that the store is used with: with any there, no key is made. */
  readonly usedWith: readonly string[]
}

export interface LoadedKey {
  readonly master: MasterKey
  /** Where it was made just now, undefined where the key was there. */
  readonly madeAt: string | undefined
}

/**
 * Loads the master key, or makes one for a store that is used with none yet: a second key beside the one that is
 * missing would hide the loss until the first value is needed.
 * @throws Fault `unavailable` when the key is missing, damaged, readable by others, or another than the store is used with
 */
export async function loadMasterKey({ usedWith, ...choice }: MasterKeyOptions): Promise<LoadedKey> {
  const source = chooseKeySource(choice)
  const found = await source.read()
  if (found === undefined && (usedWith.length > 0 || source.keep === undefined))
    throw missingKey(source.where, usedWith)
  const master = found ?? (await source.keep?.make())
  if (master === undefined) throw missingKey(source.where, usedWith)
  if (usedWith.some((other) => other !== master.id))
    throw otherKey(usedWith.join(', '), master.id, source.where)
  return { master, madeAt: found === undefined ? source.where : undefined }
}

const missingKey = (where: string, usedWith: readonly string[]) =>
  usedWith.length === 0
    ? keyRefusal(`${where} gives no master key; castellan keys new --out FILE makes one to put there`)
    : keyRefusal(
        `the store is used with master key ${usedWith.join(', ')}; put its file at ${where}, or name the file with --key-file`,
      )
