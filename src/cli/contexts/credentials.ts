import type { SecretValue } from '../../lib/secret-value.ts'
import type { CliContext } from '../context.ts'
import { unavailable } from '../failure.ts'
import { configPath, type ContextRecord } from './config-file.ts'
import { credentialFileOf, credentialIn, readEntries } from './credential-file.ts'
import { askKeychain } from './keychain.ts'

type Surroundings = Pick<CliContext, 'env' | 'cwd' | 'userHome'>

/** A keychain answers once a command line, however often it is asked (`connect` asks before each request). */
const answered = new Map<string, SecretValue | undefined>()

/**
 * The credential of a context, from where it is kept.
 *
 * @returns undefined where it has none, or where it was given for another address
 * @throws CliFailure when it cannot be had
 */
export function credentialOf(
  name: string,
  record: ContextRecord,
  context: Surroundings,
): SecretValue | undefined {
  if (record.credential === 'none') return undefined
  if (record.credential === 'file')
    return credentialIn(readEntries(credentialFileOf(configPath(context))), name, record.url)
  const key = JSON.stringify([configPath(context), name, record.url, record.expiresAt])
  if (!answered.has(key)) answered.set(key, fromKeychain(name, record.url, context))
  return answered.get(key)
}

function fromKeychain(name: string, url: string, { env }: Surroundings): SecretValue | undefined {
  const answer = askKeychain('get', { context: name, url }, { env })
  if (answer.ok) return answer.credential
  throw unavailable(
    `the credential of the context ${name} is in the keychain, which ${answer.reason}`,
    `unlock the keychain, or keep it in a file: castellan login --context ${name} --keep-in file`,
  )
}
