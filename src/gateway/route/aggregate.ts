import type { ProjectAccess } from '../../access/project-access.ts'
import type { BootEpoch } from '../../lib/id.ts'
import { bridgeListedItem } from '../../protocol/bridge/listed-item.ts'
import { SERVER_INFO_KEY } from '../../protocol/envelope.ts'
import type { Era } from '../../protocol/revisions.ts'
import type { Pool, Scope } from '../forward/pool.ts'
import type { ProjectView, ServerView } from '../snapshot.ts'
import { stringIn } from '../../protocol/bridge/result-uris.ts'
import type { Edit } from '../../protocol/splice.ts'
import type { Catalog, ServerList } from './catalog.ts'
import { hasOwnLists, type CompiledProject } from './compiled-project.ts'
import { LIST_MEMBER, NO_HINTS, strictest, type ListedItem, type ListKind } from './listed-item.ts'
import type { ProjectUris, ServerUris, UriTable } from './project-uris.ts'

/** What is wanted: one list of one endpoint, for a client of one era. */
export interface ListQuery {
  readonly project: CompiledProject
  /** What the caller may use of it: the rest is left out. */
  readonly access: ProjectAccess
  /** Absent: the aggregated endpoint, with prefixed names. */
  readonly server: ServerView | undefined
  readonly scope: Scope
  readonly kind: ListKind
  readonly era: Era
}

/** A merged list, rendered: each page the JSON text of a result, ready to be sent. */
export interface RenderedList {
  readonly pages: readonly Buffer[]
  /** Part of every cursor: a cursor from another rendering is not valid here. */
  readonly stamp: string
}

export interface Aggregator {
  list(query: ListQuery): Promise<RenderedList>
}

export interface AggregatorDeps {
  readonly catalog: Catalog
  readonly uris: UriTable
  readonly pool: Pool
  readonly tickMs: () => number
  /** In every cursor, so that one from before a restart is known to be old. */
  readonly epoch: BootEpoch
  /** JSON text of our own `serverInfo`. */
  readonly serverInfo: string
}

const PAGE_ITEMS = 1000
const MAX_CACHED = 2000
/** How often a cached list looks whether the lists in it are due. */
const RECHECK_MS = 5000
/** A modern client may keep a list this long, or as long as its servers say if that is less; changes are announced. */
const TTL_MS = 10_000

interface Cached {
  readonly rendered: RenderedList
  version: number
  checkedMs: number
  readonly lists: readonly ServerList[]
  readonly uris: ProjectUris | undefined
}

export function createAggregator(deps: AggregatorDeps): Aggregator {
  const byProject = new WeakMap<CompiledProject, Map<string, Cached>>()
  let stamps = 0

  function cacheOf(project: CompiledProject): Map<string, Cached> {
    let cache = byProject.get(project)
    if (cache === undefined) {
      cache = new Map()
      byProject.set(project, cache)
    }
    if (cache.size > MAX_CACHED) cache.clear()
    return cache
  }

  const fresh = (cached: Cached): boolean =>
    cached.version === deps.catalog.version && deps.tickMs() - cached.checkedMs < RECHECK_MS

  async function list(query: ListQuery): Promise<RenderedList> {
    const cache = cacheOf(query.project)
    const key = cacheKey(query)
    const cached = cache.get(key)
    if (cached !== undefined && fresh(cached)) return cached.rendered
    const servers = query.server === undefined ? query.project.view.servers : [query.server]
    const lists = await Promise.all(
      servers.map((server) => deps.catalog.load(server, query.scope, query.kind)),
    )
    const uris = await urisFor(query, lists)
    // Looked up again: another caller may have rendered the same lists meanwhile, and cursors must fit both.
    const latest = cache.get(key)
    const unchanged =
      latest !== undefined && latest.uris === uris && lists.every((one, i) => latest.lists[i] === one)
    const rendered = unchanged ? latest.rendered : render(query, servers, lists, uris)
    cache.set(key, { rendered, version: deps.catalog.version, checkedMs: deps.tickMs(), lists, uris })
    return rendered
  }

  /** Names of tools and prompts do not depend on it, but the pages of tools do. */
  async function urisFor(
    { project, server, kind, scope }: ListQuery,
    lists: readonly ServerList[],
  ): Promise<ProjectUris | undefined> {
    if (server !== undefined || kind === 'prompts') return undefined
    const concerned =
      kind !== 'tools' || lists.some(({ items }) => items.some(({ pages }) => pages !== undefined))
    return concerned ? deps.uris.load(project, scope) : undefined
  }

  function render(
    query: ListQuery,
    servers: readonly ServerView[],
    lists: readonly ServerList[],
    uris: ProjectUris | undefined,
  ): RenderedList {
    const items: Buffer[] = []
    const taken = new Set<string>()
    for (const [i, server] of servers.entries()) {
      const list = lists[i]
      if (list === undefined || !mayList(query, server)) continue
      const from = deps.pool.health(server).info?.era ?? 'legacy'
      const renames = uris?.of(server.name)
      for (const [name, item] of namedItems(query, { server, list, renames })) {
        if (taken.has(name)) continue
        taken.add(name)
        const edits = name === item.key ? [] : [{ ...item.keyAt, text: JSON.stringify(name) }]
        if (renames !== undefined) edits.push(...pageEdits(item, renames))
        items.push(bridgeListedItem(item.text, edits, { from, to: query.era }))
      }
    }
    const stamp = `${deps.epoch}.${(++stamps).toString(36)}`
    const tail = query.era === 'legacy' ? '' : modernMembers(query, lists, deps.serverInfo)
    return { pages: renderPages(items, LIST_MEMBER[query.kind], stamp, tail), stamp }
  }

  return { list }
}

