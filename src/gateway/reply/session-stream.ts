import type { ServerResponse } from 'node:http'
import type { Session, SessionStream } from '../classify/session.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'
import { sseMessage } from '../../protocol/sse.ts'
import { beginEventStream, KEEP_ALIVE_MS } from './event-stream.ts'

/** What a client that does not read may leave unread before its stream is closed; it can open another. */
const MAX_UNREAD_BYTES = 1024 * 1024

/** GET: the stream for what is said unasked. A session has one; a newer one takes its place. */
export function createOpenStream(onOpen: (session: Session) => void): (x: Exchange) => Refusal | undefined {
  return (x) => {
    const session = need(x.session, 'session')
    if (x.request.headers.accept?.includes('text/event-stream') === false) {
      return { code: 'not_acceptable', hint: 'a GET here answers with text/event-stream' }
    }
    const before = session.stream
    const stream = openStream(x.response, () => {
      if (session.stream === stream) session.stream = undefined
    })
    session.stream = stream
    before?.close()
    onOpen(session)
    return undefined
  }
}

function openStream(response: ServerResponse, closed: () => void): SessionStream {
  const keepAlive = beginEventStream(response, KEEP_ALIVE_MS)
  response.once('close', () => {
    clearInterval(keepAlive)
    closed()
  })
  response.on('error', () => {})
  return {
    send(message) {
      if (response.writableEnded || response.destroyed) return
      if (response.writableLength > MAX_UNREAD_BYTES) response.destroy()
      else response.write(sseMessage(message))
    },
    close: () => void response.end(),
  }
}
