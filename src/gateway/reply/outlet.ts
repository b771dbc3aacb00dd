import type { ServerResponse } from 'node:http'
import type { Segment } from '../../audit/entry.ts'
import { SSE_KEEP_ALIVE, sseMessage } from '../../protocol/sse.ts'

/**
 * The way back to the client, for one exchange. Nothing leaves before the record of the call is durable, and each
 * answer is one JSON body until a notification turns it into an event stream.
 */
export interface Outlet {
  /** Everything after this waits for the segment; undefined: nothing to wait for. */
  after(segment: Segment | undefined): void
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
  /** The client closed the connection before its answer was complete. */
  readonly gone: boolean
  onGone(listener: () => void): void
}

const KEEP_ALIVE_MS = 15_000
/** Up to here a copy is cheaper than a second write. */
const SMALL_BYTES = 16 * 1024

export function createOutlet(response: ServerResponse): Outlet {
  return new HttpOutlet(response)
}

class HttpOutlet implements Outlet {
  readonly #response: ServerResponse
  #pending: (() => void)[] | undefined
  #streaming = false
  #keepAlive: NodeJS.Timeout | undefined
  #goneListener: (() => void) | undefined
  gone = false

  constructor(response: ServerResponse) {
    this.#response = response
    response.on('close', () => {
      clearInterval(this.#keepAlive)
      if (response.writableFinished) return
      this.gone = true
      this.#goneListener?.()
    })
    // A socket that breaks while we write is the client's leaving, not an error of ours.
    response.on('error', () => {})
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

  event(message: Buffer | string): void {
    this.#ordered(() => {
      if (this.gone) return
      if (!this.#streaming) this.#startStream()
      this.#response.write(sseMessage(message))
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
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
    this.#keepAlive = setInterval(() => this.#response.write(SSE_KEEP_ALIVE), KEEP_ALIVE_MS)
    this.#keepAlive.unref()
  }
}
