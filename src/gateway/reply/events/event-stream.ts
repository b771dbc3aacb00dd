import type { ServerResponse } from 'node:http'
import { SSE_KEEP_ALIVE, sseMessage } from '../../../protocol/sse.ts'

/** How long a stream may be silent before a comment is sent, so that nobody on the way closes it. */
export const KEEP_ALIVE_MS = 15_000

/** A client that has taken nothing of what waits for it for this long is cut off. */
const STALL_MS = 30_000

/** What a client that does not read may leave unread before its connection is cut: for senders that cannot wait. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024

/** One connection that carries an event stream to a client, here or at another process. */
export interface EventConnection {
  /** Who writes to it, one at a time. */
  owner: ConnectionOwner | undefined
  /** Leaves at once. False: the client does not keep up; `owner.drained` tells when it has caught up. */
  write(text: string): boolean
  end(text?: string): void
}

/** Whom a connection tells what becomes of it. */
export interface ConnectionOwner {
  drained(): void
  /** @param whole everything that was written has left, and the end with it */
  closed(whole: boolean): void
}

/** Messages on their way to a client, whatever carries them. */
export interface MessageStream {
  /** False: hold back until `onDrain` says so; what is sent all the same waits, bounded. */
  send(message: Buffer | string): boolean
  end(message?: Buffer | string): void
  /** Calls back once the client has caught up or is gone; at once when it is not behind. */
  onDrain(listener: () => void): void
}

/** Sends the head of an event stream at once and keeps it alive; to be cleared when the response closes. */
function beginEventStream(response: ServerResponse, keepAliveMs: number): NodeJS.Timeout {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  })
  response.flushHeaders()
  return setInterval(() => response.write(SSE_KEEP_ALIVE), keepAliveMs).unref()
}

/** Takes the response over: its head leaves at once. */
export function openEventConnection(response: ServerResponse, keepAliveMs = KEEP_ALIVE_MS): EventConnection {
  return new HttpConnection(response, keepAliveMs)
}

class HttpConnection implements EventConnection {
  readonly #response: ServerResponse
  owner: ConnectionOwner | undefined
  #full = false

  constructor(response: ServerResponse, keepAliveMs: number) {
    this.#response = response
    const keepAlive = beginEventStream(response, keepAliveMs)
    response.once('close', () => {
      clearInterval(keepAlive)
      this.owner?.closed(response.writableFinished)
    })
    // A socket that breaks while we write is the client's leaving, not an error of ours.
    response.on('error', () => {})
  }

  write(text: string): boolean {
    const response = this.#response
    if (response.writableEnded || response.destroyed) return true
    if (response.writableLength > MAX_UNREAD_BYTES) {
      response.destroy()
      return true
    }
    if (response.write(text)) return true
    if (!this.#full) this.#fill()
    return false
  }

  end(text?: string): void {
    const response = this.#response
    if (response.writableEnded || response.destroyed) return
    if (text === undefined) response.end()
    else response.end(text)
    if (response.writableLength > 0) cutWhenStalled(response)
  }

  #fill(): void {
    this.#full = true
    cutWhenStalled(this.#response)
    this.#response.once('drain', () => {
      this.#full = false
      this.#response.setTimeout(0)
      this.owner?.drained()
    })
  }
}

/**
 * From here on the connection is cut when the client takes nothing for a while; one that reads slowly is left alone. Node
 * watches the socket: bytes that the kernel takes start the time anew, and a connection that runs out is destroyed.
 */
export const cutWhenStalled = (response: ServerResponse, stallMs = STALL_MS): void =>
  void response.setTimeout(stallMs)

/** The stream of one call whose client takes a lost connection for the end of it (MCP 2026-07-28): nothing is kept. */
export class PlainStream implements MessageStream, ConnectionOwner {
  readonly #connection: EventConnection
  #full = false
  #listener: (() => void) | undefined

  constructor(connection: EventConnection) {
    this.#connection = connection
    connection.owner = this
  }

  send(message: Buffer | string): boolean {
    if (!this.#connection.write(sseMessage(message))) this.#full = true
    return !this.#full
  }

  end(message?: Buffer | string): void {
    this.#connection.end(message === undefined ? undefined : sseMessage(message))
  }

  onDrain(listener: () => void): void {
    if (this.#full) this.#listener = listener
    else listener()
  }

  drained(): void {
    this.#full = false
    const listener = this.#listener
    this.#listener = undefined
    listener?.()
  }

  closed(): void {
    this.drained()
  }
}
