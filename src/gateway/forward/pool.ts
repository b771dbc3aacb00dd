import { err, ok, type Result } from '../../lib/result.ts'
import { NO_OFFER, SHARED_OFFER, type Offer } from '../../protocol/client-offer.ts'
import type { Message } from '../../protocol/message.ts'
import type { ServerView } from '../snapshot.ts'
import type { Dial, For } from './dial/dial.ts'
import { createInstanceBook, sharerDigest, type InstanceRecord, type InstanceView } from './instances.ts'
import type { Question, Upstream, UpstreamFailure, UpstreamInfo } from './upstream.ts'

/** For whom a connection is wanted. */
export interface Scope {
  /** `Principal.key` */
  readonly principal: string
  /** Session of a legacy client; a modern client has none, its principal stands in. */
  readonly session: string | undefined
  /** What the caller can be asked for; absent for questions of our own. */
  readonly offer?: Offer
}

export interface Lease {
  readonly upstream: Upstream
  readonly info: UpstreamInfo
  /** Who shares the connection: '' for all. */
  readonly sharer: string
  /** How the last call went: a failure that says the server is away or refuses us, or undefined when it answered. */
  heard(failure: UpstreamFailure | undefined): void
}

export interface PoolEvents {
  changed(server: ServerView, sharer: string, what: 'tools' | 'prompts' | 'resources'): void
  notified(server: ServerView, sharer: string, message: Message): void
  /** A question of a server that belongs to no call. */
  asked(server: ServerView, sharer: string, question: Question): void
  withdrawn(question: Question): void
  /** A server was opened again after it had been lost, or will be as it was changed: whatever was agreed with it is gone. */
  reopened(server: ServerView, sharer: string): void
  /** A connection ended by itself; it is made again when somebody needs it. */
  lost(server: ServerView, sharer: string): void
}

export interface ServerHealth {
  readonly info: UpstreamInfo | undefined
  readonly failure: UpstreamFailure | undefined
  readonly connections: number
  readonly losses: number
}

export interface Pool {
  /** A connection for this caller, opened. Fails at once while the server is known to be away. */
  lease(server: ServerView, scope: Scope): Promise<Result<Lease, UpstreamFailure>>
  /** Only if it is open already: the hot path needs no promise then. */
  leaseNow(server: ServerView, scope: Scope): Lease | undefined
  health(server: ServerView): ServerHealth
  /** The same of a Server that each holder of grants has for themselves: of those who have used theirs lately. */
  healthOfHolders(server: ServerView): readonly ServerHealth[]
  /** Connections to all servers, those included that are being made. */
  readonly size: number
  /** Copies of stdio servers, those included that are being started or have ended and will be started again. */
  instances(): readonly InstanceView[]
  /** Ends one, with the calls on it; the next call starts another. False: there is none by that uid. */
  stopInstance(uid: string): Promise<boolean>
  /** Passes a notification of a client on to the servers that have a connection for its session alone. */
  tellSession(session: string, notification: string): void
  /** Ends the connections of one front session. */
  endSession(session: string): void
  /** Nobody is held back any longer from a server that could not be reached. */
  tryAgain(): void
  /** Ends the connections to servers that are gone or have changed. */
  reconcile(now: (name: string, uid: string) => ServerView | undefined): void
  close(): Promise<void>
}

interface Entry {
  readonly server: ServerView
  readonly sharer: string
  readonly connected: Promise<Result<Lease, UpstreamFailure>>
  lease: Lease | undefined
  usedMs: number
  /** Of a stdio server. */
  readonly instance: InstanceRecord | undefined
}

interface ServerRecord {
  readonly name: string
  fingerprint: string
  readonly entries: Map<string, Entry>
  info: UpstreamInfo | undefined
  failure: UpstreamFailure | undefined
  /** Until then nobody waits for another attempt. */
  retryMs: number
  attempts: number
  losses: number
  /** Since when it has been open without a failure. */
  steadySinceMs: number | undefined
  /** Why the last call over an open connection failed. */
  trouble: UpstreamFailure | undefined
}

const BACKOFF_MS = [1000, 2000, 5000, 15_000, 30_000] as const
const BACKOFF_AFTER_LOSS_MS = [0, ...BACKOFF_MS] as const
/** A server that has been open for this long is tried again at once; one that ends sooner is not, over and over. */
const STEADY_MS = 10_000
const IDLE_MS = 10 * 60 * 1000
/** The same for what one caller alone shares with nobody. */
const IDLE_CALLER_MS = 60 * 1000
const SWEEP_MS = 60 * 1000
/** How long a connection of an older configuration may finish its calls. */
const RETIRE_MS = 30 * 1000
const LOOK_MS = 50
/** As the log of a server shows it. */
const MARK_LENGTH = 8
const MAX_CONNECTIONS_PER_SERVER = 1000
const MAX_CONNECTIONS_PER_CALLER = 8

