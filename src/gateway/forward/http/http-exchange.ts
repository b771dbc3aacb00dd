import type { Dispatcher } from 'undici'
import { readServerBatch } from '../../../protocol/batch.ts'
import { readMessage, type Message } from '../../../protocol/message.ts'
import { createSseParser, type SseEvent, type SseParser } from '../../../protocol/sse.ts'
import { GrantRefused } from '../dial/grant-refused.ts'
import type { UpstreamFailure } from '../upstream.ts'

/** One POST or GET to an MCP server over Streamable HTTP, JSON and event-stream answers alike. */
export interface HttpRequest {
  readonly method: 'POST' | 'GET' | 'DELETE'
  readonly origin: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body?: Buffer | string | undefined
  /** The body of the answer says nothing: it is read, since the connection is used again, and dropped. */
  readonly statusOnly?: boolean
}

/** What comes back, in order: `status` once, `message` any number of times, then exactly one of `end` and `error`. */
export interface HttpSink {
  status(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void
  message(message: Message): void
  /** Where there is one, it is told every event of a stream in place of `message`. */
  event?(event: SseEvent): void
  /** The body ended as it should. */
  end(): void
  error(failure: UpstreamFailure): void
}

export interface HttpCall {
  abort(): void
  /** Reads nothing more of the answer until `resume`; the server feels it, since its connection fills up. */
  pause(): void
  resume(): void
  /** Of a stream: where it can be resumed, and how long to wait before, as far as the server has said so. */
  readonly lastEventId: string | undefined
  readonly retryMs: number | undefined
}

/** Bound of one answer, or of one event of a stream. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024

const OVERSIZE: UpstreamFailure = { kind: 'invalid', message: 'its answer is larger than 64 MiB' }
const NOT_MCP: UpstreamFailure = { kind: 'invalid', message: 'its answer is not an MCP message' }

export function httpExchange(dispatcher: Dispatcher, request: HttpRequest, sink: HttpSink): HttpCall {
  const handler = new ExchangeHandler(sink, request.statusOnly === true)
  try {
    dispatcher.dispatch(
      {
        origin: request.origin,
        path: request.path,
        method: request.method,
        headers: request.headers,
        body: request.body ?? null,
        // Deadlines belong to the call (they move with progress), not to the socket.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      handler,
    )
  } catch (thrown) {
    handler.onResponseError(undefined, thrown as Error)
  }
  return handler
}

class ExchangeHandler implements Dispatcher.DispatchHandler, HttpCall {
  readonly #sink: HttpSink
  #controller: Dispatcher.DispatchController | undefined
  #over = false
  #aborted = false
  #kind: 'json' | 'stream' | 'other' = 'other'
  /** The status says that it was taken: a body of another type is then no answer at all. */
  #good = false
  #chunks: Buffer[] = []
  #size = 0
  #sse: SseParser | undefined
  readonly #statusOnly: boolean

  constructor(sink: HttpSink, statusOnly: boolean) {
    this.#sink = sink
    this.#statusOnly = statusOnly
  }

  get lastEventId(): string | undefined {
    return this.#sse?.lastId
  }

  get retryMs(): number | undefined {
    return this.#sse?.retryMs
  }

  abort(): void {
    this.#aborted = true
    this.#over = true
    this.#controller?.abort(new Error('the call is over'))
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#aborted) controller.abort(new Error('the call is over'))
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#over || statusCode < 200) return
    this.#good = statusCode < 300
    const type = String(headers['content-type'] ?? '')
    if (this.#statusOnly) this.#kind = 'other'
    else if (type.startsWith('application/json')) this.#kind = 'json'
    else if (type.startsWith('text/event-stream')) this.#kind = 'stream'
    if (this.#kind === 'stream') this.#sse = createSseParser(MAX_MESSAGE_BYTES, (event) => this.#event(event))
    this.#sink.status(statusCode, headers)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return
    if (this.#sse !== undefined) {
      if (!this.#sse.feed(chunk)) this.#fail(OVERSIZE)
      return
    }
    this.#size += chunk.length
    if (this.#size > MAX_MESSAGE_BYTES) this.#fail(OVERSIZE)
    else if (this.#kind === 'json') this.#chunks.push(chunk)
    else if (this.#good && !this.#statusOnly) this.#fail(NOT_MCP)
  }

  onResponseEnd(): void {
    if (this.#over) return
    if (this.#kind === 'json' && this.#size > 0) {
      const only = this.#chunks[0]
      this.#take(this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks))
    }
    if (this.#over) return
    this.#over = true
    this.#sink.end()
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#over) return
    this.#over = true
    this.#sink.error(
      error instanceof GrantRefused ? error.failure : { kind: 'unreachable', message: reasonOf(error) },
    )
  }

  #event(event: SseEvent): void {
    if (this.#sink.event === undefined) this.#take(event.data)
    else if (!this.#over) this.#sink.event(event)
  }

  /** An event with empty data is the priming event of 2025-11-25: it carries only an id. */
  #take(bytes: Buffer): void {
    if (this.#over || bytes.length === 0) return
    const message = readMessage(bytes, 'upstream')
    if (message.ok) this.#sink.message(message.value)
    else if (message.error === 'batch') this.#takeBatch(bytes)
    else this.#fail(NOT_MCP)
  }

  #takeBatch(bytes: Buffer): void {
    const messages = readServerBatch(bytes)
    for (const message of messages) if (!this.#over) this.#sink.message(message)
    if (messages.length === 0) this.#fail(NOT_MCP)
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#over) return
    this.#over = true
    this.#sink.error(failure)
    this.#controller?.abort(new Error(failure.message))
  }
}

/** Only what the operating system says: error texts of libraries may hold addresses. */
function reasonOf(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (code === 'ECONNREFUSED') return 'nothing listens at its address'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its host name cannot be resolved'
  if (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET' || code === 'EPIPE')
    return 'it closed the connection before it had answered'
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'it does not accept connections'
  if (code.startsWith('ERR_TLS') || code.includes('CERT')) return 'its TLS certificate is not accepted'
  return 'the connection to it failed'
}
