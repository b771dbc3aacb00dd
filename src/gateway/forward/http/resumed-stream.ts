import type { Message } from '../../../protocol/message.ts'
import { feedPauseMs } from './feed-pause.ts'
import { httpExchange, type HttpCall, type HttpSink } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'

export interface ResumeOwner {
  message(message: Message): void
  /** It cannot be resumed, or not any more. */
  lost(): void
}

/** Of connections in a row that brought nothing; the deadline of the call bounds the rest. */
const MAX_FRUITLESS = 10
const MAX_RETRY_MS = 60_000

/**
 * The stream of a posted request after its connection has ended without the answer: a server may do that on purpose, to be
 * polled (MCP 2025-11-25). It goes on over a GET from the last event on (`Last-Event-ID`), as late as the server wants.
 */
export class ResumedStream implements HttpSink {
  readonly #target: HttpTarget
  readonly #headers: () => Record<string, string>
  readonly #owner: ResumeOwner
  #call: HttpCall | undefined
  #timer: NodeJS.Timeout | undefined
  #lastEventId: string | undefined
  #retryMs: number | undefined
  #fruitless = 0
  #refused = false
  #stopped = false

  /** @param headers those of a GET in the session, as of then */
  constructor(target: HttpTarget, headers: () => Record<string, string>, owner: ResumeOwner) {
    this.#target = target
    this.#headers = headers
    this.#owner = owner
  }

  /** Goes on after a connection; false when the server has not said where. */
  after(call: HttpCall): boolean {
    this.#lastEventId = call.lastEventId ?? this.#lastEventId
    this.#retryMs = call.retryMs ?? this.#retryMs
    if (this.#lastEventId === undefined || this.#stopped || this.#fruitless >= MAX_FRUITLESS) return false
    const waitMs = Math.min(this.#retryMs ?? feedPauseMs(this.#fruitless), MAX_RETRY_MS)
    this.#fruitless++
    this.#timer = setTimeout(() => this.#connect(), waitMs)
    this.#timer.unref()
    return true
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#call?.abort()
  }

  status(status: number): void {
    this.#refused = status < 200 || status >= 300
  }

  message(message: Message): void {
    this.#fruitless = 0
    if (!this.#refused) this.#owner.message(message)
  }

  end(): void {
    const call = this.#call
    if (this.#stopped) return
    if (this.#refused || call === undefined || !this.after(call)) this.#owner.lost()
  }

  error(): void {
    this.end()
  }

  #connect(): void {
    const headers = this.#headers()
    delete headers['content-type']
    headers['accept'] = 'text/event-stream'
    headers['last-event-id'] = this.#lastEventId ?? ''
    const { streams, origin, path } = this.#target
    this.#call = httpExchange(streams, { method: 'GET', origin, path, headers }, this)
  }
}
