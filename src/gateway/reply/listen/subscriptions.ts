import { resultMessage } from '../../../protocol/json-rpc.ts'
import { ownUri } from '../../../protocol/server-uri.ts'
import type { Session } from '../../classify/session.ts'
import type { Sessions } from '../../classify/sessions.ts'
import { need, type Exchange, type Refusal } from '../../exchange.ts'
import { answerFor, isNotFound } from '../../forward/bridge.ts'
import type { Feeds } from '../../forward/feeds.ts'
import type { Pool, Scope } from '../../forward/pool.ts'
import { sharedScope } from '../../forward/shared-scope.ts'
import type { WatchRefusal } from '../../forward/upstream.ts'
import { scopeOf, upstreamRefusal } from '../../route/route.ts'
import { viewFor, type ServerView, type SnapshotSource } from '../../snapshot.ts'
import type { Listener } from './bus.ts'
import { heardAs, type Heard } from './heard-as.ts'
import type { SessionListener, SessionListeners } from './session-listener.ts'

/** Which resources legacy sessions want to hear of: kept with the session, so that it survives a restart on either side. */
export interface Subscriptions {
  takes(x: Exchange): boolean
  /** `resources/subscribe` and `resources/unsubscribe`, with servers of either era. */
  answer(x: Exchange): Promise<Refusal | undefined>
  /** What a session from before a restart had subscribed to, it subscribes to again. */
  revive(session: Session): Promise<void>
  /** Servers that a project has no more are heard no more. */
  projectChanged(project: string): void
}

export interface SubscriptionsDeps {
  readonly sessions: () => Sessions
  readonly pool: () => Pool
  readonly feeds: Feeds<Listener>
  readonly listeners: SessionListeners
  readonly snapshot: SnapshotSource
}

/** Of one session. */
const MAX_SUBSCRIPTIONS = 2000

export function createSubscriptions(deps: SubscriptionsDeps): Subscriptions {
  const { feeds, listeners } = deps

  async function subscribe(x: Exchange): Promise<Refusal | undefined> {
    const session = need(x.session, 'session')
    const route = need(x.route, 'route')
    const listener = listeners.of(session)
    if (!listener.watched.has(route.exposed) && listener.watched.size >= MAX_SUBSCRIPTIONS)
      return { code: 'too_many', hint: `one session has at most ${MAX_SUBSCRIPTIONS} subscriptions` }
    let refusal: WatchRefusal | undefined
    let server: ServerView = route.server
    for (server of [route.server, ...route.others]) {
      const watched = heardAs({ server, scope: scopeOf(x), uri: route.key }, route.exposed, listener)
      refusal = await feeds.watch(watched, watched.as)
      if (refusal === undefined) return keep(x, listener, watched)
      if (refusal.reply === undefined || !isNotFound(refusal.reply)) break
    }
    return refuse(x, server, refusal ?? {})
  }

  /** Durable before the client hears of it. */
  async function keep(x: Exchange, listener: SessionListener, watched: Heard): Promise<Refusal | undefined> {
    const session = need(x.session, 'session')
    // It may have been ended while the server was asked.
    if (listener.ended) {
      feeds.unwatch(watched, watched.as)
      return { code: 'session_lost', hint: 'send initialize again' }
    }
    const { exposed } = need(x.route, 'route')
    listener.watched.set(exposed, watched)
    session.subscriptions.set(exposed, watched.server.name)
    return done(x)
  }

  async function unsubscribe(x: Exchange): Promise<Refusal | undefined> {
    const session = need(x.session, 'session')
    const uri = need(x.route, 'route').exposed
    listeners.of(session).forget(uri, feeds)
    session.subscriptions.delete(uri)
    return done(x)
  }

  async function done(x: Exchange): Promise<Refusal | undefined> {
    try {
      await deps.sessions().save(need(x.session, 'session'))
    } catch (thrown) {
      return { code: 'unavailable', hint: 'try again', detail: thrown }
    }
    x.outcome = 'ok'
    x.out.answer(200, [resultMessage(need(x.message?.idText, 'id'), '{}')])
    return undefined
  }

  function refuse(x: Exchange, server: ServerView, { reply, failure }: WatchRefusal): Refusal | undefined {
    const scope = scopeOf(x)
    if (failure !== undefined) return upstreamRefusal(server.name, failure)
    const lease = deps.pool().leaseNow(server, sharedScope(server, scope))
    const answer = reply === undefined || lease === undefined ? undefined : answerFor(x, lease, reply)
    if (answer === undefined)
      return { code: 'method_unavailable', hint: `${server.name} does not report changes of this resource` }
    if (!('bytes' in answer)) return answer
    x.outcome = answer.outcome
    x.outcomeCode = answer.code
    x.out.answer(answer.status, [answer.bytes])
    return undefined
  }

  return {
    takes: ({ kind }) => kind === 'resources/subscribe' || kind === 'resources/unsubscribe',
    answer: (x) => (x.kind === 'resources/subscribe' ? subscribe(x) : unsubscribe(x)),
    async revive(session) {
      const project = viewFor(deps.snapshot, session, 'legacy')
      const byName = new Map(project?.servers.map((server) => [server.name, server]))
      const listener = listeners.of(session)
      const scope: Scope = { principal: session.principal, session: session.id, offer: session.offer }
      await Promise.all(
        [...session.subscriptions].map(async ([uri, name]) => {
          const server = byName.get(name)
          if (server === undefined || listener.watched.has(uri)) return
          const own = session.server === undefined ? ownUri(name, uri) : uri
          const watched = heardAs({ server, scope, uri: own }, uri, listener)
          listener.watched.set(uri, watched)
          if ((await feeds.watch(watched, watched.as)) !== undefined) listener.watched.delete(uri)
          else if (listener.ended) feeds.unwatch(watched, watched.as)
        }),
      )
    },
    projectChanged(project) {
      for (const listener of listeners.all()) {
        if (listener.project !== project || listener.watched.size === 0) continue
        const view = viewFor(deps.snapshot, listener, 'legacy')
        const names = new Set(view?.servers.map(({ name }) => name))
        for (const [uri, { server }] of listener.watched)
          if (!names.has(server.name)) listener.forget(uri, feeds)
      }
    },
  }
}
