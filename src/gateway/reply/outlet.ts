import type { ServerResponse } from 'node:http'
import type { Segment } from '../../audit/entry.ts'
import { sseMessage } from '../../protocol/sse.ts'
import { beginEventStream, KEEP_ALIVE_MS } from './event-stream.ts'

/**
 * The way back to the client, for one exchange. Nothing leaves before the record of the call is durable, and each
 * answer is one JSON body until a notification turns it into an event stream.
 */
export interface Outlet {
  /** Everything after this waits for the segment; undefined: nothing to wait for. */
  after(segment: Segment | undefined): void
  /** The answer may take long: after a while of silence the stream is begun, so that nobody on the way gives up. */
  mayTakeLong(): void
  /** A notification on the way to the answer. */
  event(message: Buffer | string): void
  /** The answer, whole. `parts` are written one after the other. */
  answer(
    status: number,
    parts: readonly (Buffer | string)[],
    headers?: Readonly<Record<string, string>>,
  ): void
  /** No body: for what needs no answer. */
  empty(status: number): void
  /** The call was cancelled: the end of its stream, without an answer. Clients take no other type for a request. */
  cancelled(): void
  /** The answer has become an event stream. */
  readonly streaming: boolean
  /** The client closed the connection before its answer was complete. */
  readonly gone: boolean
  onGone(listener: () => void): void
}

/** Up to here a copy is cheaper than a second write. */
const SMALL_BYTES = 16 * 1024

/** What a client that does not read may leave unread before its connection is cut. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024

/** @param keepAliveMs how long a connection may be silent */
export function createOutlet(response: ServerResponse, keepAliveMs = KEEP_ALIVE_MS): Outlet {
  return new HttpOutlet(response, keepAliveMs)
}

class HttpOutlet implements Outlet {
  readonly #response: ServerResponse
  readonly #keepAliveMs: number
  #pending: (() => void)[] | undefined
  #streaming = false
  #keepAlive: NodeJS.Timeout | undefined
  #goneListener: (() => void) | undefined
  gone = false

  constructor(response: ServerResponse, keepAliveMs: number) {
    this.#response = response
    this.#keepAliveMs = keepAliveMs
    response.on('close', () => {
      clearInterval(this.#keepAlive)
      if (response.writableFinished) return
      this.gone = true
      this.#goneListener?.()
    })
    // A socket that breaks while we write is the client's leaving, not an error of ours.
    response.on('error', () => {})
  }

  get streaming(): boolean {
    return this.#streaming
  }

  onGone(listener: () => void): void {
    if (this.gone) listener()
    else this.#goneListener = listener
  }

  after(segment: Segment | undefined): void {
    if (segment === undefined || segment.committed || this.#pending !== undefined) return
    const waiting: (() => void)[] = []
    this.#pending = waiting
    // Durable or not: once a call has been forwarded its answer is delivered, and the gap is recorded.
    void segment.durable.then(() => {
      this.#pending = undefined
      for (const write of waiting) write()
    })
  }

  mayTakeLong(): void {
    if (this.#streaming || this.gone) return
    const begin = (): void => {
      if (!this.gone && !this.#streaming && !this.#response.headersSent) this.#startStream()
    }
    this.#keepAlive ??= setTimeout(() => this.#ordered(begin), this.#keepAliveMs).unref()
  }

  event(message: Buffer | string): void {
    this.#ordered(() => {
      if (this.gone) return
      if (!this.#streaming) this.#startStream()
      if (this.#response.writableLength > MAX_UNREAD_BYTES) this.#response.destroy()
      else this.#response.write(sseMessage(message))
    })
  }

  answer(
    status: number,
    parts: readonly (Buffer | string)[],
    headers?: Readonly<Record<string, string>>,
  ): void {
    this.#ordered(() => {
      if (this.gone || this.#response.writableEnded) return
      if (this.#streaming) {
        this.#response.end(sseMessage(parts.join('')))
        return
      }
      this.#body(status, parts, headers)
    })
  }

  empty(status: number): void {
    this.#ordered(() => {
      if (this.gone || this.#response.writableEnded) return
      this.#response.writeHead(status, { 'content-length': '0' }).end()
    })
  }

  cancelled(): void {
    this.#ordered(() => {
      if (this.gone || this.#response.writableEnded) return
      if (!this.#streaming) this.#startStream()
      this.#response.end()
    })
  }

  #body(
    status: number,
    parts: readonly (Buffer | string)[],
    headers: Readonly<Record<string, string>> | undefined,
  ): void {
    let length = 0
    for (const part of parts) length += typeof part === 'string' ? Buffer.byteLength(part) : part.length
    const response = this.#response
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': length, ...headers })
    const [only] = parts
    if (parts.length === 1 && only !== undefined) {
      // As a string of bytes it leaves in one write together with the head; a Buffer takes a second one.
      if (typeof only === 'string' || length > SMALL_BYTES) response.end(only)
      else response.end(only.toString('latin1'), 'latin1')
      return
    }
    response.cork()
    for (const part of parts) response.write(part)
    response.end()
    response.uncork()
  }

  #ordered(write: () => void): void {
    if (this.#pending === undefined) write()
    else this.#pending.push(write)
  }

  #startStream(): void {
    this.#streaming = true
    clearTimeout(this.#keepAlive)
    this.#keepAlive = beginEventStream(this.#response, this.#keepAliveMs)
  }
}
