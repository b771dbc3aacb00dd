import { err, ok, type Result } from '../../lib/result.ts'
import { requestMessage } from '../../protocol/json-rpc.ts'
import { hasPath, rawAt, stringAt, type Message } from '../../protocol/message.ts'
import { ourEnvelope, ownMessage } from '../forward/dial/handshake.ts'
import type { Lease } from '../forward/pool.ts'
import { ask, type UpstreamFailure } from '../forward/upstream.ts'
import type { Implementation } from '../../protocol/envelope.ts'
import {
  LIST_METHOD,
  readListedItems,
  strictest,
  type CacheHints,
  type DroppedTool,
  type ListedItem,
  type ListKind,
} from './listed-item.ts'

const MAX_PAGES = 200
const MAX_ITEMS = 20_000

/** A whole list, as the server has it now. */
export interface FetchedList {
  readonly items: readonly ListedItem[]
  readonly dropped: readonly DroppedTool[]
  readonly hints: CacheHints
}

export const NOTHING_LISTED: FetchedList = {
  items: [],
  dropped: [],
  hints: { ttlMs: undefined, isPublic: false },
}

export interface ListAsker {
  readonly lease: Lease
  readonly us: Implementation
  /** Of each page. */
  readonly timeoutMs: number
  /** It is reached over HTTP: headers are made of arguments there, and tools that say wrongly which are left out. */
  readonly overHttp: boolean
}

/** Fetches all pages of one list. A server without the capability has an empty one and is not asked. */
export async function fetchList(
  asker: ListAsker,
  kind: ListKind,
): Promise<Result<FetchedList, UpstreamFailure>> {
  const { capabilities } = asker.lease.info
  const capability = kind === 'templates' ? capabilities.resources : capabilities[kind]
  if (capability === undefined) return ok(NOTHING_LISTED)
  const fetched = await fetchPages(asker, kind)
  // The list has changed while it was read, and the server knows its old cursor no more: once more, from the start.
  return fetched === 'bad cursor' ? settled(await fetchPages(asker, kind), kind) : settled(fetched, kind)
}

const settled = (
  fetched: Result<FetchedList, UpstreamFailure> | 'bad cursor',
  kind: ListKind,
): Result<FetchedList, UpstreamFailure> =>
  fetched === 'bad cursor'
    ? err({ kind: 'invalid', message: `it refused to go on with ${LIST_METHOD[kind]}` })
    : fetched

async function fetchPages(
  asker: ListAsker,
  kind: ListKind,
): Promise<Result<FetchedList, UpstreamFailure> | 'bad cursor'> {
  const items: ListedItem[] = []
  const dropped: DroppedTool[] = []
  let hints: CacheHints | undefined
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const reply = await askPage(asker, kind, cursor)
    if (!reply.ok) return reply
    if (reply.value.shape === 'error') {
      // Declared, but not served: some servers declare resources and have no templates.
      if (page === 0) return ok(NOTHING_LISTED)
      return rawAt(reply.value, 'error/code') === '-32602' ? 'bad cursor' : settled('bad cursor', kind)
    }
    const read = readListedItems(reply.value, kind, asker.overHttp && asker.lease.info.era === 'modern')
    if (read === undefined)
      return err({ kind: 'invalid', message: `its answer to ${LIST_METHOD[kind]} is not a list` })
    items.push(...read.items)
    dropped.push(...read.dropped)
    hints = hints === undefined ? read.hints : strictest(hints, read.hints)
    if (items.length > MAX_ITEMS)
      return err({ kind: 'invalid', message: `it lists more than ${MAX_ITEMS} ${kind}` })
    // An empty string is a cursor too; only absence means the end (MCP, pagination).
    cursor = hasPath(reply.value, 'result/nextCursor')
      ? stringAt(reply.value, 'result/nextCursor')
      : undefined
    if (cursor === undefined) return ok({ items, dropped, hints })
  }
  return err({ kind: 'invalid', message: `its list of ${kind} does not end` })
}

function askPage(
  { lease, us, timeoutMs }: ListAsker,
  kind: ListKind,
  cursor: string | undefined,
): Promise<Result<Message, UpstreamFailure>> {
  const method = LIST_METHOD[kind]
  const params = {
    ...(cursor === undefined ? {} : { cursor }),
    ...(lease.info.era === 'modern' ? { _meta: ourEnvelope(us) } : {}),
  }
  const message = ownMessage(requestMessage('0', method, params))
  return ask(lease.upstream, { method, message, edits: [], timeoutMs })
}
