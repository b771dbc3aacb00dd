import { elements, memberList, members } from '../json-spans.ts'
import type { Span } from '../message.ts'
import type { Era } from '../revisions.ts'
import { splice, type Edit } from '../splice.ts'
import { removeMembers } from './request.ts'

/** A listed item as a client of `to` may see it, its key (name) replaced by what the endpoint calls it. */
export function bridgeListedItem(
  item: Buffer,
  edits: readonly Edit[],
  eras: { readonly from: Era; readonly to: Era },
): Buffer {
  const whole = { start: 0, end: item.length }
  // `execution` says how to make tasks of 2025-11-25, which modern clients do not have. Where a tool is to be called as a
  // task only, that is done for the client, and some clients would refuse to call it plainly.
  if (eras.from === 'legacy' && (eras.to === 'modern' || isTaskOnly(item)))
    return splice(item, [...edits, ...removeMembers(item, whole, ['execution'])])
  if (eras.from === 'modern' && eras.to === 'legacy') {
    return splice(item, [...edits, ...objectProperties(item), ...objectSchema(item)])
  }
  return splice(item, edits)
}

/** Whether a tool can be called as a task only (`execution.taskSupport: required`, MCP 2025-11-25). */
export function isTaskOnly(tool: Buffer): boolean {
  const execution = members(tool, { start: 0, end: tool.length }).get('execution')
  const support = execution === undefined ? undefined : members(tool, execution).get('taskSupport')
  return support !== undefined && textAt(tool, support) === '"required"'
}

/**
 * Legacy output schemas describe objects; any other is wrapped as the member `result` of one. What the server wrote
 * stays as it is but for the dialect, which belongs at the root, and for pointers, which start two levels further down.
 */
function objectSchema(item: Buffer): Edit[] {
  const span = members(item, { start: 0, end: item.length }).get('outputSchema')
  if (span === undefined || !isSchema(item, span)) return []
  const own = members(item, span)
  const type = own.get('type')
  if (type !== undefined && textAt(item, type) === '"object"') return []
  const dialect = own.get('$schema')
  const root = dialect === undefined ? '' : `"$schema":${textAt(item, dialect)},`
  return [
    { start: span.start, end: span.start, text: `{${root}"type":"object","properties":{"result":` },
    ...removeMembers(item, span, ['$schema']),
    ...movedPointers(item, span),
    { start: span.end, end: span.end, text: '},"required":["result"]}' },
  ]
}

/**
 * A property may be `true` or `false` in JSON Schema 2020-12; the official SDK of the legacy era (`ToolSchema`) takes
 * objects only, and does not take the whole list otherwise.
 */
function objectProperties(item: Buffer): Edit[] {
  const input = members(item, { start: 0, end: item.length }).get('inputSchema')
  const properties = input === undefined ? undefined : members(item, input).get('properties')
  if (properties === undefined) return []
  return memberList(item, properties).flatMap(({ start, end }) => {
    const text = AS_OBJECT.get(item.toString('utf8', start, Math.min(end, start + 6)))
    return text === undefined ? [] : [{ start, end, text }]
  })
}

const AS_OBJECT = new Map([
  ['true', '{}'],
  ['false', '{"not":{}}'],
])

/** An object or a boolean (JSON Schema 2020-12, 4.3); what is neither is the server's to answer for. */
const isSchema = (item: Buffer, span: Span): boolean =>
  item[span.start] === 0x7b || ['true', 'false'].includes(textAt(item, span))

function movedPointers(item: Buffer, span: Span): Edit[] {
  const inArrays = elements(item, span).flatMap((element) => movedPointers(item, element))
  const inMembers = memberList(item, span).flatMap((member) =>
    member.key === '$ref' && /^"#["/]/.test(textAt(item, member))
      ? [{ start: member.start + 2, end: member.start + 2, text: '/properties/result' }]
      : movedPointers(item, member),
  )
  return [...inArrays, ...inMembers]
}

const textAt = (item: Buffer, span: Span): string => item.toString('utf8', span.start, span.end)
