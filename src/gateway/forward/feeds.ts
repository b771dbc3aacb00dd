import type { ServerView } from '../snapshot.ts'
import { feedPauseMs } from './http/feed-pause.ts'
import type { Pool, Scope } from './pool.ts'
import { sharedName, sharedScope } from './shared-scope.ts'
import type { WatchRefusal } from './upstream.ts'

/** One resource of one Server, as a caller has a right to hear of it. */
export interface Watched {
  readonly server: ServerView
  readonly scope: Scope
  readonly uri: string
}

/**
 * Who wants to hear of which resources, counted per right: however many subscribers share a connection to a server, it is
 * asked once for each resource. Connections that were lost while somebody listens are opened again.
 */
export interface Feeds<Subscriber> {
  /** @returns why the server does not report changes of it; undefined: it does, and the subscriber is told of them */
  watch(watched: Watched, subscriber: Subscriber): Promise<WatchRefusal | undefined>
  unwatch(watched: Watched, subscriber: Subscriber): void
  /** @param sharer who shares the connection on which the change was reported */
  subscribers(server: ServerView, sharer: string, uri: string): ReadonlySet<Subscriber> | undefined
  /** The connection was lost, or could not be made: it is tried again for as long as somebody listens. */
  lost(server: ServerView, sharer: string): void
  /**
   * There is a new connection in place of one that was lost, or will be, since the server was changed.
   * @returns the resources that may have changed meanwhile, with who shares the connections they are heard on
   */
  reopened(server: ServerView, sharer: string): readonly { readonly sharer: string; readonly uri: string }[]
  close(): void
}

export interface FeedsDeps {
  readonly pool: () => Pool
  /** The server as it is configured now. */
  readonly current: (server: ServerView) => ServerView | undefined
  /** Somebody listens for changes of its lists. */
  readonly isHeard: (server: ServerView) => boolean
  /** A connection that had been lost is there again. */
  readonly back: (server: ServerView, sharer: string) => void
}

interface Watch<Subscriber> {
  readonly subscribers: Set<Subscriber>
  agreed: Promise<WatchRefusal | undefined>
}

interface Right<Subscriber> {
  server: ServerView
  readonly sharer: string
  readonly scope: Scope
  readonly watches: Map<string, Watch<Subscriber>>
}

export function createFeeds<Subscriber>(deps: FeedsDeps): Feeds<Subscriber> {
  const rights = new Map<string, Right<Subscriber>>()
  const healing = new Map<string, NodeJS.Timeout>()
  let closed = false

  const keyOf = (server: ServerView, sharer: string): string => `${server.uid} ${sharer}`

  function rightOf({ server, scope }: Watched): Right<Subscriber> {
    const sharer = sharedName(server, scope)
    const key = keyOf(server, sharer)
    let right = rights.get(key)
    if (right === undefined) {
      right = { server, sharer, scope: sharedScope(server, scope), watches: new Map() }
      rights.set(key, right)
    }
    right.server = server
    return right
  }

  async function ask(right: Right<Subscriber>, uri: string): Promise<WatchRefusal | undefined> {
    const lease = await deps.pool().lease(right.server, right.scope)
    if (!lease.ok) return { failure: lease.error }
    const { upstream } = lease.value
    const refusal = await upstream.watch(uri)
    // Whoever wanted it may have gone meanwhile.
    if (refusal === undefined && !right.watches.has(uri)) upstream.unwatch(uri)
    return refusal
  }

  function leave(right: Right<Subscriber>, uri: string, subscriber: Subscriber): void {
    const watch = right.watches.get(uri)
    if (watch?.subscribers.delete(subscriber) !== true || watch.subscribers.size > 0) return
    right.watches.delete(uri)
    deps.pool().leaseNow(right.server, right.scope)?.upstream.unwatch(uri)
    if (right.watches.size === 0) rights.delete(keyOf(right.server, right.sharer))
  }

  const isWanted = (server: ServerView, sharer: string): boolean =>
    rights.has(keyOf(server, sharer)) || (sharer === '' && deps.isHeard(server))

  function heal(server: ServerView, sharer: string, tries: number): void {
    const key = keyOf(server, sharer)
    if (closed || healing.has(key)) return
    const timer = setTimeout(() => {
      healing.delete(key)
      void attempt(server, sharer, tries)
    }, feedPauseMs(tries))
    healing.set(key, timer.unref())
  }

  async function attempt(server: ServerView, sharer: string, tries: number): Promise<void> {
    const now = deps.current(server)
    if (now === undefined || closed || !isWanted(now, sharer)) return
    const scope = rights.get(keyOf(now, sharer))?.scope ?? { principal: '', session: undefined }
    const lease = await deps.pool().lease(now, scope)
    if (lease.ok) deps.back(now, sharer)
    else heal(now, sharer, tries + 1)
  }

  function again(right: Right<Subscriber>, server: ServerView): void {
    right.server = server
    for (const [uri, watch] of right.watches) watch.agreed = ask(right, uri)
  }

  return {
    async watch(watched, subscriber) {
      const { uri } = watched
      const right = rightOf(watched)
      let watch = right.watches.get(uri)
      if (watch === undefined) {
        watch = { subscribers: new Set(), agreed: Promise.resolve(undefined) }
        right.watches.set(uri, watch)
        watch.agreed = ask(right, uri)
      }
      watch.subscribers.add(subscriber)
      const refusal = await watch.agreed
      if (refusal !== undefined) leave(right, uri, subscriber)
      return refusal
    },
    unwatch(watched, subscriber) {
      const right = rights.get(keyOf(watched.server, sharedName(watched.server, watched.scope)))
      if (right !== undefined) leave(right, watched.uri, subscriber)
    },
    subscribers: (server, sharer, uri) => rights.get(keyOf(server, sharer))?.watches.get(uri)?.subscribers,
    lost(server, sharer) {
      if (isWanted(server, sharer)) heal(server, sharer, 0)
    },
    reopened(server, sharer) {
      const concerned = [...rights.values()].filter(
        // A changed server has all its connections made anew.
        (right) =>
          right.server.uid === server.uid &&
          (right.sharer === sharer || right.server.fingerprint !== server.fingerprint),
      )
      for (const right of concerned) again(right, server)
      return concerned.flatMap((right) =>
        [...right.watches.keys()].map((uri) => ({ sharer: right.sharer, uri })),
      )
    },
    close() {
      closed = true
      for (const timer of healing.values()) clearTimeout(timer)
    },
  }
}
