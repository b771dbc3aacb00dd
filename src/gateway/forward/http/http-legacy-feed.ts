import { feedPauseMs } from './feed-pause.ts'
import { httpExchange, type HttpCall } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'
import type { Message } from '../../../protocol/message.ts'

export interface LegacyFeedOptions {
  readonly target: HttpTarget
  readonly tickMs: () => number
  /** The headers of the session, as of now. */
  headers(): Record<string, string>
  message(message: Message): void
  /** Whether the server has such a stream at all; told again when that changes. */
  offered(offered: boolean): void
  /** The stream is there again after a break in which something may have been missed. */
  reopened(): void
  /** The server has forgotten the session that the stream belongs to. */
  sessionLost(): void
}

/** A stream that has held for this long was a good one. */
const STEADY_MS = 10_000
/** A server that has no stream may be exchanged for one that has. */
const REFUSED_MS = 15 * 60_000
/** A server says how soon to come back; it could say never. */
const MAX_RETRY_MS = 5 * 60_000

/**
 * The GET stream of a legacy session: what the server says without being asked. A server that answers 405 has none. After
 * a break it is resumed where it was left (`Last-Event-ID`), as late as the server wants (`retry`).
 */
export class LegacyFeed {
  readonly #options: LegacyFeedOptions
  #call: HttpCall | undefined
  #timer: NodeJS.Timeout | undefined
  #wanted = false
  #tries = 0
  #openedMs: number | undefined
  /** It was there at least once in this session. */
  #everOpened = false
  /** Where to resume; not across sessions. */
  #lastEventId: string | undefined
  /** Something may have been missed since the stream was last there. */
  #gap = false

  constructor(options: LegacyFeedOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#wanted) return
    this.#wanted = true
    this.#connect()
  }

  /** Until the next `start`, which may be in another session. */
  stop(): void {
    this.#wanted = false
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#call?.abort()
    this.#call = undefined
    this.#lastEventId = undefined
    this.#everOpened = false
  }

  #connect(): void {
    const { target } = this.#options
    const headers = this.#options.headers()
    delete headers['content-type']
    headers['accept'] = 'text/event-stream'
    if (this.#lastEventId !== undefined) headers['last-event-id'] = this.#lastEventId
    const { streams, origin, path } = target
    this.#openedMs = undefined
    this.#call = httpExchange(
      streams,
      { method: 'GET', origin, path, headers },
      {
        status: (status) => this.#status(status),
        message: (message) => this.#options.message(message),
        end: () => this.#ended(true),
        error: () => this.#ended(false),
      },
    )
  }

  #status(status: number): void {
    if (status >= 200 && status < 300) {
      this.#openedMs = this.#options.tickMs()
      this.#everOpened = true
      this.#options.offered(true)
      if (this.#gap) this.#options.reopened()
      this.#gap = false
      return
    }
    // Nothing is read of a refusal, and its end not waited for.
    this.#call?.abort()
    this.#call = undefined
    // Some servers have no such address for a GET at all: in a session that is new, none was lost.
    if (status === 404 && this.#everOpened) {
      this.stop()
      this.#options.sessionLost()
    } else if (status === 404 || status === 405 || status === 501) {
      this.#again(REFUSED_MS)
      this.#options.offered(false)
    } else {
      // An event that the server no longer has.
      if (status === 400) this.#lastEventId = undefined
      this.#ended(false)
    }
  }

  /** @param asItShould the server closed a stream of its own accord, as one does that wants to be polled */
  #ended(asItShould: boolean): void {
    const call = this.#call
    this.#call = undefined
    if (!this.#wanted || this.#timer !== undefined) return
    const { lastEventId, retryMs } = call ?? {}
    this.#lastEventId = lastEventId ?? this.#lastEventId
    const heldMs = this.#openedMs === undefined ? 0 : this.#options.tickMs() - this.#openedMs
    if (heldMs > STEADY_MS) this.#tries = 0
    // What came in between waits for who resumes; a stream that broke may have lost what it was about to say.
    const resumes = asItShould && this.#openedMs !== undefined && this.#lastEventId !== undefined
    if (!resumes) this.#gap = true
    if (resumes && retryMs !== undefined) this.#again(Math.min(retryMs, MAX_RETRY_MS))
    else this.#again(Math.max(feedPauseMs(this.#tries++), Math.min(retryMs ?? 0, MAX_RETRY_MS)))
  }

  #again(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#wanted) this.#connect()
    }, ms)
    this.#timer.unref()
  }
}
