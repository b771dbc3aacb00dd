import { elements, members } from '../../protocol/json-spans.ts'
import { spanOf, type Message, type Span } from '../../protocol/message.ts'

/** What a server lists. The order is that in which a client asks for them. */
export type ListKind = 'tools' | 'prompts' | 'resources' | 'templates'

export const LIST_METHOD = {
  tools: 'tools/list',
  prompts: 'prompts/list',
  resources: 'resources/list',
  templates: 'resources/templates/list',
} as const satisfies Record<ListKind, string>

/** The member of a list result that holds the items. */
export const LIST_MEMBER = {
  tools: 'tools',
  prompts: 'prompts',
  resources: 'resources',
  templates: 'resourceTemplates',
} as const satisfies Record<ListKind, string>

/** One listed thing: its JSON text as the server wrote it, and what it is called. */
export interface ListedItem {
  readonly text: Buffer
  /** Name of a tool or prompt; URI of a resource; URI template. */
  readonly key: string
  /** Where in `text` the value of the key stands. */
  readonly keyAt: Span
}

const KEY_MEMBER = {
  tools: 'name',
  prompts: 'name',
  resources: 'uri',
  templates: 'uriTemplate',
} as const satisfies Record<ListKind, string>

/** The items of one page of a list. What has no usable key is counted and left out: one bad tool never empties a list. */
export function readListedItems(
  reply: Message,
  kind: ListKind,
): { readonly items: ListedItem[]; readonly bad: number } | undefined {
  const result = spanOf(reply, 'result')
  if (result === undefined) return undefined
  const list = members(reply.bytes, result).get(LIST_MEMBER[kind])
  if (list === undefined || reply.bytes[list.start] !== 0x5b) return undefined
  const items: ListedItem[] = []
  let bad = 0
  for (const span of elements(reply.bytes, list)) {
    const item = readItem(reply.bytes, span, KEY_MEMBER[kind])
    if (item === undefined) bad++
    else items.push(item)
  }
  return { items, bad }
}

function readItem(bytes: Buffer, span: Span, keyMember: string): ListedItem | undefined {
  const key = members(bytes, span).get(keyMember)
  if (key === undefined || bytes[key.start] !== 0x22) return undefined
  const name = JSON.parse(bytes.toString('utf8', key.start, key.end)) as string
  if (name === '' || name.length > 4096) return undefined
  return {
    // A copy: a view would keep the whole answer in memory for as long as one item lives.
    text: Buffer.from(bytes.subarray(span.start, span.end)),
    key: name,
    keyAt: { start: key.start - span.start, end: key.end - span.start },
  }
}
