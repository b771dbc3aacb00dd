import { fileURLToPath } from 'node:url'
import { entryUrl } from './entry.ts'
import { SecretValue } from './secret-value.ts'

/** What the keychain of the system said, or why it did not. */
export type KeychainAnswer =
  | { readonly ok: true; readonly credential?: SecretValue | undefined }
  /** Words for people, after "the keychain". */
  | { readonly ok: false; readonly reason: string }

export type KeychainAction = 'get' | 'set' | 'delete'

/** A person may have to unlock it with a dialog; over ssh that dialog is nowhere. */
export const KEYCHAIN_PATIENCE_MS = { get: 20_000, set: 20_000, delete: 5000 } as const

/**
 * Arguments for Node, for a process that asks the keychain one question: a keychain that is locked, or whose service
 * hangs, cannot be interrupted but killed. A secret goes in and out through pipes, since arguments can be read by
 * every user of the machine.
 *
 * @param account under which name the entry is kept
 */
export const keychainQuestion = (action: KeychainAction, account: string): readonly string[] => [
  fileURLToPath(entryUrl('lib/keychain-child')),
  action,
  account,
]

/** What the end of that process means. */
export function readKeychainAnswer(end: {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
}): KeychainAnswer {
  if (end.signal !== null) return { ok: false, reason: 'does not answer; it may be locked' }
  const answer = parse(end.stdout)
  if (end.status !== 0 || answer === undefined) return { ok: false, reason: 'cannot be used here' }
  return { ok: true, credential: answer.credential === null ? undefined : new SecretValue(answer.credential) }
}

function parse(text: string): { readonly credential: string | null } | undefined {
  try {
    return JSON.parse(text) as { readonly credential: string | null }
  } catch {
    // It was killed, or never came as far as to answer.
    return undefined
  }
}
