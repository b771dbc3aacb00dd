import { err, ok, type Result } from '../../lib/result.ts'
import type { Implementation } from '../../protocol/envelope.ts'
import { rawAt, type Message } from '../../protocol/message.ts'
import { LATEST_MODERN } from '../../protocol/revisions.ts'
import { discoverRequest, offersModern, readDiscoverResult } from './handshake.ts'
import { startDeadline } from './deadline.ts'
import { httpExchange } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'
import type { UpstreamFailure, UpstreamInfo } from './upstream.ts'
import type { WireIds } from './wire-id.ts'

export type Verdict = { readonly era: 'modern'; readonly info: UpstreamInfo } | { readonly era: 'legacy' }

/**
 * Asks an HTTP server which era it is of (MCP 2026-07-28, "Protocol version negotiation"): a modern `server/discover`
 * first. Refused credentials and outages say nothing about the era, so they are failures, not verdicts.
 */
export async function probeHttp(
  target: HttpTarget,
  us: Implementation,
  ids: WireIds,
): Promise<Result<Verdict, UpstreamFailure>> {
  const seen = await discover(target, us, ids)
  if (!seen.ok) return seen
  const { status, reply } = seen.value
  if (status === 401 || status === 403) {
    return err({ kind: 'refused', message: `it refuses our credential (HTTP status ${status})`, status })
  }
  if (status >= 500)
    return err({ kind: 'unreachable', message: `it answered with HTTP status ${status}`, status })
  if (reply === undefined) {
    if (status < 300) return err({ kind: 'invalid', message: 'its answer is not an MCP message' })
    return ok({ era: 'legacy' })
  }
  const read = readDiscoverResult(reply)
  if (read !== 'legacy') return ok({ era: 'modern', info: read })
  // Well-formed modern errors: the server is modern and objects to something; not a reason to speak an older revision.
  const code = rawAt(reply, 'error/code')
  if (status === 400 && (offersModern(reply) || code === '-32020' || code === '-32021')) {
    return err({ kind: 'invalid', message: 'it speaks a newer protocol but refused our first request' })
  }
  return ok({ era: 'legacy' })
}

interface Seen {
  readonly status: number
  readonly reply: Message | undefined
}

function discover(
  target: HttpTarget,
  us: Implementation,
  ids: WireIds,
): Promise<Result<Seen, UpstreamFailure>> {
  const wireId = ids.next()
  return new Promise((resolve) => {
    let status = 0
    let reply: Message | undefined
    const deadline = startDeadline(target.connectTimeoutMs, () => {
      resolve(err({ kind: 'timeout', message: 'it did not answer in time' }))
      call.abort()
    })
    const done = (result: Result<Seen, UpstreamFailure>): void => {
      deadline.clear()
      resolve(result)
      call.abort()
    }
    const call = httpExchange(
      target.dispatcher,
      {
        method: 'POST',
        origin: target.origin,
        path: target.path,
        headers: {
          ...target.injected(),
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': LATEST_MODERN,
          'mcp-method': 'server/discover',
        },
        body: discoverRequest(wireId, us),
      },
      {
        status: (code) => void (status = code),
        message(message) {
          if (message.shape !== 'result' && message.shape !== 'error') return
          reply = message
          queueMicrotask(() => done(ok({ status, reply })))
        },
        end: () => done(ok({ status, reply })),
        // A body that is no MCP message still came with a status, and that is what decides.
        error: (failure) =>
          done(status >= 300 && failure.kind === 'invalid' ? ok({ status, reply: undefined }) : err(failure)),
      },
    )
  })
}