export interface PoolDeps {
  readonly dial: Dial
  readonly tickMs: () => number
  readonly nowMs: () => number
  readonly events: PoolEvents
  /** Whether this view of a Server is the one of the present configuration. */
  readonly isCurrent: (server: ServerView) => boolean
  /** Uids of the Servers of whose changes somebody hears; absent: of all. */
  readonly heard?: (() => ReadonlySet<string>) | undefined
}

export function createPool(deps: PoolDeps): Pool {
  const servers = new Map<string, ServerRecord>()
  const book = createInstanceBook(deps.nowMs)
  const sweeper = setInterval(sweep, SWEEP_MS)
  sweeper.unref()

  function recordOf(server: ServerView): ServerRecord | undefined {
    let record = servers.get(server.uid)
    if (record !== undefined && record.fingerprint === server.fingerprint) return record
    // A request that was on its way when the configuration changed must not bring the old one back.
    if (record !== undefined && !deps.isCurrent(server)) return undefined
    if (record !== undefined) retire(record)
    record = {
      name: server.name,
      fingerprint: server.fingerprint,
      entries: new Map(),
      info: undefined,
      failure: undefined,
      retryMs: 0,
      attempts: 0,
      losses: 0,
      steadySinceMs: undefined,
      trouble: undefined,
    }
    servers.set(server.uid, record)
    return record
  }

  async function lease(server: ServerView, scope: Scope): Promise<Result<Lease, UpstreamFailure>> {
    const record = recordOf(server)
    if (record === undefined)
      return err({ kind: 'unreachable', message: 'it has just been changed; try again' })
    const sharer = sharerOf(server, record.info, scope)
    // Whether an HTTP server keeps sessions is known after the first connection; the first one then serves the lists.
    if (sharer === undefined) {
      const first = await connection(record, server, ALL)
      if (!first.ok) return first
      return lease(server, scope)
    }
    return connection(record, server, { sharer, offer: offerOf(server, sharer, scope) })
  }

  function connection(
    record: ServerRecord,
    server: ServerView,
    whom: For,
  ): Promise<Result<Lease, UpstreamFailure>> {
    const entry = record.entries.get(whom.sharer)
    if (entry !== undefined && entry.lease?.upstream.alive !== false) {
      entry.usedMs = deps.tickMs()
      return entry.connected
    }
    if (record.failure !== undefined && deps.tickMs() < record.retryMs)
      return Promise.resolve(err(record.failure))
    if (!makeRoom(record, whom.sharer)) {
      return Promise.resolve(err({ kind: 'unreachable', message: 'too many connections to it are open' }))
    }
    return openEntry(record, server, whom, entry)
  }

  /** Modern clients have a connection for each set of capabilities that they declare, which is theirs to vary. */
  function makeRoom(record: ServerRecord, sharer: string): boolean {
    if (record.entries.size >= MAX_CONNECTIONS_PER_SERVER && !closeUnused(record, '')) return false
    const end = sharer.indexOf(' ')
    if (end < 0) return true
    const caller = sharer.slice(0, end + 1)
    let own = 0
    for (const name of record.entries.keys()) if (name.startsWith(caller)) own++
    return own < MAX_CONNECTIONS_PER_CALLER || closeUnused(record, caller)
  }

  /** Closes the connection that has not been used for the longest time, of those whose sharer begins so; false: all are in use. */
  function closeUnused(record: ServerRecord, prefix: string): boolean {
    let oldest: Entry | undefined
    for (const entry of record.entries.values()) {
      if (entry.sharer === '' || !entry.sharer.startsWith(prefix)) continue
      if (entry.lease?.upstream.idle !== true || entry.lease.upstream.watched > 0) continue
      if (oldest === undefined || entry.usedMs < oldest.usedMs) oldest = entry
    }
    if (oldest === undefined) return false
    record.entries.delete(oldest.sharer)
    void oldest.lease?.upstream.close()
    return true
  }

  function openEntry(
    record: ServerRecord,
    server: ServerView,
    whom: For,
    before: Entry | undefined,
  ): Promise<Result<Lease, UpstreamFailure>> {
    const { sharer } = whom
    const { name, uid } = server
    const instance =
      server.spec.transport === 'stdio'
        ? book.starting({ server: name, serverUid: uid, sharer }, before?.instance)
        : undefined
    const connected = deps.dial
      .connect(server, whom, {
        // What an older configuration still says is about lists and subscriptions that nobody has any more.
        changed: (what) => isCurrent(record, server) && deps.events.changed(server, sharer, what),
        notified: (message) => isCurrent(record, server) && deps.events.notified(server, sharer, message),
        asked: (question) => deps.events.asked(server, sharer, question),
        withdrawn: (question) => deps.events.withdrawn(question),
        lost: (failure) => {
          book.ended(instance, failure.message)
          lost(record, failure)
          if (isCurrent(record, server)) deps.events.lost(server, sharer)
        },
      })
      .then(async (upstream): Promise<Result<Lease, UpstreamFailure>> => {
        const opened = upstream.ok ? await upstream.value.open() : upstream
        if (!upstream.ok || !opened.ok) return failed(record, sharer, opened.ok ? lostFailure : opened.error)
        entry.lease = {
          upstream: upstream.value,
          info: opened.value,
          sharer,
          heard: (failure) => void (record.trouble = failure),
        }
        book.note(instance, `ready, speaks ${opened.value.protocolVersion}`)
        record.info = opened.value
        record.failure = undefined
        record.trouble = undefined
        record.steadySinceMs ??= deps.tickMs()
        if (before !== undefined || (sharer === '' && record.losses > 0)) deps.events.reopened(server, sharer)
        return ok(entry.lease)
      })
    const entry: Entry = { server, sharer, connected, lease: undefined, usedMs: deps.tickMs(), instance }
    record.entries.set(sharer, entry)
    return connected
  }

  const isCurrent = (record: ServerRecord, { uid }: ServerView): boolean => servers.get(uid) === record

  function failed(
    record: ServerRecord,
    sharer: string,
    failure: UpstreamFailure,
  ): Result<Lease, UpstreamFailure> {
    record.entries.delete(sharer)
    holdBack(record, failure, BACKOFF_MS)
    return err(failure)
  }

  function lost(record: ServerRecord, failure: UpstreamFailure): void {
    record.losses++
    holdBack(record, failure, BACKOFF_AFTER_LOSS_MS)
  }

  function holdBack(record: ServerRecord, failure: UpstreamFailure, pauses: readonly number[]): void {
    const now = deps.tickMs()
    if (record.steadySinceMs !== undefined && now - record.steadySinceMs > STEADY_MS) record.attempts = 0
    record.steadySinceMs = undefined
    record.failure = failure
    record.retryMs = now + (pauses[Math.min(record.attempts++, pauses.length - 1)] ?? 0)
  }

  function sweep(): void {
    const now = deps.tickMs()
    let heard: ReadonlySet<string> | undefined
    const isHeard = (uid: string): boolean => (heard ??= deps.heard?.())?.has(uid) ?? true
    const isLeft = ({ server, sharer, usedMs }: Entry): boolean =>
      sharer === ''
        ? server.ofOneCaller === true && usedMs <= now - IDLE_CALLER_MS && !isHeard(server.uid)
        : usedMs <= now - IDLE_MS
    for (const record of servers.values()) {
      for (const [sharer, entry] of record.entries) {
        if (!isLeft(entry) || entry.lease?.upstream.idle !== true) continue
        if (entry.lease.upstream.watched > 0) continue
        record.entries.delete(sharer)
        void entry.lease.upstream.close()
      }
    }
    for (const [uid, { entries, retryMs }] of servers)
      if (uid.includes('~') && entries.size === 0 && retryMs <= now) servers.delete(uid)
  }

  function retire(record: ServerRecord): void {
    for (const entry of record.entries.values()) {
      void entry.connected.then((connected) => {
        if (!connected.ok) return
        closeWhenIdle(connected.value.upstream)
      })
    }
    record.entries.clear()
  }

  return {
    lease,
    leaseNow(server, scope) {
      const record = servers.get(server.uid)
      if (record === undefined || record.fingerprint !== server.fingerprint) return undefined
      const sharer = sharerOf(server, record.info, scope)
      const entry = sharer === undefined ? undefined : record.entries.get(sharer)
      if (entry?.lease === undefined || !entry.lease.upstream.alive) return undefined
      entry.usedMs = deps.tickMs()
      return entry.lease
    },
    healthOfHolders({ uid }) {
      return [...servers].flatMap(([of, record]) => (of.startsWith(`${uid}~`) ? [healthIn(record)] : []))
    },
    health: (server) => healthIn(servers.get(server.uid)),
    get size() {
      let size = 0
      for (const record of servers.values()) size += record.entries.size
      return size
    },
    instances() {
      return [...servers.values()].flatMap(({ entries }) => [...entries.values()].flatMap(viewOf))
    },
    async stopInstance(uid) {
      for (const record of servers.values()) {
        const entry = [...record.entries.values()].find(({ instance }) => instance?.uid === uid)
        if (entry?.instance === undefined || entry.instance.stopped) continue
        entry.instance.stopped = true
        const connected = await entry.connected
        if (connected.ok) await connected.value.upstream.close()
        // Whoever listens to it is led to the next one.
        if (isCurrent(record, entry.server)) deps.events.lost(entry.server, entry.sharer)
        return true
      }
      return false
    },
    tellSession(session, notification) {
      for (const record of servers.values())
        record.entries.get(`session:${session}`)?.lease?.upstream.tell(notification)
    },
    endSession(session) {
      for (const record of servers.values()) {
        const entry = record.entries.get(`session:${session}`)
        if (entry === undefined) continue
        record.entries.delete(entry.sharer)
        void entry.connected.then((connected) =>
          connected.ok ? connected.value.upstream.close() : undefined,
        )
      }
    },
    tryAgain() {
      for (const record of servers.values()) {
        record.retryMs = 0
        record.attempts = 0
      }
    },
    reconcile(now) {
      for (const [uid, record] of servers) {
        const view = now(record.name, uid)
        if (view?.uid === uid && view.fingerprint === record.fingerprint) continue
        servers.delete(uid)
        retire(record)
        if (view?.uid === uid && record.info !== undefined) deps.events.reopened(view, '')
      }
    },
    async close() {
      clearInterval(sweeper)
      const open: Promise<void>[] = []
      for (const record of servers.values()) {
        for (const { lease } of record.entries.values())
          if (lease !== undefined) open.push(lease.upstream.close())
      }
      servers.clear()
      await Promise.all(open)
    },
  }
}

