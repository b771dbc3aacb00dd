import { createConnection } from 'node:net'
import { hash } from 'node:crypto'
import { SecretValue } from '../../lib/secret-value.ts'
import { unavailable, usage } from '../failure.ts'
import { chooseOne, isTerminal } from '../ask.ts'
import { plain } from './plain.ts'
import type { Reader } from './provider.ts'

/** A key that the agent holds. */
export interface Identity {
  /** `SHA256:…`, as `ssh-add -l` shows it. */
  readonly fingerprint: string
  /** `ssh-ed25519` */
  readonly type: string
  readonly comment: string
}

/** Of the agent protocol (draft-ietf-sshm-ssh-agent, 3.5). */
const REQUEST_IDENTITIES = 11
const IDENTITIES_ANSWER = 12
/** What OpenSSH itself takes at most. */
const MAX_BYTES = 256 * 1024
const PATIENCE_MS = 10_000

const NO_AGENT = 'start one, and give it the key: eval $(ssh-agent); ssh-add'

/** A key of the agent at `SSH_AUTH_SOCK`, by its fingerprint; the private part never leaves the agent. */
export const readSshAgent: Reader = async ({ context }) => {
  const { env } = context
  const socket = env['SSH_AUTH_SOCK']
  if (socket === undefined || socket === '')
    throw unavailable('SSH_AUTH_SOCK is not set: there is no SSH agent', NO_AGENT)
  const [first, ...more] = await listIdentities(socket)
  if (first === undefined) throw unavailable('the SSH agent holds no key', 'give it one: ssh-add PATH')
  const chosen = await choose([first, ...more])
  return {
    found: true,
    says: `the SSH agent: ${chosen.type} ${chosen.fingerprint} ${chosen.comment}`.trimEnd(),
    values: new Map([['key', new SecretValue(chosen.fingerprint)]]),
  }

  async function choose([first, ...more]: Identities): Promise<Identity> {
    if (more.length === 0) return first
    const all = [first, ...more]
    const shown = all.map((one) => `${one.type} ${one.fingerprint} ${one.comment}`.trimEnd())
    if (!isTerminal(context))
      throw usage(
        'the SSH agent holds several keys',
        `add --key with the fingerprint of one: ${shown.join(', or ')}`,
      )
    return all[await chooseOne('Which key?', shown, context)] ?? first
  }
}

type Identities = readonly [Identity, ...Identity[]]

/**
 * The public keys that an SSH agent holds.
 *
 * @throws CliFailure when it does not answer as one
 */
export async function listIdentities(socket: string): Promise<readonly Identity[]> {
  const answer = await ask(socket)
  try {
    return identitiesIn(answer)
  } catch (error) {
    throw unavailable('what listens at SSH_AUTH_SOCK does not answer as an SSH agent', NO_AGENT, error)
  }
}

function ask(socket: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(socket)
    const fail = (why: string) => (error?: unknown) => {
      connection.destroy()
      reject(unavailable(`the SSH agent ${why}`, NO_AGENT, error))
    }
    let read = Buffer.alloc(0)
    connection.setTimeout(PATIENCE_MS, fail('does not answer'))
    connection.on('error', fail('cannot be reached at SSH_AUTH_SOCK'))
    connection.on('end', fail('closed the connection'))
    connection.on('data', (chunk: Buffer) => {
      read = Buffer.concat([read, chunk])
      const length = read.length < 4 ? undefined : read.readUInt32BE(0)
      if (length !== undefined && length > MAX_BYTES) return fail('answers with too much')()
      if (length === undefined || read.length < 4 + length) return
      connection.destroy()
      resolve(read.subarray(4, 4 + length))
    })
    connection.write(Buffer.from([0, 0, 0, 1, REQUEST_IDENTITIES]))
  })
}

/** byte type, uint32 count, then a blob and a comment for each; every read past the end throws. */
function identitiesIn(message: Buffer): Identity[] {
  if (message[0] !== IDENTITIES_ANSWER) throw new Error('another answer')
  const [count, identities] = [message.readUInt32BE(1), [] as Identity[]]
  let at = 5
  while (identities.length < count) {
    const blob = textAt(message, at)
    const comment = textAt(message, at + 4 + blob.length)
    at += 8 + blob.length + comment.length
    identities.push({
      fingerprint: `SHA256:${hash('sha256', blob, 'base64').replace(/=+$/, '')}`,
      type: printable(textAt(blob, 0)),
      comment: printable(comment),
    })
  }
  return identities
}

function textAt(message: Buffer, at: number): Buffer {
  const end = at + 4 + message.readUInt32BE(at)
  if (end > message.length) throw new Error('it ends early')
  return message.subarray(at + 4, end)
}

/** A comment may have been made by anybody. */
const printable = (bytes: Buffer): string => plain(bytes.toString('utf8')).slice(0, 100)
