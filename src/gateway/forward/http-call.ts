import { spanOf, type Message } from '../../protocol/message.ts'
import { startDeadline } from './deadline.ts'
import { httpExchange, type HttpCall, type HttpRequest } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'
import type { Sink, UpstreamCall, UpstreamFailure } from './upstream.ts'

export interface PostedRequest {
  readonly target: HttpTarget
  readonly headers: Record<string, string>
  readonly body: Buffer | string
  readonly wireId: string
  readonly timeoutMs: number
  /** Told before the sink: what the status means to the connection. A failure returned here ends the call. */
  status?(
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): UpstreamFailure | undefined
  /** Requests of the server on this stream, and notifications that are about more than this request. */
  aside?(message: Message): boolean
  /** After a timeout: how the server is told that nobody waits any more. */
  abandoned?(): void
}

/** Posts one JSON-RPC request and follows its answer, be it one JSON body or a stream, to the response that matches. */
export function postRequest(request: PostedRequest, sink: Sink): UpstreamCall {
  let over = false
  let failedStatus: number | undefined
  let call: HttpCall | undefined
  const deadline = startDeadline(request.timeoutMs, () => {
    finish(() => sink.failed({ kind: 'timeout', message: 'it did not answer in time' }))
    request.abandoned?.()
    call?.abort()
  })

  function finish(tell: () => void): void {
    if (over) return
    over = true
    deadline.clear()
    tell()
  }

  call = httpExchange(request.target.dispatcher, httpRequest(request), {
    status(status, headers) {
      const failure = request.status?.(status, headers) ?? statusFailure(status)
      if (failure === undefined) return
      // A JSON-RPC error in the body says more than the status, and is the server's own answer.
      if (status === 400 || (status === 404 && failure.kind !== 'session-lost')) failedStatus = status
      else finish(() => sink.failed(failure))
    },
    message(message) {
      if (over) return
      if (message.shape === 'request' || message.shape === 'notification') {
        if (request.aside?.(message) === true) return
        if (message.shape === 'notification') {
          if (message.method === 'notifications/progress') deadline.extend()
          sink.event(message)
        }
        return
      }
      // Errors may come without an id: the request could not be read. On a POST of one request it is clear which.
      if (message.idText !== undefined && message.idText !== request.wireId) return
      if (message.idText === undefined && spanOf(message, 'error') === undefined) return
      finish(() => sink.reply(message))
    },
    end() {
      finish(() =>
        sink.failed(
          failedStatus === undefined
            ? { kind: 'unreachable', message: 'it ended its answer before the response had come' }
            : {
                kind: 'invalid',
                message: `it answered with HTTP status ${failedStatus}`,
                status: failedStatus,
              },
        ),
      )
    },
    error: (failure) =>
      finish(() => sink.failed(failedStatus === undefined ? failure : { ...failure, status: failedStatus })),
  })

  return {
    cancel() {
      finish(() => {})
      call?.abort()
    },
  }
}

const httpRequest = (request: PostedRequest): HttpRequest => ({
  method: 'POST',
  origin: request.target.origin,
  path: request.target.path,
  headers: request.headers,
  body: request.body,
})

function statusFailure(status: number): UpstreamFailure | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 401 || status === 403) {
    return { kind: 'refused', message: `it refuses our credential (HTTP status ${status})`, status }
  }
  const kind = status >= 500 || status === 429 ? 'unreachable' : 'invalid'
  return { kind, message: `it answered with HTTP status ${status}`, status }
}
