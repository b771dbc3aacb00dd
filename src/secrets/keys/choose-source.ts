import { join } from 'node:path'
import type { SecretValue } from '../../lib/secret-value.ts'
import { keyFromCommand, type KeyCommand } from './key-command.ts'
import { keyInFile } from './key-file.ts'
import { keyInKeychain, type KeychainUse } from './key-keychain.ts'
import { readKeyText } from './key.ts'
import type { KeySource } from './key-source.ts'

/** Which source was chosen: `<home>/master.key` where nothing else is given. */
export interface KeyChoice {
  readonly home: string
  /** Instead of `<home>/master.key`. */
  readonly keyFile?: string | undefined
  /** The content of a key file instead of a file: what the environment gave. */
  readonly given?: SecretValue | undefined
  /** A program that prints the content of a key file. */
  readonly command?: KeyCommand | undefined
  /** The keychain of the system keeps it. */
  readonly keychain?: KeychainUse | undefined
}

/** Nothing is read before it is asked for. */
export function chooseKeySource({ home, keyFile, given, command, keychain }: KeyChoice): KeySource {
  if (given !== undefined) return keyInEnvironment(given)
  if (command !== undefined) return keyFromCommand(command)
  if (keychain !== undefined) return keyInKeychain(home, keychain)
  return keyInFile(keyFile ?? join(home, 'master.key'))
}

const VARIABLE = 'CASTELLAN_MASTER_KEY'

const keyInEnvironment = (text: SecretValue): KeySource => ({
  kind: 'environment',
  where: VARIABLE,
  read: async () => readKeyText(text.reveal(), VARIABLE),
})
