import { fileURLToPath } from 'node:url'
import { entryUrl } from '../../lib/entry.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { CliContext } from '../context.ts'

/** What the keychain of the system said, or why it did not. */
export type KeychainAnswer =
  | { readonly ok: true; readonly credential?: SecretValue | undefined }
  /** Words for people, after "the keychain". */
  | { readonly ok: false; readonly reason: string }

/** Names an entry: who is signed in at which address. */
export interface KeychainEntry {
  readonly context: string
  readonly url: string
}

/** A person may have to unlock it with a dialog; over ssh that dialog is nowhere. */
const PATIENCE_MS = { get: 20_000, set: 20_000, delete: 5000 } as const

/**
 * Asks the keychain of the system, through a process of its own: a keychain that is locked, or whose service hangs,
 * cannot be interrupted but killed.
 */
export function askKeychain(
  action: keyof typeof PATIENCE_MS,
  entry: KeychainEntry,
  given: { readonly env: CliContext['env']; readonly credential?: SecretValue; readonly patienceMs?: number },
): KeychainAnswer {
  // Loaded here: few command lines come by, and all of them would pay for it.
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const child = spawnSync(
    process.execPath,
    [fileURLToPath(entryUrl('cli/contexts/keychain-child')), action, accountOf(entry)],
    {
      // The credential goes in and out through pipes: arguments can be read by every user of the machine.
      input: given.credential?.reveal() ?? '',
      env: { ...given.env },
      timeout: given.patienceMs ?? PATIENCE_MS[action],
      killSignal: 'SIGKILL',
      encoding: 'utf8',
      windowsHide: true,
    },
  )
  if (child.signal !== null) return { ok: false, reason: 'does not answer; it may be locked' }
  const answer = parse(child.stdout)
  if (child.status !== 0 || answer === undefined) return { ok: false, reason: 'cannot be used here' }
  return { ok: true, credential: answer.credential === null ? undefined : new SecretValue(answer.credential) }
}

/** The address is part of it: what was given for one daemon is not found for another. */
const accountOf = ({ context, url }: KeychainEntry): string => `${context} at ${url}`

function parse(text: string): { readonly credential: string | null } | undefined {
  try {
    return JSON.parse(text) as { readonly credential: string | null }
  } catch {
    // It was killed, or never came as far as to answer.
    return undefined
  }
}
