import type { BootEpoch, SessionId } from '../../../lib/id.ts'
import type { Session } from '../../classify/session.ts'
import { EventLog, type EventStyle, type KeptEvent, type LogKeeper } from './event-log.ts'
import { eventIds, type EventId } from './event-id.ts'

/** What is said to legacy sessions in event streams, kept for a while, so that a lost connection loses nothing. */
export interface EventLogs {
  readonly epoch: BootEpoch
  /**
   * The stream that answers a request.
   * @param request JSON text of its id
   */
  open(session: Session, request: string): EventLog
  /** The session's own stream, for what belongs to no request: the one it has, or a fresh one. */
  own(session: Session): EventLog
  /** Only if it has one. */
  ownIfAny(session: Session): EventLog | undefined
  /** The stream that an id is from, if it is one of this session and still here. */
  find(session: Session, id: EventId): EventLog | undefined
  /** Ids for a stream of which nothing is kept. */
  passing(session: Session, request: string): EventLog
  endSession(session: Session): void
  /** How much is kept, for tests and metrics. */
  size(): { readonly sessions: number; readonly events: number; readonly chars: number }
  close(): void
}

interface Held {
  own: EventLog | undefined
  readonly logs: Map<string, EventLog>
}

/** For a client that comes back: a laptop that was closed for longer begins anew. */
const KEEP_MS = 5 * 60 * 1000
/** An answer that has left whole may still be lost in the network. */
const KEEP_DELIVERED_MS = 15 * 1000
const SWEEP_MS = 5 * 1000
/** Of all sessions together. */
const MAX_CHARS = 64 * 1024 * 1024
/** Streams of calls that one session may leave behind, besides those that still run. */
const MAX_LOGS = 256

export function createEventLogs(
  epoch: BootEpoch,
  tickMs: () => number,
  /** Nobody has come back to the session's own stream in time; what was kept for it is gone. */
  onAway: (session: Session) => void,
): EventLogs {
  const sessions = new Map<SessionId, Held>()
  const owners = new Map<EventLog, { readonly session: Session; readonly stream: string }>()
  // Oldest first, since each has one duration.
  const kept = new Set<KeptEvent>()
  const away = new Map<EventLog, number>()
  const delivered = new Map<EventLog, number>()
  let chars = 0
  let last = 0
  let timer: NodeJS.Timeout | undefined

  const keeper: LogKeeper = {
    keep(log, n, text) {
      const event: KeptEvent = { log, n, text, atMs: tickMs() }
      kept.add(event)
      chars += text.length
      if (chars > MAX_CHARS) makeRoom(event)
      timer ??= setInterval(sweep, SWEEP_MS).unref()
      return event
    },
    released(event) {
      kept.delete(event)
      chars -= event.text.length
    },
    leaving(log, wasDelivered) {
      if (!owners.has(log)) return
      away.delete(log)
      if (wasDelivered) delivered.set(log, tickMs())
      else if (log.ended || isOwn(log)) away.set(log, tickMs())
      timer ??= setInterval(sweep, SWEEP_MS).unref()
    },
    staying(log) {
      away.delete(log)
      delivered.delete(log)
    },
  }

  const isOwn = (log: EventLog): boolean => {
    const session = owners.get(log)?.session
    return session !== undefined && sessions.get(session.id)?.own === log
  }

  function makeRoom(newest: KeptEvent): void {
    for (const event of kept) {
      if (chars <= MAX_CHARS || event === newest) return
      event.log.shift()
    }
  }

  function sweep(): void {
    const now = tickMs()
    for (const event of kept) {
      if (event.atMs > now - KEEP_MS) break
      event.log.shift()
    }
    dropOlder(delivered, now - KEEP_DELIVERED_MS)
    dropOlder(away, now - KEEP_MS)
    if (kept.size + away.size + delivered.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  function dropOlder(logs: Map<EventLog, number>, beforeMs: number): void {
    for (const [log, atMs] of logs) {
      if (atMs > beforeMs) break
      const session = owners.get(log)?.session
      const own = isOwn(log)
      drop(log)
      if (own && session !== undefined) onAway(session)
    }
  }

  function drop(log: EventLog): void {
    log.clear()
    away.delete(log)
    delivered.delete(log)
    const owner = owners.get(log)
    if (owner === undefined) return
    owners.delete(log)
    const held = sessions.get(owner.session.id)
    if (held === undefined) return
    if (held.own === log) held.own = undefined
    held.logs.delete(owner.stream)
    if (held.logs.size === 0) sessions.delete(owner.session.id)
  }

  function add(session: Session, request: string | undefined): EventLog {
    const stream = (++last).toString(36)
    const log = new EventLog(keeper, eventIds(epoch, stream, request), styleFor(session.protocolVersion))
    owners.set(log, { session, stream })
    const held = sessions.get(session.id) ?? { own: undefined, logs: new Map<string, EventLog>() }
    sessions.set(session.id, held)
    held.logs.set(stream, log)
    if (request === undefined) {
      held.own = log
      keeper.leaving(log, false)
    } else if (held.logs.size > MAX_LOGS) dropOldestEnded(held)
    return log
  }

  function dropOldestEnded(held: Held): void {
    for (const log of held.logs.values()) if (log.ended && !log.connected) return drop(log)
  }

  return {
    epoch,
    open: (session, request) => add(session, request),
    own: (session) => sessions.get(session.id)?.own ?? add(session, undefined),
    ownIfAny: (session) => sessions.get(session.id)?.own,
    find: (session, id) => (id.epoch === epoch ? sessions.get(session.id)?.logs.get(id.stream) : undefined),
    passing: (session, request) =>
      new EventLog(
        PASSING,
        eventIds(epoch, (++last).toString(36), request),
        styleFor(session.protocolVersion),
      ),
    endSession(session) {
      for (const log of sessions.get(session.id)?.logs.values() ?? []) drop(log)
    },
    size: () => ({ sessions: sessions.size, events: kept.size, chars }),
    close() {
      clearInterval(timer)
    },
  }
}

/** For a stream of which nothing is kept. */
const PASSING: LogKeeper = {
  keep: (log, n, text) => ({ log, n, text, atMs: 0 }),
  released() {},
  leaving() {},
  staying() {},
}

const styleFor = (protocolVersion: string): EventStyle =>
  protocolVersion < '2025-03-26' ? 'plain' : protocolVersion < '2025-11-25' ? 'ids' : 'primed'
