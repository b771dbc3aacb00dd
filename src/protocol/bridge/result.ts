import { SERVER_INFO_KEY } from '../envelope.ts'
import { elements, members } from '../json-spans.ts'
import { spanOf, type Message, type Span } from '../message.ts'
import type { Edit } from '../splice.ts'
import { insertMember, removeMembers } from './request.ts'

/**
 * Result of a legacy server for a modern client: `resultType` on every result, cache hints on what is cacheable, and
 * who answered (MCP 2026-07-28, "Results" and "Caching").
 */
export function toModernResult(message: Message, method: string, serverInfo: string | undefined): Edit[] {
  const result = spanOf(message, 'result')
  if (result === undefined || message.bytes[result.start] !== 0x7b) return []
  const present = members(message.bytes, result)
  const added: string[] = []
  if (!present.has('resultType')) added.push('"resultType":"complete"')
  if (method === 'resources/read') {
    // A legacy server says nothing of how long its answer holds, so it holds for no time and for nobody else.
    if (!present.has('ttlMs')) added.push('"ttlMs":0')
    if (!present.has('cacheScope')) added.push('"cacheScope":"private"')
  }
  if (method === 'tools/call' && !present.has('content')) added.push('"content":[]')
  const meta = present.get('_meta')
  const info = serverInfo === undefined ? undefined : `${JSON.stringify(SERVER_INFO_KEY)}:${serverInfo}`
  if (info !== undefined && meta === undefined) added.push(`"_meta":{${info}}`)
  const edits = added.length === 0 ? [] : [insertMember(message.bytes, result, added.join(','))]
  if (info === undefined || meta === undefined) return edits
  if (message.bytes[meta.start] !== 0x7b) edits.push({ start: meta.start, end: meta.end, text: `{${info}}` })
  else if (!members(message.bytes, meta).has(SERVER_INFO_KEY))
    edits.push(insertMember(message.bytes, meta, info))
  return edits
}

/** Result of a modern server for a legacy client: what only the modern era knows is taken out. */
export function toLegacyResult(message: Message): Edit[] {
  const result = spanOf(message, 'result')
  if (result === undefined || message.bytes[result.start] !== 0x7b) return []
  const present = members(message.bytes, result)
  const edits = removeMembers(message.bytes, result, ['resultType', 'ttlMs', 'cacheScope'])
  const meta = present.get('_meta')
  if (meta !== undefined) edits.push(...removeMembers(message.bytes, meta, [SERVER_INFO_KEY]))
  const structured = present.get('structuredContent')
  // Legacy clients know objects only; the schema of such a tool is wrapped in the same way.
  if (structured !== undefined && message.bytes[structured.start] !== 0x7b) {
    edits.push(
      { start: structured.start, end: structured.start, text: '{"result":' },
      { start: structured.end, end: structured.end, text: '}' },
      ...contentFor(message.bytes, result, structured),
    )
  }
  return edits
}

/** Clients of revisions without structured content, and models, read the text (MCP 2025-06-18, "Structured Content"). */
function contentFor(bytes: Buffer, result: Span, structured: Span): Edit[] {
  const text = JSON.stringify(bytes.toString('utf8', structured.start, structured.end))
  const block = `{"type":"text","text":${text}}`
  const content = members(bytes, result).get('content')
  if (content === undefined) return [insertMember(bytes, result, `"content":[${block}]`)]
  const isEmpty = bytes[content.start] === 0x5b && elements(bytes, content).length === 0
  return isEmpty ? [{ start: content.start, end: content.end, text: `[${block}]` }] : []
}
