import type { BootEpoch } from '../../../lib/id.ts'
import { errorMessage, notificationMessage } from '../../../protocol/json-rpc.ts'
import type { Session } from '../../classify/session.ts'
import { need, type Exchange, type Refusal } from '../../exchange.ts'
import { parseEventId, type EventId } from './event-id.ts'
import type { EventLog } from './event-log.ts'
import { createEventLogs, type EventLogs } from './event-logs.ts'
import { openEventConnection, type EventConnection } from './event-stream.ts'

/** Messages to a session that belong to no call of it. */
export interface SessionMail {
  /** On the session's own stream; without one the message waits, bounded and for minutes, for the next. */
  send(session: Session, message: string): void
}

export interface SessionStreamDeps {
  readonly epoch: BootEpoch
  readonly tickMs: () => number
  /** Told when nobody has come back to a session's stream for minutes. */
  readonly onAway: (session: Session) => void
  /** Told when a session's stream is there. */
  readonly onOpen: (session: Session) => void
  /**
   * Asks for a stream that is not here at the process that its id is from.
   * @param otherwise called when it is not there either
   */
  readonly elsewhere: (
    session: Session,
    id: EventId,
    ways: { readonly connect: () => EventConnection; readonly otherwise: () => void },
  ) => void
}

export interface SessionStreams {
  readonly logs: EventLogs
  readonly mail: SessionMail
  /** GET: the session's own stream, or what is left of a stream whose connection was lost. */
  readonly open: (x: Exchange) => Refusal | undefined
  /** Goes on with a stream after the event of this id; false: it is not (any more) here. */
  goOn(session: Session, id: EventId, connect: () => EventConnection): boolean
  /** Something was missed elsewhere: the session's stream says what may have changed. */
  announceMissed(session: Session): void
  /** Nothing is kept for it any more. */
  endSession(session: Session): void
  close(): void
}

const OVER: Refusal = {
  code: 'method_not_allowed',
  hint: 'this stream is over; nothing follows what it said',
}

/**
 * A session has one stream of its own, and a newer connection takes the place of the older: behind a broken network the
 * older one looks alive for minutes, and each message may go to one only.
 */
export function createSessionStreams(deps: SessionStreamDeps): SessionStreams {
  const { onOpen, elsewhere } = deps
  const logs = createEventLogs(deps.epoch, deps.tickMs, (session) => {
    session.stream = undefined
    session.missed = true
    deps.onAway(session)
  })

  function openOwn(session: Session, connection: EventConnection, after: number | undefined): void {
    const log = logs.own(session)
    const missed = session.missed
    session.missed = false
    session.stream = streamOver(session, log)
    const whole = log.attach(connection, after)
    if (log.takeLost() || !whole || missed) announceAll(session, log)
    onOpen(session)
  }

  function resume(x: Exchange, session: Session, id: EventId): Refusal | undefined {
    // Clients come back after an error on a stream that had ids, though it was the answer; then they are content.
    if (id.n === 'end') return OVER
    const connect = (): EventConnection => openEventConnection(x.response)
    const otherwise = (): void => {
      if (id.request !== undefined) return sayLost(session, id.request, connect())
      session.missed = true
      openOwn(session, connect(), undefined)
    }
    if (goOn(session, id, connect)) return undefined
    if (id.epoch === deps.epoch) otherwise()
    else elsewhere(session, id, { connect, otherwise })
    return undefined
  }

  function goOn(session: Session, id: EventId, connect: () => EventConnection): boolean {
    const log = id.n === 'end' ? undefined : logs.find(session, id)
    if (log === undefined || id.n === 'end') return false
    if (log === logs.ownIfAny(session)) openOwn(session, connect(), id.n)
    else log.attach(connect(), id.n)
    return true
  }

  /** Nobody will answer that request any more: better said than waited for. */
  function sayLost(session: Session, request: string, connection: EventConnection): void {
    const log = logs.passing(session, request)
    log.attach(connection, undefined)
    log.end(errorMessage(request, LOST))
  }

  return {
    logs,
    mail: {
      send(session, message) {
        if (session.stream === undefined) logs.own(session).send(message)
        else session.stream.send(message)
      },
    },
    open(x) {
      const session = need(x.session, 'session')
      const { headers } = x.request
      if (headers.accept?.includes('text/event-stream') === false) {
        return { code: 'not_acceptable', hint: 'a GET here answers with text/event-stream' }
      }
      const last = headers['last-event-id']
      const id = last === undefined ? undefined : parseEventId(String(last))
      if (id !== undefined) return resume(x, session, id)
      if (last !== undefined) session.missed = true
      openOwn(session, openEventConnection(x.response), undefined)
      return undefined
    },
    goOn,
    announceMissed(session) {
      const log = logs.ownIfAny(session)
      if (log !== undefined) announceAll(session, log)
    },
    endSession: (session) => logs.endSession(session),
    close: () => logs.close(),
  }
}

const LOST = {
  code: -32603,
  message: 'the answer to this call was lost; it may have had effects, so look before you call again',
  data: {},
} as const

function streamOver(session: Session, log: EventLog): NonNullable<Session['stream']> {
  const stream = {
    send: (message: string) => void log.send(message),
    close() {
      if (session.stream === stream) session.stream = undefined
      session.missed = true
      log.hangUp()
    },
  }
  return stream
}

function announceAll(session: Session, log: EventLog): void {
  for (const what of ['tools', 'prompts', 'resources'] as const)
    log.send(notificationMessage(`notifications/${what}/list_changed`))
  for (const uri of session.subscriptions.keys())
    log.send(notificationMessage('notifications/resources/updated', { uri }))
}
