import type { EventLogs } from '../reply/events/event-logs.ts'
import { isSessionId } from '../../lib/id.ts'
import { claimsModern, isLegacyRevision } from '../../protocol/revisions.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'
import type { SseConnection } from '../reply/sse/sse-connection.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'

/** The session of a legacy request. A session is never a credential: whoever uses it must be who opened it. */
export function createSessionStep(
  sessions: Sessions,
  logs: EventLogs,
): (x: Exchange) => Refusal | undefined | Promise<Refusal | undefined> {
  return (x) => {
    if (x.era === 'modern') return undefined
    if (x.connection !== undefined) return enterConnection(x, x.connection, sessions)
    const version = x.request.headers['mcp-protocol-version']
    const isPost = x.kind !== 'stream' && x.kind !== 'end'
    if (!isPost && typeof version === 'string' && claimsModern(version)) return noSessions(x)
    const id = x.request.headers['mcp-session-id']
    const alone = typeof id !== 'string' || id === ''
    if (alone && !mayStandAlone(x)) return MISSING
    // Some clients never send it after initialize, so only one that names something unknown is refused.
    if (typeof version === 'string' && !isLegacyRevision(version)) return { code: 'unsupported_version' }
    if (alone) return undefined
    const known = sessions.peek(id)
    // What we cannot have minted, such as a header that was sent twice, is not looked for.
    if (known === undefined && !isSessionId(id)) return lost(x)
    if (known !== undefined) return enter(x, known, sessions, logs)
    return sessions
      .find(id)
      .then((found) => (found === undefined ? lost(x) : enter(x, found, sessions, logs)))
  }
}

/** GET and DELETE are of sessions, which the modern era has not (MCP 2026-07-28, Streamable HTTP). */
function noSessions(x: Exchange): Refusal {
  x.era = 'modern'
  return { code: 'method_not_allowed', hint: 'send a POST; this revision has no sessions' }
}

const MISSING: Refusal = {
  code: 'session_missing',
  hint: 'send initialize first, and its Mcp-Session-Id from then on',
}

/** What is about a session cannot do without one. */
const NEEDS_SESSION = new Set<Exchange['kind']>([
  'resources/subscribe',
  'resources/unsubscribe',
  'logging/setLevel',
  'batch',
  'stream',
  'end',
])

/** A project may serve clients that keep no session: each request is its principal's, and nobody can be asked back. */
const mayStandAlone = (x: Exchange): boolean =>
  x.project?.view.spec.sessions === 'optional' && !NEEDS_SESSION.has(x.kind)

function enter(x: Exchange, session: Session, sessions: Sessions, logs: EventLogs): Refusal | undefined {
  const ours = session.principal === need(x.principal, 'principal').key
  if (!ours || session.project !== x.target.project || session.server !== x.target.server) return lost(x)
  x.session = session
  x.offer = session.offer
  if (x.message?.idText !== undefined) x.out.resumable(logs, session, x.message.idText)
  sessions.seen(session)
  return undefined
}

/** HTTP+SSE: the connection is the session; whose it is has been looked at. */
function enterConnection(x: Exchange, { session }: SseConnection, sessions: Sessions): Refusal | undefined {
  if (session !== undefined) {
    x.session = session
    x.offer = session.offer
    sessions.seen(session)
    return undefined
  }
  return x.kind === 'ping' ? undefined : { code: 'session_lost', hint: 'send initialize first' }
}

/** Ending what has ended already is fine. */
const lost = (x: Exchange): Refusal | undefined =>
  x.kind === 'end' ? undefined : { code: 'session_lost', hint: 'send initialize again' }
