import type { ProjectAccess } from '../../../access/project-access.ts'
import type { Log } from '../../../lib/log.ts'
import type { Message } from '../../../protocol/message.ts'
import type { Session } from '../../classify/session.ts'
import type { Sessions } from '../../classify/sessions.ts'
import type { Exchange, Refusal } from '../../exchange.ts'
import { createFeeds } from '../../forward/feeds.ts'
import { ownMessage, uriOfUpdate } from '../../forward/dial/handshake.ts'
import type { Pool } from '../../forward/pool.ts'
import { notificationMessage } from '../../../protocol/json-rpc.ts'
import type { Catalog } from '../../route/catalog.ts'
import type { ListKind } from '../../route/listed-item.ts'
import type { ServerView, SnapshotSource } from '../../snapshot.ts'
import { createBus, type Listener } from './bus.ts'
import { ALL_LISTS, LIST_BIT, resourceChange } from './change.ts'
import { createListens, type Listens } from './listen.ts'
import { createSessionListeners } from './session-listener.ts'
import { createSubscriptions, type Subscriptions } from './subscriptions.ts'

/** Tells clients what changed without their asking: legacy ones on their GET streams, modern ones on their listens. */
export interface Announcer {
  /** @param sharer whose list it is; '': everybody's */
  listChanged(server: ServerView, kind: ListKind, sharer: string): void
  /** Everything about a project may have changed: its servers, its rules. It may be gone. */
  projectChanged(project: string): void
  /** A server was changed, made or removed. */
  serverChanged(name: string): void
  /** The lists of a server that is one holder's alone may be others than before. */
  grantChanged(server: ServerView): void
  /** A notification of a server that belongs to no call. */
  notified(server: ServerView, sharer: string, message: Message): void
  /** The server was opened anew: what was agreed with it is agreed again. */
  reopened(server: ServerView, sharer: string): void
  /** A connection ended by itself: it is made again if somebody hears what comes on it. */
  lost(server: ServerView, sharer: string): void
  /** The session's stream is there; one from before a restart hears what it has missed. */
  streamOpened(session: Session): void
  /** Its client has not come back for it; until it does, nothing is asked of servers for its sake. */
  streamAway(session: Session): void
  /** Another process has changed what a session subscribes to whose stream is here. */
  subscriptionsChanged(session: Session): void
  sessionEnded(session: Session): void
  /** `subscriptions/listen` */
  readonly listen: (x: Exchange) => Promise<Refusal | undefined>
  readonly subscriptions: Pick<Subscriptions, 'takes' | 'answer'>
  /** Uids of the Servers of whose changes somebody hears. */
  heard(): ReadonlySet<string>
  /** How many listens are open. */
  readonly listening: number
  /** Ends the streams of principals that may no longer be here. */
  endInactive(): void
  /** Ends every listen; the clients may open them again elsewhere. */
  drain(): void
  close(): void
}

export interface AnnouncerDeps {
  readonly sessions: () => Sessions
  readonly pool: () => Pool
  readonly catalog: () => Catalog
  readonly snapshot: SnapshotSource
  /** By the key of the principal; undefined: it may no longer be here. */
  readonly accessOf: (principal: string, project: string) => ProjectAccess | undefined
  readonly log: Log
}

const LISTS_OF = {
  tools: 'tools',
  prompts: 'prompts',
  resources: 'resources',
  templates: 'resources',
} as const

export function createAnnouncer(deps: AnnouncerDeps): Announcer {
  const { snapshot } = deps
  const bus = createBus(snapshot, ({ principal, project }) => deps.accessOf(principal, project))
  const listeners = createSessionListeners()
  const feeds = createFeeds<Listener>({
    pool: deps.pool,
    current: (server) => snapshot.current().server(server.name, server.uid),
    isHeard: (server) => bus.isHeard(server),
    back: reopened,
  })
  const subscriptions = createSubscriptions({ ...deps, feeds, listeners })
  let made: Listens | undefined
  // Made with the first listen, since what it needs is made after this.
  const listens = (): Listens =>
    (made ??= createListens({ ...deps, bus, feeds, pool: deps.pool(), catalog: deps.catalog() }))

  function updated(server: ServerView, sharer: string, message: Message): void {
    const uri = uriOfUpdate(message)
    const subscribers = uri === undefined ? undefined : feeds.subscribers(server, sharer, uri)
    if (uri !== undefined && subscribers !== undefined)
      bus.updated(uri, { listeners: subscribers, server: server.name }, resourceChange(message))
  }

  function reopened(server: ServerView, sharer: string): void {
    deps.catalog().changed(server, ['tools', 'prompts', 'resources', 'templates'], sharer)
    for (const { sharer: whose, uri } of feeds.reopened(server, sharer))
      updated(server, whose, ownMessage(notificationMessage('notifications/resources/updated', { uri })))
  }

  function revive(session: Session): void {
    session.restored = false
    bus.listsChangedFor(listeners.of(session), ALL_LISTS)
    subscribeAgain(session)
  }

  function subscribeAgain(session: Session): void {
    subscriptions
      .revive(session)
      .catch((thrown: unknown) => deps.log.warn({ err: thrown }, 'a session could not be revived'))
  }

  return {
    listChanged: (server, kind, sharer) => bus.listsChanged(server, LIST_BIT[LISTS_OF[kind]], sharer),
    projectChanged(project) {
      bus.projectChanged(project)
      subscriptions.projectChanged(project)
      made?.projectChanged(project)
    },
    serverChanged: (name) => bus.serverChanged(name),
    grantChanged: (server) => bus.listsChanged(server, ALL_LISTS, ''),
    notified: updated,
    reopened,
    lost: (server, sharer) => feeds.lost(server, sharer),
    streamOpened(session) {
      bus.join(listeners.of(session))
      if (session.restored) revive(session)
      else if (session.subscriptions.size > listeners.of(session).watched.size) subscribeAgain(session)
    },
    streamAway(session) {
      const listener = listeners.find(session)
      if (listener === undefined) return
      bus.leave(listener)
      for (const uri of listener.watched.keys()) listener.forget(uri, feeds)
    },
    subscriptionsChanged(session) {
      const listener = listeners.of(session)
      for (const uri of listener.watched.keys())
        if (!session.subscriptions.has(uri)) listener.forget(uri, feeds)
      subscribeAgain(session)
    },
    sessionEnded(session) {
      const listener = listeners.find(session)
      if (listener === undefined) return
      listener.ended = true
      bus.leave(listener)
      for (const watched of listener.watched.values()) feeds.unwatch(watched, watched.as)
      listeners.drop(session)
    },
    heard: () => bus.heard(),
    listen: (x) => listens().answer(x),
    subscriptions,
    get listening() {
      return made?.size ?? 0
    },
    endInactive: () => made?.endInactive(),
    drain: () => made?.endAll(),
    close() {
      made?.close()
      bus.close()
      feeds.close()
    },
  }
}
