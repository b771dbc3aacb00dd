import type { Message } from '../../protocol/message.ts'
import type { Session } from '../classify/session.ts'
import type { OtherProcesses } from '../classify/sessions.ts'
import type { Peers } from '../peers.ts'
import { RemoteStream } from './remote-stream.ts'
import { writeSessionMessage } from './session-message.ts'

/** What this process tells the others of the sessions that it serves. */
export interface SessionPeers extends OtherProcesses {
  /** What the client has said concerns nothing that is under way here. */
  said(session: Session, message: Message): void
  /** The session's stream is here from now on. */
  streaming(session: Session): void
  /** Its stream is at that process from now on. */
  hangsAt(session: Session, node: string): void
}

export interface SessionPeersDeps {
  /** Takes a message for a session whose stream is nowhere (any more). */
  readonly back: (session: Session, message: string) => void
  /** Another process had something to say to the session that nobody has heard. */
  readonly missed: (session: Session) => void
}

export function createSessionPeers(peers: Peers, { back, missed }: SessionPeersDeps): SessionPeers {
  function hangsAt(session: Session, node: string): void {
    const before = session.stream
    session.stream = undefined
    before?.close()
    session.stream = new RemoteStream(node, session, peers, (message) => back(session, message))
  }

  return {
    ended: (id) => peers.broadcast('session', writeSessionMessage('ended', id)),
    changed: (id) => peers.broadcast('session', writeSessionMessage('changed', id)),
    async found(session) {
      let holder: string | undefined
      await peers.broadcast('session', writeSessionMessage('where', session.id), (node) => (holder = node))
      if (holder !== undefined && session.stream === undefined) hangsAt(session, holder)
    },
    said(session, message) {
      if (!session.stored) return
      const text = writeSessionMessage('said', session.id, message.bytes.toString())
      const asker = message.shape === 'notification' ? undefined : askerOf(message.idText)
      if (asker !== undefined) peers.open(asker, 'session', text, DEAF)
      else if (message.shape === 'notification') void peers.broadcast('session', text)
    },
    streaming(session) {
      if (!session.stored) return
      void peers.broadcast('session', writeSessionMessage('streaming', session.id, peers.self), () =>
        missed(session),
      )
    },
    hangsAt,
  }
}

const DEAF = { line() {}, end() {}, gone() {} }

/** Ids of questions to clients carry the boot epoch of the process that asks (law 11). */
const askerOf = (idText: string | undefined): string | undefined =>
  /^"q([\w-]+)\.\d+"$/.exec(idText ?? '')?.[1]