/** Tools are left out one by one. */
const mayList = ({ access, kind }: ListQuery, server: ServerView): boolean =>
  access.all || kind === 'tools' || access.server(server.name)

function cacheKey({ project, access, server, scope, kind, era }: ListQuery): string {
  const servers = server === undefined ? project.view.servers : [server]
  const own = servers.some(hasOwnLists)
  return `${kind} ${era} ${server?.name ?? ''} ${own ? `${scope.principal} ${scope.session ?? ''}` : ''} ${access.key}`
}

interface OneServer {
  readonly server: ServerView
  readonly list: ServerList
  readonly renames: ServerUris | undefined
}

const offers = ({ project, access }: ListQuery, exposed: string, server: ServerView): boolean =>
  project.offers(exposed) && (access.all || access.tool(exposed, server.name))

/** Items with the name each has on this endpoint. A URI that two have and that must stay is its first server's. */
function* namedItems(
  query: ListQuery,
  { server, list, renames }: OneServer,
): Generator<readonly [name: string, item: ListedItem]> {
  if (query.kind === 'resources') {
    for (const item of list.items) yield [renames?.expose(item.key) ?? item.key, item]
    return
  }
  if (query.kind === 'templates') {
    for (const item of list.items) yield [renames?.exposeTemplate(item.key) ?? item.key, item]
    return
  }
  for (const [exposed, item] of list.exposed) {
    if (query.kind === 'tools' && !offers(query, exposed, server)) continue
    yield [query.server === undefined ? exposed : item.key, item]
  }
}

/** The page that shows a tool is a resource as well. */
const pageEdits = ({ text, pages }: ListedItem, renames: ServerUris): Edit[] =>
  (pages ?? []).flatMap((place) => {
    const uri = stringIn(text, place)
    const exposed = uri === undefined ? uri : renames.expose(uri)
    return exposed === uri ? [] : [{ ...place, text: JSON.stringify(exposed) }]
  })

/**
 * What a result of the modern era has besides its items: the same on all pages. Only what one server gives to everyone,
 * and nothing of ours was taken from, may be kept for everyone; which servers a project has is not for the public.
 */
function modernMembers(query: ListQuery, lists: readonly ServerList[], serverInfo: string): string {
  const hints = lists.reduce((all, list) => strictest(all, list.hints), NO_HINTS)
  const { project, access, server, kind } = query
  const filtered =
    !access.all || (kind === 'tools' && (filters(project.view.spec.tools) || filters(server?.spec.tools)))
  const isPublic = server !== undefined && lists.length > 0 && hints.isPublic && !filtered
  const ttlMs = Math.min(TTL_MS, hints.ttlMs ?? TTL_MS)
  const scope = isPublic ? 'public' : 'private'
  return `,"resultType":"complete","ttlMs":${ttlMs},"cacheScope":"${scope}","_meta":{"${SERVER_INFO_KEY}":${serverInfo}}`
}

const filters = (rules: ProjectView['spec']['tools'] | undefined): boolean =>
  rules !== undefined && (rules.allow !== undefined || rules.deny.length > 0)

function renderPages(items: readonly Buffer[], member: string, stamp: string, tail: string): Buffer[] {
  const pages: Buffer[] = []
  const count = Math.max(1, Math.ceil(items.length / PAGE_ITEMS))
  for (let page = 0; page < count; page++) {
    const own = items.slice(page * PAGE_ITEMS, (page + 1) * PAGE_ITEMS)
    const next = page + 1 < count ? `,"nextCursor":"${encodeCursor({ stamp, page: page + 1 })}"` : ''
    const parts: Buffer[] = [Buffer.from(`{"${member}":[`)]
    for (const [i, item] of own.entries()) parts.push(...(i === 0 ? [item] : [COMMA, item]))
    pages.push(Buffer.concat([...parts, Buffer.from(`]${next}${tail}}`)]))
  }
  return pages
}

const COMMA = Buffer.from(',')

export interface Cursor {
  readonly stamp: string
  readonly page: number
}

export const encodeCursor = ({ stamp, page }: Cursor): string =>
  Buffer.from(`${page}:${stamp}`).toString('base64url')

export function decodeCursor(text: string): Cursor | undefined {
  const match = /^(\d{1,6}):([\w.-]{1,40})$/.exec(Buffer.from(text, 'base64url').toString('latin1'))
  return match?.[1] === undefined || match[2] === undefined
    ? undefined
    : { page: Number(match[1]), stamp: match[2] }
}
