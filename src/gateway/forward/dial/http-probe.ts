import { err, ok, type Result } from '../../../lib/result.ts'
import type { Implementation } from '../../../protocol/envelope.ts'
import type { Message } from '../../../protocol/message.ts'
import { startDeadline } from '../deadline.ts'
import { discoverRequest, type Opener } from './handshake.ts'
import { httpExchange } from '../http/http-exchange.ts'
import type { HttpTarget } from '../http/http-target.ts'
import { probe, type FinalJudgement, type ProbeAnswer } from './judge-probe.ts'
import type { UpstreamFailure } from '../upstream.ts'
import type { WireIds } from '../wire-id.ts'

/** Asks an HTTP server which era it is of. */
export const probeHttp = (target: HttpTarget, us: Implementation, ids: WireIds): Promise<FinalJudgement> =>
  probe((opener) => discover(target, discoverRequest(ids.next(), us, opener), opener))

function discover(
  target: HttpTarget,
  body: string,
  opener: Opener,
): Promise<Result<ProbeAnswer, UpstreamFailure>> {
  return new Promise((resolve) => {
    let status = 0
    let reply: Message | undefined
    const deadline = startDeadline(target.connectTimeoutMs, () => {
      resolve(err({ kind: 'timeout', message: 'it did not answer in time' }))
      call.abort()
    })
    const done = (result: Result<ProbeAnswer, UpstreamFailure>): void => {
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
          'mcp-protocol-version': opener.version,
          'mcp-method': 'server/discover',
        },
        body,
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
