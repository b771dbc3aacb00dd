import { members } from '../json-spans.ts'
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
  if (eras.from === 'legacy' && eras.to === 'modern') {
    // `execution` says how to make tasks of 2025-11-25, which modern clients do not have.
    return splice(item, [...edits, ...removeMembers(item, whole, ['execution'])])
  }
  if (eras.from === 'modern' && eras.to === 'legacy') return splice(item, [...edits, ...objectSchema(item)])
  return splice(item, edits)
}

/** Legacy output schemas describe objects; any other is wrapped as the member `result` of one. */
function objectSchema(item: Buffer): Edit[] {
  const span = members(item, { start: 0, end: item.length }).get('outputSchema')
  if (span === undefined) return []
  const schema = JSON.parse(item.toString('utf8', span.start, span.end)) as Record<string, unknown>
  if (schema['type'] === 'object') return []
  const { $schema, ...rest } = schema
  const wrapped = {
    ...($schema === undefined ? {} : { $schema }),
    type: 'object',
    properties: { result: moveReferences(rest) },
    required: ['result'],
  }
  return [{ ...span, text: JSON.stringify(wrapped) }]
}

/** References into the same document now start two levels further down. */
function moveReferences(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(moveReferences)
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [
      key,
      key === '$ref' && typeof value === 'string' && value.startsWith('#')
        ? value.replace(/^#/, '#/properties/result')
        : moveReferences(value),
    ]),
  )
}
