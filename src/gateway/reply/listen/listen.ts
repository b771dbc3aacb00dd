import type { ProjectAccess } from '../../../access/project-access.ts'
import { need, type Exchange, type Refusal } from '../../exchange.ts'
import type { Feeds } from '../../forward/feeds.ts'
import type { Pool } from '../../forward/pool.ts'
import { reportsOf } from '../../forward/reports-of.ts'
import { sharedName } from '../../forward/shared-scope.ts'
import type { Catalog } from '../../route/catalog.ts'
import { locateResource } from '../../route/resource-table.ts'
import { endpointServers, resourceServers, scopeOf, tellsApart } from '../../route/route.ts'
import { viewFor, type SnapshotSource } from '../../snapshot.ts'
import type { Bus, Listener } from './bus.ts'
import { ALL_LISTS, LIST_BIT, LIST_NAMES } from './change.ts'
import { readListenFilter, type ListenFilter } from './listen-filter.ts'
import { ListenStream } from './listen-stream.ts'
import { heardAs, type Heard } from './heard-as.ts'

export interface ListensDeps {
  readonly bus: Bus
  readonly feeds: Feeds<Listener>
  readonly pool: Pool
  readonly catalog: Catalog
  readonly snapshot: SnapshotSource
  /** Undefined: who opened a listen may no longer be here; a stream is not asked again who it is for. */
  readonly accessOf: (principal: string, project: string) => ProjectAccess | undefined
}

/** The open `subscriptions/listen` streams of modern clients. */
export interface Listens {
  /** Opens one, and ends with it. */
  readonly answer: (x: Exchange) => Promise<Refusal | undefined>
  /** Ends those whose principals may no longer be here. */
  endInactive(): void
  /** Ends those that hear of something that the project has no more; a listen cannot be changed (MCP 2026-07-28). */
  projectChanged(project: string): void
  endAll(): void
  readonly size: number
  close(): void
}

const MAX_LISTENS = 1024
/** Nearly all: one client with a stream for each of its own users is as good as many clients. */
const MAX_OF_ONE_PRINCIPAL = 1000
/** What is not agreed by then is left out of the acknowledgement. */
const AGREE_MS = 10_000
const LOOK_MS = 60_000

export function createListens(deps: ListensDeps): Listens {
  const open = new Set<ListenStream>()
  const byPrincipal = new Map<string, number>()
  const timer = setInterval(endInactive, LOOK_MS)
  timer.unref()

  function endInactive(): void {
    for (const listen of open) if (deps.accessOf(listen.principal, listen.project) === undefined) listen.end()
  }

  function enter(listen: ListenStream): void {
    open.add(listen)
    byPrincipal.set(listen.principal, (byPrincipal.get(listen.principal) ?? 0) + 1)
    deps.bus.join(listen)
  }

  function leave(listen: ListenStream): void {
    open.delete(listen)
    const left = (byPrincipal.get(listen.principal) ?? 1) - 1
    if (left > 0) byPrincipal.set(listen.principal, left)
    else byPrincipal.delete(listen.principal)
    deps.bus.leave(listen)
    for (const watched of listen.watched) deps.feeds.unwatch(watched, watched.as)
  }

  async function answer(x: Exchange): Promise<Refusal | undefined> {
    const filter = readListenFilter(need(x.message, 'message'))
    if ('code' in filter) return filter
    const { key } = need(x.principal, 'principal')
    if (open.size >= MAX_LISTENS) return { code: 'too_many', hint: 'too many streams listen here; try later' }
    if ((byPrincipal.get(key) ?? 0) >= MAX_OF_ONE_PRINCIPAL)
      return { code: 'too_many', hint: `one principal has at most ${MAX_OF_ONE_PRINCIPAL} listening streams` }
    const listen = new ListenStream(x)
    enter(listen)
    try {
      const honoured = await honour(deps, x, { listen, filter })
      if (!listen.ended) listen.acknowledge(honoured)
      await listen.over
    } finally {
      leave(listen)
    }
    x.outcome = 'ok'
    return undefined
  }

  function projectChanged(project: string): void {
    for (const listen of open) {
      if (listen.project !== project) continue
      const view = viewFor(deps.snapshot, listen, 'modern')
      const gone = (name: string | undefined): boolean =>
        name !== undefined && view?.servers.some((server) => server.name === name) !== true
      if (view === undefined || gone(listen.server) || listen.watched.some(({ server }) => gone(server.name)))
        listen.end()
    }
  }

  return {
    answer,
    endInactive,
    projectChanged,
    endAll() {
      for (const listen of open) listen.end()
    },
    get size() {
      return open.size
    },
    close: () => clearInterval(timer),
  }
}

interface Opening {
  readonly listen: ListenStream
  readonly filter: ListenFilter
}

/** What of the filter can be kept. */
async function honour(deps: ListensDeps, x: Exchange, opening: Opening): Promise<ListenFilter> {
  const { listen, filter } = opening
  const agreed = new Set<string>()
  let late = false
  const subscribing = filter.uris.map(async (uri) => {
    const watched = await subscribe(deps, x, { listen, uri })
    if (watched === undefined) return
    if (late || listen.ended) return deps.feeds.unwatch(watched, watched.as)
    agreed.add(uri)
    listen.watched.push(watched)
  })
  const [lists] = await Promise.race([
    Promise.all([reportedLists(deps, x), ...subscribing]),
    wait(AGREE_MS).then(() => [ALL_LISTS] as const),
  ])
  late = true
  return { lists: filter.lists & lists, uris: filter.uris.filter((uri) => agreed.has(uri)) }
}

const wait = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })

/** With the server that has the resource: the first that agrees. */
async function subscribe(
  { catalog, feeds }: ListensDeps,
  x: Exchange,
  { listen, uri }: { readonly listen: ListenStream; readonly uri: string },
): Promise<Heard | undefined> {
  const scope = scopeOf(x)
  const { links } = need(x.project, 'project')
  const about = { catalog, links, toldApart: tellsApart(x) }
  const located = await locateResource(about, resourceServers(x), scope, uri)
  for (const server of located.servers) {
    const watched = heardAs({ server, scope, uri: located.uri }, uri, listen)
    if ((await feeds.watch(watched, watched.as)) === undefined) return watched
  }
  return undefined
}

/**
 * The lists whose changes reach us from at least one server of the endpoint. One that is away may report them once it is
 * back, which is a change itself.
 */
async function reportedLists({ pool, feeds }: ListensDeps, x: Exchange): Promise<number> {
  const servers = endpointServers(x)
  const scope = scopeOf(x)
  const bits = await Promise.all(
    servers.map(async (server): Promise<number> => {
      const reports = await reportsOf(pool, server, scope)
      if (reports === undefined) feeds.lost(server, sharedName(server, scope))
      return LIST_NAMES.reduce((sum, list) => sum | (reports?.[list] === false ? 0 : LIST_BIT[list]), 0)
    }),
  )
  // Servers may be added to a project that has none.
  return servers.length === 0 ? ALL_LISTS : bits.reduce((sum, one) => sum | one, 0)
}
