import type { ServerResponse } from 'node:http'
import type { Segment } from '../../audit/entry.ts'
import type { Session } from '../classify/session.ts'
import type { EventLogs } from './events/event-logs.ts'
import {
  cutWhenStalled,
  KEEP_ALIVE_MS,
  openEventConnection,
  PlainStream,
  type MessageStream,
} from './events/event-stream.ts'

/**
 * The way back to the client, for one exchange. Nothing leaves before the record of the call is durable, and each
 * answer is one JSON body until a notification turns it into an event stream.
 */
export interface Outlet {
  /** Everything after this waits for the segment; undefined: nothing to wait for. */
  after(segment: Segment | undefined): void
  /**
   * The request is one of a legacy session: should its answer become a stream, the stream outlives its connection.
   * @param request JSON text of the request's id
   */
  resumable(logs: EventLogs, session: Session, request: string): void
  /** The answer may take long: after a while of silence the stream is begun, so that nobody on the way gives up. */
  mayTakeLong(): void
  /**
   * A notification or a request of ours on the way to the answer: it leaves at once.
   * @returns false: the client does not keep up; hold back until `onDrain` says that it has
   */
  event(message: Buffer | string): boolean
  /** Calls back once the client has caught up, or is gone; at once when it is not behind. */
  onDrain(listener: () => void): void
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
  /** The answer has become an event stream: what comes is an event of its own. */
  readonly streaming: boolean
  /** The client closed the connection before its answer was complete, and has no way to come back for it. */
  readonly gone: boolean
  onGone(listener: () => void): void
}

/** Up to here a copy is cheaper than a second write. */
const SMALL_BYTES = 16 * 1024

/** What may wait for a record to be durable before the sender is to hold back. */
const MAX_WAITING_BYTES = 1024 * 1024

/** A call that is not answered by then is one whose client had better be able to come back for the answer. */
const RESUMABLE_AFTER_MS = 2000

/** @param keepAliveMs how long a connection may be silent */
export function createOutlet(response: ServerResponse, keepAliveMs = KEEP_ALIVE_MS): Outlet {
  return new HttpOutlet(response, keepAliveMs)
}

class HttpOutlet implements Outlet {
  readonly #response: ServerResponse
  readonly #keepAliveMs: number
  #pending: (() => void)[] | undefined
  #waitingBytes = 0
  #stream: MessageStream | undefined
  #begin: NodeJS.Timeout | undefined
  #goneListener: (() => void) | undefined
  #logs: EventLogs | undefined
  #session: Session | undefined
  #request = ''
  gone = false

  constructor(response: ServerResponse, keepAliveMs: number) {
    this.#response = response
    this.#keepAliveMs = keepAliveMs
    response.on('close', () => {
      clearTimeout(this.#begin)
      if (response.writableFinished || this.#outlives()) return
      this.gone = true
      this.#goneListener?.()
    })
    // A socket that breaks while we write is the client's leaving, not an error of ours.
    response.on('error', () => {})
  }

  get streaming(): boolean {
    return this.#stream !== undefined
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
      this.#waitingBytes = 0
      for (const write of waiting) write()
    })
  }

  resumable(logs: EventLogs, session: Session, request: string): void {
    this.#logs = logs
    this.#session = session
    this.#request = request
  }

  mayTakeLong(): void {
    if (this.#stream !== undefined || this.gone) return
    const begin = (): void => {
      if (!this.gone && !this.#response.headersSent) this.#streamed()
    }
    const afterMs =
      this.#logs === undefined ? this.#keepAliveMs : Math.min(this.#keepAliveMs, RESUMABLE_AFTER_MS)
    this.#begin ??= setTimeout(() => this.#ordered(begin), afterMs).unref()
  }

  event(message: Buffer | string): boolean {
    if (this.#pending === undefined) return this.gone || this.#streamed().send(message)
    this.#waitingBytes += message.length
    this.#pending.push(() => {
      if (!this.gone) this.#streamed().send(message)
    })
    return this.#waitingBytes < MAX_WAITING_BYTES
  }

  onDrain(listener: () => void): void {
    if (this.#pending !== undefined) this.#pending.push(() => this.onDrain(listener))
    else if (this.#stream === undefined || this.gone) listener()
    else this.#stream.onDrain(listener)
  }

  answer(
    status: number,
    parts: readonly (Buffer | string)[],
    headers?: Readonly<Record<string, string>>,
  ): void {
    this.#ordered(() => {
      if (this.gone) return
      if (this.#stream !== undefined) this.#stream.end(parts.join(''))
      else if (!this.#response.writableEnded) this.#body(status, parts, headers)
    })
  }

  empty(status: number): void {
    this.#ordered(() => {
      if (this.gone || this.#stream !== undefined || this.#response.writableEnded) return
      this.#response.writeHead(status, { 'content-length': '0' }).end()
    })
  }

  cancelled(): void {
    this.#ordered(() => {
      if (!this.gone && (this.#stream !== undefined || !this.#response.writableEnded)) this.#streamed().end()
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
    if (parts.length === 1 && only !== undefined && length <= SMALL_BYTES) {
      // As a string of bytes it leaves in one write together with the head; a Buffer takes a second one.
      if (typeof only === 'string') response.end(only)
      else response.end(only.toString('latin1'), 'latin1')
      return
    }
    response.cork()
    for (const part of parts) response.write(part)
    response.end()
    response.uncork()
    if (response.writableLength > 0) cutWhenStalled(response)
  }

  #ordered(write: () => void): void {
    if (this.#pending === undefined) write()
    else this.#pending.push(write)
  }

  /** A stream that is kept goes on without its connection. */
  #outlives(): boolean {
    return this.#logs !== undefined && this.#stream !== undefined
  }

  #streamed(): MessageStream {
    if (this.#stream !== undefined) return this.#stream
    clearTimeout(this.#begin)
    const connection = openEventConnection(this.#response, this.#keepAliveMs)
    if (this.#logs === undefined || this.#session === undefined)
      return (this.#stream = new PlainStream(connection))
    const log = this.#logs.open(this.#session, this.#request)
    log.attach(connection, undefined)
    return (this.#stream = log)
  }
}
