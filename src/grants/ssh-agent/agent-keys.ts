import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { AgentProtocolError, fieldsOf, framed, MESSAGE, messagesOf } from './wire.ts'

/** A key that an agent holds. */
export interface AgentKey {
  /** RFC 4253 §6.6: the public key as it stands on the wire. */
  readonly blob: Buffer
  readonly comment: Buffer
}

/** More than a person has; OpenSSH stops at 2048. */
const MAX_KEYS = 1024

/** As `ssh-add -l` shows it: `SHA256:` and 43 characters. */
export const fingerprintOf = (blob: Buffer): string =>
  `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`

/**
 * One question to an agent, on a connection of its own.
 *
 * @param message as `framed` makes it
 * @returns its answer, without the length
 * @throws AgentProtocolError when it cannot be reached, is silent for `timeoutMs`, or says nothing that fits
 */
export async function askAgent(path: string, message: Buffer, timeoutMs: number): Promise<Buffer> {
  const socket = connect({ path })
  const signal = AbortSignal.timeout(timeoutMs)
  const giveUp = (): void => void socket.destroy(new AgentProtocolError('the agent does not answer in time'))
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    socket.write(message)
    for await (const answer of messagesOf(socket as AsyncIterable<Buffer>)) return answer
    throw new AgentProtocolError('the agent closed the connection')
  } catch (cause) {
    if (cause instanceof AgentProtocolError) throw cause
    throw new AgentProtocolError('the agent cannot be reached', { cause })
  } finally {
    signal.removeEventListener('abort', giveUp)
    socket.destroy()
  }
}

/** @throws AgentProtocolError as askAgent does, and when the answer is no list of keys */
export async function listKeys(path: string, timeoutMs: number): Promise<readonly AgentKey[]> {
  const fields = fieldsOf(await askAgent(path, framed(MESSAGE.requestIdentities), timeoutMs))
  if (fields.byte() !== MESSAGE.identitiesAnswer) throw new AgentProtocolError('the agent lists no keys')
  const count = fields.uint32()
  if (count > MAX_KEYS) throw new AgentProtocolError('the agent lists too many keys')
  return Array.from({ length: count }, () => ({ blob: fields.string(), comment: fields.string() }))
}
