import { CAPABILITIES_KEY, CLIENT_INFO_KEY, ENVELOPE_KEYS, LOG_LEVEL_KEY, VERSION_KEY } from '../envelope.ts'
import { memberList } from '../json-spans.ts'
import { spanOf, type Message, type Span } from '../message.ts'
import { LATEST_MODERN } from '../revisions.ts'
import type { Edit } from '../splice.ts'

/** What a legacy session knows of its client and a modern server wants to hear with every request. */
export interface LegacyClient {
  /** JSON text of the client's `clientInfo`. */
  readonly clientInfo: string
  /** JSON text of what the client can be asked for. */
  readonly capabilities: string
  readonly logLevel: string | undefined
}

/** Legacy request to modern server: the envelope goes into `params._meta`, whatever else stands there stays. */
export function toModernRequest(message: Message, client: LegacyClient): Edit[] {
  const envelope = [
    `${JSON.stringify(VERSION_KEY)}:"${LATEST_MODERN}"`,
    `${JSON.stringify(CAPABILITIES_KEY)}:${client.capabilities}`,
    `${JSON.stringify(CLIENT_INFO_KEY)}:${client.clientInfo}`,
    ...(client.logLevel === undefined
      ? []
      : [`${JSON.stringify(LOG_LEVEL_KEY)}:${JSON.stringify(client.logLevel)}`]),
  ].join(',')
  const meta = spanOf(message, 'params/_meta')
  if (meta !== undefined) {
    return message.bytes[meta.start] === 0x7b
      ? [insertMember(message.bytes, meta, envelope)]
      : [{ ...meta, text: `{${envelope}}` }]
  }
  const params = spanOf(message, 'params')
  if (params !== undefined) return [insertMember(message.bytes, params, `"_meta":{${envelope}}`)]
  const method = spanOf(message, 'method')
  return method === undefined
    ? []
    : [{ start: method.end, end: method.end, text: `,"params":{"_meta":{${envelope}}}` }]
}

/** Modern request to legacy server: the envelope goes, other `_meta` keys stay; what a retry carries goes as well. */
export function toLegacyRequest(message: Message): Edit[] {
  const meta = spanOf(message, 'params/_meta')
  const params = spanOf(message, 'params')
  return [
    ...(meta === undefined ? [] : removeMembers(message.bytes, meta, ENVELOPE_KEYS)),
    ...(params === undefined ? [] : removeMembers(message.bytes, params, ['inputResponses', 'requestState'])),
  ]
}

/** Puts `text` (one or more members) first into the object at `span`. */
export function insertMember(bytes: Buffer, span: Span, text: string): Edit {
  const isEmpty = memberList(bytes, span).length === 0
  return { start: span.start + 1, end: span.start + 1, text: isEmpty ? text : `${text},` }
}

/** Takes members out of the object at `span`, each with the comma that goes with it. */
export function removeMembers(bytes: Buffer, span: Span, keys: readonly string[]): Edit[] {
  const all = memberList(bytes, span)
  const edits: Edit[] = []
  let keptEnd: number | undefined
  for (const [i, member] of all.entries()) {
    if (!keys.includes(member.key)) {
      keptEnd = member.end
      continue
    }
    const previous = edits.at(-1)
    const next = all[i + 1]
    const start = keptEnd ?? member.keyStart
    const end = keptEnd === undefined && next !== undefined ? next.keyStart : member.end
    if (previous !== undefined && previous.end >= start)
      edits[edits.length - 1] = { start: previous.start, end, text: '' }
    else edits.push({ start, end, text: '' })
    if (keptEnd !== undefined) keptEnd = member.end
  }
  return edits
}
