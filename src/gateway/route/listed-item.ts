import { isTaskOnly } from '../../protocol/bridge/listed-item.ts'
import { toolPagePlaces } from '../../protocol/bridge/result-uris.ts'
import { elements, members } from '../../protocol/json-spans.ts'
import { spanOf, type Message, type Span } from '../../protocol/message.ts'
import { readParamHeaders, type BrokenParams, type ParamHeader } from '../../protocol/param-headers.ts'

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
  /** Of a tool: arguments that travel in headers as well; undefined: none. */
  readonly params: readonly ParamHeader[] | undefined
  /** Of a tool: where in `text` it names the page that shows it (MCP Apps); undefined: nowhere. */
  readonly pages: readonly Span[] | undefined
  /** A tool that can be called as a task of 2025-11-25 only. */
  readonly asTask: boolean
}

/** How long a list may be kept, and by whom (MCP 2026-07-28, "Caching"); legacy servers say nothing of it. */
export interface CacheHints {
  /** Undefined: not said. */
  readonly ttlMs: number | undefined
  /** Whoever has it may show it to others as well. */
  readonly isPublic: boolean
}

/** Of two lists, or two pages of one: what holds for both. */
export const strictest = (a: CacheHints, b: CacheHints): CacheHints => ({
  ttlMs: a.ttlMs === undefined || b.ttlMs === undefined ? (a.ttlMs ?? b.ttlMs) : Math.min(a.ttlMs, b.ttlMs),
  isPublic: a.isPublic && b.isPublic,
})

/** Asks for nothing, and so changes nothing that it is held together with. */
export const NO_HINTS: CacheHints = { ttlMs: undefined, isPublic: true }

/** A tool that is left out of its list, and why. */
export interface DroppedTool {
  readonly name: string
  readonly reason: string
}

const KEY_MEMBER = {
  tools: 'name',
  prompts: 'name',
  resources: 'uri',
  templates: 'uriTemplate',
} as const satisfies Record<ListKind, string>

export interface ListedPage {
  readonly items: readonly ListedItem[]
  readonly hints: CacheHints
  /** What has no usable key; left out. */
  readonly bad: number
  readonly dropped: readonly DroppedTool[]
}

/**
 * The items of one page of a list: one bad tool never empties a list.
 * @param dropBroken leave out tools whose `x-mcp-header` breaks a rule, as clients of modern HTTP servers must
 */
export function readListedItems(reply: Message, kind: ListKind, dropBroken: boolean): ListedPage | undefined {
  const result = spanOf(reply, 'result')
  if (result === undefined) return undefined
  const present = members(reply.bytes, result)
  const list = present.get(LIST_MEMBER[kind])
  if (list === undefined || reply.bytes[list.start] !== 0x5b) return undefined
  const items: ListedItem[] = []
  const dropped: DroppedTool[] = []
  let bad = 0
  for (const span of elements(reply.bytes, list)) {
    const item = readItem(reply.bytes, span, kind)
    if (item === undefined) bad++
    else if (dropBroken && 'reason' in item) dropped.push({ name: item.key, reason: item.reason })
    else items.push(item)
  }
  return { items, hints: readHints(reply.bytes, present), bad, dropped }
}

/** A negative time is none; a scope that is not `public` is private. */
function readHints(bytes: Buffer, present: ReadonlyMap<string, Span>): CacheHints {
  const textOf = (member: string): string => {
    const span = present.get(member)
    return span === undefined ? '' : bytes.toString('utf8', span.start, span.end)
  }
  const ttl = textOf('ttlMs')
  return {
    ttlMs: /^-?[\d.eE+-]{1,32}$/.test(ttl) ? Math.floor(Math.max(0, Number(ttl))) : undefined,
    isPublic: textOf('cacheScope') === '"public"',
  }
}

function readItem(
  bytes: Buffer,
  span: Span,
  kind: ListKind,
): ListedItem | (ListedItem & BrokenParams) | undefined {
  const key = members(bytes, span).get(KEY_MEMBER[kind])
  if (key === undefined || bytes[key.start] !== 0x22) return undefined
  const name = JSON.parse(bytes.toString('utf8', key.start, key.end)) as string
  if (name === '' || name.length > 4096) return undefined
  // A copy: a view would keep the whole answer in memory for as long as one item lives.
  const text = Buffer.from(bytes.subarray(span.start, span.end))
  const params = kind === 'tools' ? readParamHeaders(text) : undefined
  const keyAt = { start: key.start - span.start, end: key.end - span.start }
  const pages = kind === 'tools' ? toolPagePlaces(text) : []
  const item = {
    text,
    key: name,
    keyAt,
    pages: pages.length === 0 ? undefined : pages,
    asTask: kind === 'tools' && isTaskOnly(text),
  }
  return params !== undefined && 'reason' in params
    ? { ...item, params: undefined, reason: params.reason }
    : { ...item, params }
}
