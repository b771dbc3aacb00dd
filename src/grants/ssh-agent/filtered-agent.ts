import { chmod } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { askAgent, fingerprintOf, listKeys } from './agent-keys.ts'
import { isLogin } from './login-request.ts'
import { AgentProtocolError, fieldsOf, framed, MESSAGE, messagesOf, sshString, uint32 } from './wire.ts'

export interface FilteredAgentOptions {
  /** Where to listen: nothing is there yet, the folder only lets its owner in, and it is at most 107 bytes long. */
  readonly path: string
  /** The agent of the host, the value of its SSH_AUTH_SOCK. */
  readonly agentPath: string
  /** The only key that is listed and used, as `ssh-add -l` shows it. */
  readonly fingerprint: string
  /** Told of each signature that was asked for, before it is handed out; for the record. */
  readonly onSign?: (outcome: 'signed' | 'refused') => void
}

export interface FilteredAgent {
  close(): Promise<void>
}

const MAX_CONNECTIONS = 64
const LIST_TIMEOUT_MS = 10_000
/** A person may have to confirm, or to touch a token. */
const SIGN_TIMEOUT_MS = 60_000
const IDLE_TIMEOUT_MS = 10 * 60_000
/** SSH_AGENT_RSA_SHA2_256 and _512; there are no others. */
const KNOWN_FLAGS = 0b110

const FAILURE = framed(MESSAGE.failure)
const NO_KEYS = framed(MESSAGE.identitiesAnswer, uint32(0))

/**
 * An SSH agent with one key: it lists that key, signs logins with it, and answers everything else with a failure:
 * adding, removing, locking, extensions, signatures under other keys or of what is no login. The key itself stays
 * where it is.
 *
 * @throws when the socket cannot be made
 */
export async function openFilteredAgent(options: FilteredAgentOptions): Promise<FilteredAgent> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    // Whoever goes away in the middle is nobody to tell.
    socket.on('error', () => undefined)
    socket.setTimeout(IDLE_TIMEOUT_MS, () => void socket.destroy())
    void serve(socket, options)
  })
  server.maxConnections = MAX_CONNECTIONS
  await listen(server, options.path)
  return {
    async close() {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      for (const socket of open) socket.destroy()
      await closed.promise
    },
  }
}

async function listen(server: Server, path: string): Promise<void> {
  const listening = Promise.withResolvers<void>()
  server.once('error', listening.reject)
  server.listen(path, listening.resolve)
  await listening.promise
  server.off('error', listening.reject)
  try {
    await chmod(path, 0o600)
  } catch (error) {
    server.close()
    throw error
  }
}

/** One question at a time: the next is read when the answer of the last one is on its way. */
async function serve(socket: Socket, options: FilteredAgentOptions): Promise<void> {
  try {
    for await (const message of messagesOf(socket as AsyncIterable<Buffer>)) {
      const answer = await answerTo(message, options).catch(() => FAILURE)
      if (!socket.write(answer) && !socket.destroyed) await drained(socket)
    }
  } catch (error) {
    // Nonsense ends the connection; so does its end in the middle of a message.
    if (!(error instanceof AgentProtocolError) && !socket.destroyed) socket.destroy()
  } finally {
    socket.destroySoon()
  }
}

async function drained(socket: Socket): Promise<void> {
  const done = Promise.withResolvers<void>()
  socket.once('drain', done.resolve)
  socket.once('close', done.resolve)
  await done.promise
}

async function answerTo(message: Buffer, options: FilteredAgentOptions): Promise<Buffer> {
  const type = message.readUInt8()
  if (type === MESSAGE.requestIdentities && message.length === 1) return await listOne(options)
  if (type === MESSAGE.signRequest) return await sign(message, options)
  return FAILURE
}

async function listOne({ agentPath, fingerprint }: FilteredAgentOptions): Promise<Buffer> {
  const keys = await listKeys(agentPath, LIST_TIMEOUT_MS)
  const key = keys.find(({ blob }) => fingerprintOf(blob) === fingerprint)
  if (key === undefined) return NO_KEYS
  return framed(MESSAGE.identitiesAnswer, uint32(1), sshString(key.blob), sshString(key.comment))
}

async function sign(message: Buffer, options: FilteredAgentOptions): Promise<Buffer> {
  const fields = fieldsOf(message.subarray(1))
  const [blob, data, flags] = [fields.string(), fields.string(), fields.uint32()]
  const isOurs =
    fields.isAtEnd() &&
    (flags & ~KNOWN_FLAGS) === 0 &&
    fingerprintOf(blob) === options.fingerprint &&
    isLogin(data, blob)
  if (!isOurs) {
    options.onSign?.('refused')
    return FAILURE
  }
  // Written anew from what was checked: nothing else reaches the agent of the host.
  const question = framed(MESSAGE.signRequest, sshString(blob), sshString(data), uint32(flags))
  const answer = await askAgent(options.agentPath, question, SIGN_TIMEOUT_MS)
  const isSigned = answer.readUInt8() === MESSAGE.signResponse
  options.onSign?.(isSigned ? 'signed' : 'refused')
  return isSigned ? sshString(answer) : FAILURE
}
