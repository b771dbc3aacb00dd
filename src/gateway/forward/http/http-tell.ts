import { startDeadline } from '../deadline.ts'
import { httpExchange } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'
import type { UpstreamFailure } from '../upstream.ts'

/** A server that has not taken a message by then keeps a connection for nothing. */
const TELL_MS = 30_000

const nothing = (): void => {}

/**
 * Posts what has no answer in its own response: notifications, answers to questions, everything over HTTP+SSE.
 * @param path with the query
 * @param told called once: with the status, or with why there is none
 */
export function tellServer(
  { dispatcher, origin }: Pick<HttpTarget, 'dispatcher' | 'origin'>,
  post: { readonly path: string; readonly headers: Record<string, string>; readonly body: Buffer | string },
  told: (outcome: number | UpstreamFailure) => void = nothing,
): void {
  let over = false
  const settle = (outcome: number | UpstreamFailure): void => {
    if (over) return
    over = true
    told(outcome)
  }
  const deadline = startDeadline(TELL_MS, () => {
    call.abort()
    settle({ kind: 'timeout', message: 'it did not take a message in time' })
  })
  const done = (): void => deadline.clear()
  const call = httpExchange(
    dispatcher,
    { method: 'POST', origin, ...post, statusOnly: true },
    {
      status: settle,
      message: nothing,
      end: done,
      error(failure) {
        done()
        settle(failure)
      },
    },
  )
}
