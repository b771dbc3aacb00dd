import { statSync } from 'node:fs'
import { SecretValue } from '../../lib/secret-value.ts'
import { unavailable } from '../failure.ts'
import { readIfThere } from '../read-if-there.ts'

/** Credentials by context, for machines without a keychain; each with the address that it may be sent to. */
export type CredentialEntries = Readonly<Record<string, CredentialEntry>>

interface CredentialEntry {
  readonly url: string
  readonly credential: string
}

/** Beside the file of contexts, so that the one can be shown to others and the other cannot. */
export const credentialFileOf = (configPath: string): string =>
  `${configPath.replace(/\.json$/, '')}.credentials.json`

/**
 * @returns an empty one where there is none
 * @throws CliFailure when others may read it, or it cannot be read as one
 */
export function readEntries(path: string): CredentialEntries {
  const text = readIfThere(path)
  if (text === undefined) return {}
  if (isOpenToOthers(path))
    throw unavailable(`other users of this machine may read ${path}`, `chmod 600 ${path}`)
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null) return parsed as CredentialEntries
  } catch {
    // Said below, in one way for all that is no such file.
  }
  throw unavailable(`${path} is not a file of credentials`, `rm ${path}, then castellan login`)
}

/** The credential of a context, if it was given for this address. */
export function credentialIn(
  entries: CredentialEntries,
  context: string,
  url: string,
): SecretValue | undefined {
  const entry: Partial<CredentialEntry> | undefined = Object.hasOwn(entries, context)
    ? entries[context]
    : undefined
  return entry?.url === url && typeof entry.credential === 'string'
    ? new SecretValue(entry.credential)
    : undefined
}

/** Windows knows no such bits: there the folder of the user keeps others out. */
const isOpenToOthers = (path: string): boolean =>
  process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0
