import type { Log } from '../../lib/log.ts'
import { readMessage } from '../../protocol/message.ts'
import type { Session } from '../classify/session.ts'
import type { Sessions } from '../classify/sessions.ts'
import { ownMessage, uriOfUpdate } from '../forward/dial/handshake.ts'
import type { PeerReply } from '../peers.ts'
import type { ClientEar } from '../reply/ask/client-ear.ts'
import { parseEventId } from '../reply/events/event-id.ts'
import type { EventConnection } from '../reply/events/event-stream.ts'
import type { EventLog } from '../reply/events/event-log.ts'
import type { SessionStreams } from '../reply/events/session-stream.ts'
import type { SnapshotSource } from '../snapshot.ts'
import { createPeerConnection } from './peer-connection.ts'
import { RemoteStream } from './remote-stream.ts'
import { readSessionMessage, type SessionMessage } from './session-message.ts'
import type { SessionPeers } from './session-peers.ts'

export interface SessionServiceDeps {
  readonly sessions: Sessions
  readonly streams: SessionStreams
  readonly ear: ClientEar
  readonly others: SessionPeers
  readonly snapshot: SnapshotSource
  /** The subscriptions of a session whose stream is here are others now. */
  readonly subscriptionsChanged: (session: Session) => void
  readonly log: Log
}

/** What this process does when another one speaks of a session. */
export function createSessionService(deps: SessionServiceDeps): (body: string, reply: PeerReply) => void {
  return (body, reply) => {
    const message = readSessionMessage(body)
    if (message === undefined) return reply.end()
    if (message.do === 'resume') return void resume(deps, message, reply)
    act(deps, message, reply)
      .catch((thrown: unknown) =>
        deps.log.warn({ err: thrown, about: message.do }, 'what another process said of a session'),
      )
      .finally(() => reply.end())
  }
}

async function act(deps: SessionServiceDeps, message: SessionMessage, reply: PeerReply): Promise<void> {
  const { sessions, others } = deps
  if (message.do === 'ended') return sessions.forget(message.id)
  if (message.do === 'changed') {
    const changed = await sessions.reload(message.id)
    if (changed !== undefined && isHere(changed)) deps.subscriptionsChanged(changed)
    return
  }
  const session = sessions.peek(message.id)
  if (session === undefined) return
  if (message.do === 'said') {
    const read = readMessage(Buffer.from(message.text), 'client')
    if (read.ok) deps.ear.heard(session, read.value)
  } else if (message.do === 'streaming') {
    if (session.missed) reply.line('true')
    others.hangsAt(session, message.text)
    handOver(session, deps.streams.logs.ownIfAny(session))
    session.missed = false
  } else if (isHere(session)) {
    if (message.do === 'tell' && !isHeardHere(deps, session, message.text)) session.stream?.send(message.text)
    reply.line('true')
  }
}

const isHere = ({ stream }: Session): boolean => stream !== undefined && !(stream instanceof RemoteStream)

/**
 * A server that both processes reach over HTTP tells both of them; a copy of a stdio server tells only the process that
 * runs it.
 */
function isHeardHere({ snapshot }: SessionServiceDeps, session: Session, text: string): boolean {
  const uri = uriOfUpdate(ownMessage(text))
  const name = uri === undefined ? undefined : session.subscriptions.get(uri)
  const server = name === undefined ? undefined : snapshot.current().server(name)
  return server !== undefined && server.spec.transport !== 'stdio'
}

/** What waited here for a stream goes to where that is now. */
function handOver(session: Session, log: EventLog | undefined): void {
  if (log === undefined || log.connected) return
  const connection: EventConnection = {
    owner: undefined,
    write(text) {
      for (const line of text.split('\n'))
        if (line.startsWith('data: {')) session.stream?.send(line.slice('data: '.length))
      return true
    },
    end() {},
  }
  log.attach(connection, undefined)
  connection.owner?.closed(true)
}

async function resume(
  { sessions, streams, log }: SessionServiceDeps,
  { id, text }: SessionMessage,
  reply: PeerReply,
): Promise<void> {
  const event = parseEventId(text)
  try {
    const session = await sessions.find(id)
    const here =
      session !== undefined &&
      event !== undefined &&
      streams.goOn(session, event, () => createPeerConnection(reply))
    if (!here) reply.end()
  } catch (thrown) {
    log.warn({ err: thrown }, 'a stream could not be resumed for another process')
    reply.end()
  }
}
