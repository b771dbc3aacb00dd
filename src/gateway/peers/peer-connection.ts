import type { Session } from '../classify/session.ts'
import type { PeerReply, Peers } from '../peers.ts'
import { eventIds, type EventId } from '../reply/events/event-id.ts'
import type { EventConnection } from '../reply/events/event-stream.ts'
import { writeSessionMessage } from './session-message.ts'

/** A connection to a client of another process: what is written goes to that process, which passes it on as it is. */
export function createPeerConnection(reply: PeerReply): EventConnection {
  const connection: EventConnection = {
    owner: undefined,
    write(text) {
      reply.line(JSON.stringify(text))
      return true
    },
    end(text) {
      if (text !== undefined) reply.line(JSON.stringify(text))
      reply.end()
      connection.owner?.closed(true)
    },
  }
  // Said at once, since nothing else may be for long: the client has to know that its stream is there.
  reply.line('""')
  reply.onAbort(() => connection.owner?.closed(false))
  return connection
}

export interface Resumed {
  readonly session: Session
  readonly id: EventId
  /** Takes the client's connection. */
  readonly connect: () => EventConnection
  /** Called instead when no other process has the stream. */
  readonly otherwise: () => void
}

/** The other side: a client comes back here for a stream of another process. */
export function resumeAtOther(peers: Peers, { session, id, connect, otherwise }: Resumed): void {
  const last = eventIds(id.epoch, id.stream, id.request).at(id.n)
  let connection: EventConnection | undefined
  const over = (): void => (connection === undefined ? otherwise() : connection.end())
  const call = peers.open(id.epoch, 'session', writeSessionMessage('resume', session.id, last), {
    line(text) {
      if (connection === undefined) {
        connection = connect()
        connection.owner = { drained() {}, closed: () => call.abort() }
      }
      const said = JSON.parse(text) as string
      if (said !== '') connection.write(said)
    },
    end: over,
    gone: over,
  })
}