function healthIn(record: ServerRecord | undefined): ServerHealth {
  const live = [...(record?.entries.values() ?? [])].filter((entry) => entry.lease?.upstream.alive === true)
  return {
    info: record?.info,
    failure: live.length > 0 ? record?.trouble : record?.failure,
    connections: live.length,
    losses: record?.losses ?? 0,
  }
}

/** What has been stopped is not there any more. */
function viewOf({ server, instance, lease }: Entry): readonly InstanceView[] {
  if (instance === undefined || instance.stopped || server.spec.transport !== 'stdio') return []
  const { events, ended } = instance
  const phase = ended !== undefined ? 'Ended' : lease === undefined ? 'Starting' : 'Running'
  const pid = ended === undefined ? lease?.upstream.pid : undefined
  const mark = sharerDigest(instance.sharer)?.slice(0, MARK_LENGTH)
  return [{ ...instance, mark, sharing: server.spec.instances, phase, pid, events: [...events] }]
}

/** At once when nothing is in flight, so that two copies of a stdio server are not at work side by side for longer than needed. */
function closeWhenIdle(upstream: Upstream): void {
  let looks = RETIRE_MS / LOOK_MS
  const look = (): void => {
    if (upstream.idle || --looks <= 0) void upstream.close()
    else setTimeout(look, LOOK_MS).unref()
  }
  setTimeout(look, LOOK_MS).unref()
}

