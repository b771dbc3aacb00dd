import { splitBatch } from '../../protocol/batch.ts'
import { readMessage, type Message } from '../../protocol/message.ts'
import { claimsModern } from '../../protocol/revisions.ts'
import type { Refusal } from '../exchange.ts'
import { hasClaim, headerOf, type ClassifiedHeaders } from './classify.ts'

/** As many as the official SDK takes; each travels as an exchange of its own. */
export const MAX_BATCH = 100

/**
 * A batch as its messages, or why it is refused as a whole: then nothing of it has been done (JSON-RPC 2.0, "Batch";
 * MCP 2025-03-26: never `initialize` in one).
 * @param body a JSON array that `readMessage` has scanned
 */
export function readBatch(body: Buffer): readonly Message[] | Refusal {
  const parts = splitBatch(body)
  if (parts.length === 0) return refused('it is an empty batch')
  if (parts.length > MAX_BATCH) return refused(`a batch has at most ${MAX_BATCH} messages`)
  const messages: Message[] = []
  const ids = new Set<string>()
  for (const part of parts) {
    const read = readMessage(part, 'client')
    if (!read.ok) return refused('an element of the batch is no message')
    const { shape, idText } = read.value
    // Two answers under one id could not be told apart.
    if (shape === 'request' && idText !== undefined && ids.size === ids.add(idText).size)
      return refused('two requests of the batch have the same id')
    messages.push(read.value)
  }
  return messages
}

/** Batches belong to one revision of the legacy era: whatever speaks of the other era is refused in one. */
export function batchProblem(messages: readonly Message[], headers: ClassifiedHeaders): Refusal | undefined {
  if (claimsModern(headerOf(headers['mcp-protocol-version']) ?? ''))
    return refused(
      'the revision that MCP-Protocol-Version names has no batches; send one message per request',
    )
  if (messages.some(hasClaim))
    return refused('a message with an envelope of its own travels alone, not in a batch')
  if (messages.some(({ method, shape }) => method === 'initialize' && shape === 'request'))
    return refused('initialize travels alone, not in a batch')
  return undefined
}

const refused = (hint: string): Refusal => ({ code: 'not_jsonrpc', hint })
