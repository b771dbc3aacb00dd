import type { SecretValue } from '../../lib/secret-value.ts'
import type { CliContext } from '../context.ts'
import { replaceFile, whileLocked } from './change-file.ts'
import { configPath, type ContextRecord, type CredentialPlace } from './config-file.ts'
import { credentialFileOf, readEntries } from './credential-file.ts'
import { askKeychain, type KeychainEntry } from './keychain.ts'

type Surroundings = Pick<CliContext, 'env' | 'cwd' | 'userHome'>

export interface Kept {
  readonly place: Exclude<CredentialPlace, 'none'>
  /** Words for people: where it is, and why it is not in the keychain. */
  readonly where: string
}

/** A person who is asked to unlock it is in front of the machine; a session over ssh should not wait long. */
const PATIENCE_MS = 10_000

/**
 * Keeps a credential in the keychain of the system, or, where that does not work or is not wanted, in a file that only
 * its owner can read.
 *
 * @throws CliFailure when the file cannot be written
 */
export function keepCredential(
  entry: KeychainEntry,
  credential: SecretValue,
  given: { readonly wanted: 'keychain' | 'file' | undefined; readonly context: Surroundings },
): Kept {
  const { wanted, context } = given
  const path = credentialFileOf(configPath(context))
  const reason = wanted === 'file' ? undefined : refusalOfKeychain(entry, credential, context)
  if (wanted !== 'file' && reason === undefined) {
    dropFromFile(entry.context, context)
    return { place: 'keychain', where: 'the keychain of the system' }
  }
  changeEntries(path, (entries) => {
    entries[entry.context] = { url: entry.url, credential: credential.reveal() }
  })
  const because = reason === undefined ? '' : `, since the keychain ${reason}`
  return { place: 'file', where: `${path} (readable by you only)${because}` }
}

/** Forgets it, wherever it is kept. Answers what could not be done, in words. */
export function dropCredential(
  name: string,
  record: ContextRecord,
  context: Surroundings,
): string | undefined {
  dropFromFile(name, context)
  if (record.credential !== 'keychain') return undefined
  const answer = askKeychain('delete', { context: name, url: record.url }, { env: context.env })
  return answer.ok ? undefined : `it may still be in the keychain, which ${answer.reason}`
}

/** Why it cannot be kept there; read back, since some keychains take what they forget. */
function refusalOfKeychain(
  entry: KeychainEntry,
  credential: SecretValue,
  { env }: Surroundings,
): string | undefined {
  const taken = askKeychain('set', entry, { env, credential, patienceMs: PATIENCE_MS })
  if (!taken.ok) return taken.reason
  const back = askKeychain('get', entry, { env, patienceMs: PATIENCE_MS })
  if (!back.ok) return back.reason
  return back.credential?.reveal() === credential.reveal() ? undefined : 'did not keep it'
}

function dropFromFile(name: string, context: Surroundings): void {
  const path = credentialFileOf(configPath(context))
  if (!Object.hasOwn(readEntries(path), name)) return
  changeEntries(path, (entries) => {
    delete entries[name]
  })
}

function changeEntries(
  path: string,
  change: (entries: Record<string, { readonly url: string; readonly credential: string }>) => void,
): void {
  whileLocked(path, () => {
    const entries = { ...readEntries(path) }
    change(entries)
    replaceFile(path, Object.keys(entries).length === 0 ? undefined : `${JSON.stringify(entries, null, 2)}\n`)
  })
}