const lostFailure: UpstreamFailure = { kind: 'unreachable', message: 'the connection to it was lost' }

/**
 * Who shares the connection that this caller is to use. For stdio that is `spec.instances`; an HTTP server that keeps
 * sessions gets one per client session, one without is shared by all. Undefined: not known before it was connected.
 */
function sharerOf(server: ServerView, info: UpstreamInfo | undefined, scope: Scope): string | undefined {
  const own = scope.session === undefined ? scope.principal : `session:${scope.session}`
  if (server.spec.transport === 'stdio') {
    if (server.spec.instances === 'shared') return ''
    return server.spec.instances === 'per-principal' ? scope.principal : own
  }
  if (info === undefined) return undefined
  // What we ask for everybody goes over the connection that is everybody's.
  if (info.era === 'modern' || !info.stateful || scope.principal === '') return ''
  // A legacy server hears once per connection what it may ask, a modern client says it anew with every request.
  return scope.session === undefined ? `${own} ${(scope.offer ?? NO_OFFER).key}` : own
}

const ALL: For = { sharer: '', offer: SHARED_OFFER }

/** A process that several callers use, now or later, is told once for all of them. */
const offerOf = (server: ServerView, sharer: string, scope: Scope): Offer =>
  sharer === '' || (server.spec.transport === 'stdio' && !sharer.startsWith('session:'))
    ? SHARED_OFFER
    : (scope.offer ?? NO_OFFER)
