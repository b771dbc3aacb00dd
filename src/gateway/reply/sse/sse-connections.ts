import type { Session } from '../../classify/session.ts'
import { need, type Exchange, type Refusal } from '../../exchange.ts'
import { openEventConnection } from '../events/event-stream.ts'
import { SseConnection } from './sse-connection.ts'
import { createSseOutlet } from './sse-outlet.ts'

/** The front of HTTP+SSE, the transport of 2024-11-05: a GET stream per client and an address to post to. */
export interface SseConnections {
  /** GET: opens a stream, whose first event names the address to post to. */
  readonly open: (x: Exchange) => Refusal | undefined
  /** POST: finds the stream it belongs to; the answer to a request goes there, and not to the POST. */
  readonly attach: (x: Exchange) => Refusal | undefined
  close(): void
}

export interface SseConnectionsDeps {
  /** Told when the stream of a session is there. */
  readonly onOpen: (session: Session) => void
  /** Ends a session with all that belongs to it. */
  readonly endSession: (session: Session) => void
}

/** Streams of one principal at a time. */
const MAX_STREAMS = 100
/** A stream on which nobody initialises has no session by which it could be found and cut. */
const INITIALIZE_WITHIN_MS = 60_000

const LOST: Refusal = {
  code: 'session_lost',
  hint: 'open the stream again with GET, and post to the address that its endpoint event names',
}

export function createSseConnections({ onOpen, endSession }: SseConnectionsDeps): SseConnections {
  const connections = new Map<string, SseConnection>()
  const perPrincipal = new Map<string, number>()

  function count(principal: string, by: 1 | -1): void {
    const left = (perPrincipal.get(principal) ?? 0) + by
    if (left === 0) perPrincipal.delete(principal)
    else perPrincipal.set(principal, left)
  }

  return {
    open(x) {
      const principal = need(x.principal, 'principal').key
      if (!takesEvents(x.request.headers.accept))
        return { code: 'not_acceptable', hint: 'a GET here answers with text/event-stream' }
      if ((perPrincipal.get(principal) ?? 0) >= MAX_STREAMS)
        return { code: 'too_many', hint: 'close streams that are not used any more' }
      const sse = new SseConnection({
        owner: { principal, project: x.target.project, server: x.target.server },
        connection: openEventConnection(x.response),
        bound: onOpen,
        closed(session) {
          clearTimeout(timer)
          connections.delete(sse.id)
          count(principal, -1)
          if (session !== undefined) endSession(session)
        },
      })
      const timer = setTimeout(() => sse.session ?? sse.close(), INITIALIZE_WITHIN_MS).unref()
      connections.set(sse.id, sse)
      count(principal, 1)
      return undefined
    },
    attach(x) {
      if (x.target.sse !== 'messages') return undefined
      if (x.batch !== undefined)
        return { code: 'not_jsonrpc', hint: 'this transport has no batches; send one message per request' }
      const id = new URLSearchParams(x.request.url?.split('?', 2)[1]).get('sessionId')
      const sse = connections.get(id ?? '')
      if (sse === undefined || sse.gone || !isOf(sse, x)) return LOST
      x.connection = sse
      if (x.message?.shape !== 'request') return undefined
      x.response.writeHead(202, { 'content-length': '0' }).end()
      x.out = createSseOutlet(sse)
      return undefined
    },
    close() {
      for (const sse of connections.values()) sse.close()
    },
  }
}

const takesEvents = (accept: string | undefined): boolean =>
  accept === undefined || accept.includes('text/event-stream') || accept.includes('*/*')

const isOf = ({ owner }: SseConnection, { principal, target }: Exchange): boolean =>
  owner.principal === principal?.key && owner.project === target.project && owner.server === target.server
