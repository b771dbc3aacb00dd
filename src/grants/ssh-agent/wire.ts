/** The protocol of SSH agents (draft-ietf-sshm-ssh-agent), as far as a filter needs it. */
export const MESSAGE = {
  failure: 5,
  requestIdentities: 11,
  identitiesAnswer: 12,
  signRequest: 13,
  signResponse: 14,
} as const

/** OpenSSH takes no longer message either. */
export const MAX_MESSAGE_BYTES = 256 * 1024

/** Its message is for the log; who asks an agent learns only that it failed. */
export class AgentProtocolError extends Error {
  override readonly name = 'AgentProtocolError'
}

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** RFC 4251 §5: a length, and as many bytes. */
export const sshString = (bytes: Buffer): Buffer => Buffer.concat([uint32(bytes.length), bytes])

/** @returns a message as it travels: its length before it */
export const framed = (type: number, ...parts: readonly Buffer[]): Buffer =>
  sshString(Buffer.concat([Buffer.from([type]), ...parts]))

/** Reads one field after the other of bytes that a stranger wrote. */
export interface FieldReader {
  readonly byte: () => number
  readonly uint32: () => number
  readonly string: () => Buffer
  readonly isAtEnd: () => boolean
}

/** @throws AgentProtocolError where less is there than a field says */
export function fieldsOf(bytes: Buffer): FieldReader {
  let at = 0
  const take = (count: number): Buffer => {
    if (count > bytes.length - at) throw new AgentProtocolError('a field is longer than its message')
    const taken = bytes.subarray(at, at + count)
    at += count
    return taken
  }
  return {
    byte: () => take(1).readUInt8(),
    uint32: () => take(4).readUInt32BE(),
    string: () => take(take(4).readUInt32BE()),
    isAtEnd: () => at === bytes.length,
  }
}

/**
 * Takes messages out of a stream.
 *
 * @yields messages without their length, each of at least one byte
 * @throws AgentProtocolError when one is empty, longer than 256 KiB, or cut off
 */
export async function* messagesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let chunks: Buffer[] = []
  let size = 0
  // Joined only when a message is whole: a stranger may send it byte by byte.
  let wanted = 4
  for await (const chunk of stream) {
    chunks.push(chunk)
    size += chunk.length
    while (size >= wanted) {
      const held = Buffer.concat(chunks)
      const length = held.readUInt32BE()
      if (length === 0 || length > MAX_MESSAGE_BYTES)
        throw new AgentProtocolError('a message is empty or longer than 256 KiB')
      const isWhole = size >= 4 + length
      if (isWhole) yield held.subarray(4, 4 + length)
      chunks = [isWhole ? held.subarray(4 + length) : held]
      size -= isWhole ? 4 + length : 0
      wanted = isWhole ? 4 : 4 + length
    }
  }
  if (size > 0) throw new AgentProtocolError('a message is cut off')
}
