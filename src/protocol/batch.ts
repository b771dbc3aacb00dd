import { skipSpace } from './json-tokens.ts'
import { elements } from './json-spans.ts'
import { readMessage, type Message } from './message.ts'

/**
 * The elements of a JSON-RPC batch (MCP 2025-03-26, the only revision that has them), each a view of its bytes.
 * @param bytes a JSON array that went through `scanJson`; of anything else there are no elements
 */
export const splitBatch = (bytes: Buffer): Buffer[] =>
  elements(bytes, { start: skipSpace(bytes, 0), end: bytes.length }).map(({ start, end }) =>
    bytes.subarray(start, end),
  )

/** The messages of a batch of a server, which servers of 2025-03-26 may send; what is no message is left out. */
export const readServerBatch = (bytes: Buffer): Message[] =>
  splitBatch(bytes).flatMap((part) => {
    const read = readMessage(part, 'upstream')
    return read.ok ? [read.value] : []
  })
