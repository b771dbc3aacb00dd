import { SecretValue } from '../../lib/secret-value.ts'
import { callApi } from '../api.ts'
import type { CliContext } from '../context.ts'
import { changeConfig } from '../contexts/change-config.ts'
import { configPath, readConfig } from '../contexts/config-file.ts'
import { credentialOf } from '../contexts/credentials.ts'
import { keepCredential } from '../contexts/keep-credential.ts'
import { CliFailure } from '../failure.ts'
import type { LoginPlace } from './login-place.ts'

/** What the daemon answers to a sign-in. */
export interface SignedIn {
  readonly credential: string
  /** RFC 3339, UTC. */
  readonly expiresAt: string
  readonly user: string
}

/**
 * Keeps a sign-in, puts its context to use, and ends the one that the context had before.
 *
 * @returns where the credential is, in words
 * @throws CliFailure when it cannot be kept; then the daemon is told to forget it
 */
export async function keepSignIn(
  place: LoginPlace,
  signedIn: SignedIn,
  given: { readonly keepIn: 'keychain' | 'file' | undefined; readonly context: CliContext },
): Promise<string> {
  const { context } = given
  const { name, url } = place
  const before = currentCredential(place, context)
  const credential = new SecretValue(signedIn.credential)
  try {
    const kept = keepCredential({ context: name, url }, credential, { wanted: given.keepIn, context })
    changeConfig(configPath(context), (draft) => {
      const record = draft.contexts.get(name)
      draft.contexts.set(name, {
        url,
        project: record?.url === url ? record.project : undefined,
        user: signedIn.user,
        credential: kept.place,
        expiresAt: signedIn.expiresAt,
      })
      draft.current = name
    })
    if (before !== undefined) await signOut(url, before)
    return kept.where
  } catch (error) {
    // Nobody holds it any more: it must not live on until it expires.
    await signOut(url, credential)
    throw error
  }
}

/** As well as it can be: where the daemon cannot be told, the sign-in ends by itself. */
async function signOut(url: string, credential: SecretValue): Promise<void> {
  try {
    await callApi({ url: new URL(url), credential }, ['auth', 'logout'], { method: 'POST' })
  } catch (error) {
    if (!(error instanceof CliFailure)) throw error
  }
}

function currentCredential({ name, url }: LoginPlace, context: CliContext): SecretValue | undefined {
  const record = readConfig(configPath(context)).contexts.get(name)
  if (record?.url !== url) return undefined
  try {
    return credentialOf(name, record, context)
  } catch (error) {
    // A keychain that is locked: the sign-in it holds ends by itself.
    if (error instanceof CliFailure) return undefined
    throw error
  }
}
