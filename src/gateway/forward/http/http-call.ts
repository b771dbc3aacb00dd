import { spanOf, type Message } from '../../../protocol/message.ts'
import { startDeadline, type Deadline } from '../deadline.ts'
import { httpExchange, type HttpCall, type HttpRequest, type HttpSink } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'
import type { Asked } from '../questions.ts'
import { ResumedStream } from './resumed-stream.ts'
import type { Sink, UpstreamCall, UpstreamFailure } from '../upstream.ts'

export interface PostedRequest {
  readonly target: HttpTarget
  readonly headers: Record<string, string>
  readonly body: Buffer | string
  readonly wireId: string
  readonly timeoutMs: number
  /** What the connection adds; the same object for all of its calls. */
  readonly rules: PostRules
}

export interface PostRules {
  /** Told before the sink: what the status means to the connection. A failure returned here ends the call. */
  status?(
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): UpstreamFailure | undefined
  /** Notifications on this stream that are about more than this request. */
  aside?(notification: Message): boolean
  /** A request of the server on this stream, for the caller; absent where servers have none (modern). */
  question?(request: Message, to: Asked, settled: () => void): void
  /** A stream that ended without the answer can be resumed, with these headers. */
  resumeHeaders?(): Record<string, string>
  /** After a timeout: how the server is told that nobody waits any more. */
  abandoned?(wireId: string): void
}

export interface PostedUpstreamCall extends UpstreamCall {
  /** Its time stands still until as many `release`: the server waits for an answer of ours. */
  hold(): void
  release(): void
}

/** Posts one JSON-RPC request and follows its answer, be it one JSON body or a stream, to the response that matches. */
export function postRequest(request: PostedRequest, sink: Sink): PostedUpstreamCall {
  return new PostedCall(request, sink)
}

/** A class and not closures, since one is made for every call. */
class PostedCall implements PostedUpstreamCall, HttpSink {
  readonly #request: PostedRequest
  readonly #sink: Sink
  readonly #deadline: Deadline
  readonly #call: HttpCall
  #over = false
  #failedStatus: number | undefined
  #resumed: ResumedStream | undefined

  constructor(request: PostedRequest, sink: Sink) {
    this.#request = request
    this.#sink = sink
    this.#deadline = startDeadline(request.timeoutMs, () => this.#expired())
    this.#call = httpExchange(request.target.dispatcher, httpRequest(request), this)
  }

  hold(): void {
    this.#deadline.hold()
  }

  release(): void {
    this.#deadline.release()
  }

  pause(): void {
    this.#deadline.hold()
    this.#call.pause()
  }

  resume(): void {
    this.#call.resume()
    this.#deadline.release()
  }

  cancel(): void {
    this.#finish()
    this.#deadline.clear()
    this.#call.abort()
  }

  status(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void {
    const failure = this.#request.rules.status?.(status, headers) ?? statusFailure(status)
    if (failure === undefined) return
    // A JSON-RPC error in the body says more than the status, and is the server's own answer.
    if (status === 400 || (status === 404 && failure.kind !== 'session-lost')) this.#failedStatus = status
    else this.#fail(failure)
  }

  message(message: Message): void {
    if (this.#over) return
    if (message.shape === 'request') return this.#asked(message)
    if (message.shape === 'notification') return this.#aside(message)
    // Errors may come without an id: the request could not be read. On a POST of one request it is clear which.
    if (message.idText !== undefined && message.idText !== this.#request.wireId) return
    if (message.idText === undefined && spanOf(message, 'error') === undefined) return
    if (this.#finish()) this.#sink.reply(message)
  }

  end(): void {
    if (this.#goesOn()) return
    this.#deadline.clear()
    const status = this.#failedStatus
    if (status === undefined)
      this.#fail({ kind: 'unreachable', message: 'it ended its answer before the response had come' })
    else this.#fail({ kind: 'invalid', message: `it answered with HTTP status ${status}`, status })
  }

  /** What became of the request is not known, so it is not made again. */
  lost(): void {
    this.#deadline.clear()
    this.#fail({ kind: 'unreachable', message: 'it ended its answer before the response had come' })
  }

  error(failure: UpstreamFailure): void {
    if (failure.kind === 'unreachable' && this.#goesOn()) return
    this.#deadline.clear()
    this.#fail(this.#failedStatus === undefined ? failure : { ...failure, status: this.#failedStatus })
  }

  #asked(request: Message): void {
    if (this.#request.rules.question === undefined) return
    this.hold()
    this.#request.rules.question(request, this.#sink, () => this.release())
  }

  #aside(message: Message): void {
    if (this.#request.rules.aside?.(message) === true) return
    if (message.method === 'notifications/progress') this.#deadline.extend()
    this.#sink.event(message)
  }

  #goesOn(): boolean {
    const { rules, target } = this.#request
    if (this.#over || rules.resumeHeaders === undefined || this.#call.lastEventId === undefined) return false
    this.#resumed = new ResumedStream(target, () => rules.resumeHeaders?.() ?? {}, this)
    return this.#resumed.after(this.#call)
  }

  /** An answer whose end does not come is not waited for either: it holds a connection. */
  #expired(): void {
    this.#call.abort()
    if (this.#over) return
    this.#fail({ kind: 'timeout', message: 'it did not answer in time' })
    this.#request.rules.abandoned?.(this.#request.wireId)
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#finish()) this.#sink.failed(failure)
  }

  /** False when it was over already. The deadline runs until the body has ended as well. */
  #finish(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#resumed?.stop()
    return true
  }
}

const httpRequest = (request: PostedRequest): HttpRequest => ({
  method: 'POST',
  origin: request.target.origin,
  path: request.target.path,
  headers: request.headers,
  body: request.body,
})

export function statusFailure(status: number): UpstreamFailure | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 401 || status === 403) {
    return { kind: 'refused', message: `it refuses our credential (HTTP status ${status})`, status }
  }
  const kind = status >= 500 || status === 429 ? 'unreachable' : 'invalid'
  return { kind, message: `it answered with HTTP status ${status}`, status }
}
