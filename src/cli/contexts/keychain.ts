import {
  KEYCHAIN_PATIENCE_MS,
  keychainQuestion,
  readKeychainAnswer,
  type KeychainAction,
  type KeychainAnswer,
} from '../../lib/keychain.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import type { CliContext } from '../context.ts'

/** Names an entry: who is signed in at which address. */
export interface KeychainEntry {
  readonly context: string
  readonly url: string
}

/** Asks the keychain of the system, through a process of its own that is killed when it takes too long. */
export function askKeychain(
  action: KeychainAction,
  entry: KeychainEntry,
  given: { readonly env: CliContext['env']; readonly credential?: SecretValue; readonly patienceMs?: number },
): KeychainAnswer {
  // Loaded here: few command lines come by, and all of them would pay for it.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const child = spawnSync(process.execPath, [...keychainQuestion(action, accountOf(entry))], {
    input: given.credential?.reveal() ?? '',
    env: { ...given.env },
    timeout: given.patienceMs ?? KEYCHAIN_PATIENCE_MS[action],
    killSignal: 'SIGKILL',
    encoding: 'utf8',
    windowsHide: true,
  })
  return readKeychainAnswer(child)
}

/** The address is part of it: what was given for one daemon is not found for another. */
const accountOf = ({ context, url }: KeychainEntry): string => `${context} at ${url}`
