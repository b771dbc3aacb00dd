import { spawn } from 'node:child_process'
import {
  KEYCHAIN_PATIENCE_MS,
  keychainQuestion,
  readKeychainAnswer,
  type KeychainAction,
} from '../../lib/keychain.ts'
import type { SecretValue } from '../../lib/secret-value.ts'
import { keyRefusal, newMasterKey, readKeyText, textOfKey, type MasterKey } from './key.ts'
import type { KeySource } from './key-source.ts'

export interface KeychainUse {
  /** Where the session's keychain is found: `DBUS_SESSION_BUS_ADDRESS` and its like. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly patienceMs?: number | undefined
}

const WHERE = 'the keychain of the system'
/** What a keychain answers with never is longer. */
const MAX_ANSWER = 4096

/**
 * The key of a home in the keychain of the user that the daemon runs as.
 *
 * A keychain that is locked or away is a refusal: taken for an empty one, it would be given a second key.
 */
export function keyInKeychain(home: string, use: KeychainUse): KeySource {
  const account = `master key at ${home}`
  const keptAs = (id: string): string => `${account} (${id})`

  async function read(name = account): Promise<MasterKey | undefined> {
    const text = await ask(use, 'get', { account: name })
    return text === undefined ? undefined : readKeyText(text.reveal(), WHERE)
  }

  async function write(name: string, master: MasterKey): Promise<void> {
    await ask(use, 'set', { account: name, secret: textOfKey(master) })
    // Some keychains take what they forget.
    if ((await read(name))?.id !== master.id)
      throw keyRefusal(`${WHERE} does not keep what it is given; keep the key in a file instead`)
  }

  return {
    kind: 'keychain',
    where: WHERE,
    read: () => read(),
    keep: {
      async make() {
        const master = newMasterKey()
        await write(account, master)
        return master
      },
      unmake: async () => void (await ask(use, 'delete', { account })),
      checkReplace: async () => void (await read()),
      async replace(next, old) {
        if ((await read())?.id === next.id) return
        await write(keptAs(old.id), old)
        await write(account, next)
      },
      async forget(oldId) {
        const name = keptAs(oldId)
        if ((await read(name)) !== undefined) await ask(use, 'delete', { account: name })
      },
    },
  }
}

interface Question {
  readonly account: string
  readonly secret?: SecretValue
}

/** @throws Fault `unavailable` when there is no answer */
async function ask(
  use: KeychainUse,
  action: KeychainAction,
  { account, secret }: Question,
): Promise<SecretValue | undefined> {
  const child = spawn(process.execPath, [...keychainQuestion(action, account)], {
    env: { ...use.env },
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: use.patienceMs ?? KEYCHAIN_PATIENCE_MS[action],
    killSignal: 'SIGKILL',
    windowsHide: true,
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (stdout.length < MAX_ANSWER) stdout += text
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(secret?.reveal() ?? '')
  const { promise, resolve } = Promise.withResolvers<Parameters<typeof readKeychainAnswer>[0]>()
  child.once('error', () => resolve({ status: null, signal: null, stdout: '' }))
  child.once('close', (status, signal) => resolve({ status, signal, stdout }))
  const answer = readKeychainAnswer(await promise)
  if (answer.ok) return answer.credential
  throw keyRefusal(
    `${WHERE} ${answer.reason}, and it has the master key: unlock it and start again, or start from a file with --key-file`,
  )
}
