import type { Log } from '../../lib/log.ts'
import { notificationMessage, requestMessage } from '../../protocol/json-rpc.ts'
import type { Message } from '../../protocol/message.ts'
import type { Session } from '../classify/session.ts'
import type { Sessions } from '../classify/sessions.ts'
import { ownMessage, uriOfUpdate } from '../forward/handshake.ts'
import type { Pool } from '../forward/pool.ts'
import { ask } from '../forward/upstream.ts'
import type { ListKind } from '../route/listed-item.ts'
import type { ServerView, SnapshotSource } from '../snapshot.ts'

/** Tells clients, on their GET streams, what changed without their asking. */
export interface Announcer {
  /** @param sharer whose list it is; '': everybody's */
  listChanged(server: ServerView, kind: ListKind, sharer: string): void
  /** Everything about a project may have changed: its servers, its rules. */
  projectChanged(project: string): void
  /** A server was changed, made or removed. */
  serverChanged(name: string): void
  /** A notification of a server that belongs to no call. */
  notified(server: ServerView, sharer: string, message: Message): void
  /** The server was opened anew: what sessions had agreed with it is agreed again. */
  reopened(server: ServerView, sharer: string): void
  /** The session's stream is there; one from before a restart hears what it has missed. */
  streamOpened(session: Session): void
  /** Another process has changed what a session subscribes to whose stream is here. */
  subscriptionsChanged(session: Session): void
}

export interface AnnouncerDeps {
  readonly sessions: () => Sessions
  readonly pool: () => Pool
  readonly snapshot: SnapshotSource
  readonly log: Log
}

type Changed = 'tools' | 'prompts' | 'resources'

/** Several changes within this time are one notification. */
const TOGETHER_MS = 50

export function createAnnouncer(deps: AnnouncerDeps): Announcer {
  const waiting = new Map<Session, Set<Changed>>()
  let timer: NodeJS.Timeout | undefined

  function later(session: Session, what: Changed): void {
    if (session.stream === undefined) return
    const set = waiting.get(session) ?? new Set()
    waiting.set(session, set.add(what))
    timer ??= setTimeout(sendAll, TOGETHER_MS)
  }

  function allLater(session: Session): void {
    for (const what of ['tools', 'prompts', 'resources'] as const) later(session, what)
  }

  function sendAll(): void {
    timer = undefined
    for (const [session, kinds] of waiting) {
      for (const what of kinds)
        session.stream?.send(notificationMessage(`notifications/${what}/list_changed`))
    }
    waiting.clear()
  }

  function* concerned(server: ServerView, sharer = ''): Generator<Session> {
    for (const session of deps.sessions().all()) {
      if (sharer !== '' && sharer !== session.principal && sharer !== `session:${session.id}`) continue
      if (session.server !== undefined && session.server !== server.name) continue
      const project = deps.snapshot.current().project(session.project)
      if (project?.servers.some(({ uid }) => uid === server.uid) === true) yield session
    }
  }

  async function subscribeAgain(session: Session, server: ServerView): Promise<void> {
    for (const [uri, name] of session.subscriptions) {
      if (name !== server.name) continue
      const leased = await deps.pool().lease(server, { principal: session.principal, session: session.id })
      if (!leased.ok) return
      const message = ownMessage(requestMessage('0', 'resources/subscribe', { uri }))
      await ask(leased.value.upstream, {
        method: 'resources/subscribe',
        message,
        edits: [],
        timeoutMs: 10_000,
      })
    }
  }

  async function revive(session: Session): Promise<void> {
    session.restored = false
    const project = deps.snapshot.current().project(session.project)
    const named = new Set(session.subscriptions.values())
    for (const server of project?.servers ?? [])
      if (named.has(server.name)) await subscribeAgain(session, server)
  }

  function subscribeToAll(session: Session): void {
    revive(session).catch((thrown: unknown) =>
      deps.log.warn({ err: thrown }, 'a session could not be revived'),
    )
  }

  return {
    listChanged(server, kind, sharer) {
      for (const session of concerned(server, sharer))
        later(session, kind === 'templates' ? 'resources' : kind)
    },
    projectChanged(project) {
      for (const session of deps.sessions().all()) {
        if (session.project !== project) continue
        allLater(session)
      }
    },
    serverChanged(name) {
      for (const session of deps.sessions().all()) {
        const project = deps.snapshot.current().project(session.project)
        if (project?.spec.servers.includes(name) !== true) continue
        allLater(session)
      }
    },
    notified(server, sharer, message) {
      const uri = uriOfUpdate(message)
      if (uri === undefined) return
      for (const session of concerned(server, sharer)) {
        if (session.subscriptions.get(uri) === server.name) session.stream?.send(message.bytes.toString())
      }
    },
    reopened(server, sharer) {
      for (const session of concerned(server, sharer)) {
        allLater(session)
        void subscribeAgain(session, server).catch((thrown: unknown) =>
          deps.log.warn({ err: thrown }, 'subscribing again failed'),
        )
      }
    },
    streamOpened(session) {
      if (!session.restored) return
      allLater(session)
      subscribeToAll(session)
    },
    subscriptionsChanged: subscribeToAll,
  }
}
