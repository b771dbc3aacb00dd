import { sseEvent, sseMark } from '../../../protocol/sse.ts'
import type { ConnectionOwner, EventConnection, MessageStream } from './event-stream.ts'
import type { EventIds } from './event-id.ts'

/** How the events of a stream are written, by revision: ids since 2025-03-26, an empty first one since 2025-11-25. */
export type EventStyle = 'plain' | 'ids' | 'primed'

/** One event, as it goes on the wire. */
export interface KeptEvent {
  readonly log: EventLog
  readonly n: number
  readonly text: string
  readonly atMs: number
}

/** What a log tells the one who keeps it. */
export interface LogKeeper {
  keep(log: EventLog, n: number, text: string): KeptEvent
  released(event: KeptEvent): void
  /** Nobody is connected, or nothing more will come: it is not to be kept for ever. */
  leaving(log: EventLog, delivered: boolean): void
  /** Somebody is connected again. */
  staying(log: EventLog): void
}

/** How long a client is told to wait before it connects again: short, but long enough for a daemon to be restarted. */
const RETRY_MS = 2000

/** Of one stream; the newest is kept whatever its size. */
const MAX_EVENTS = 1000
const MAX_CHARS = 4 * 1024 * 1024

/**
 * What one event stream of a legacy session says, and has said: it outlives the connections that carry it, one at a time,
 * so that a client that was cut off goes on where it was.
 */
export class EventLog implements MessageStream, ConnectionOwner {
  readonly #keeper: LogKeeper
  readonly #ids: EventIds
  readonly #style: EventStyle
  readonly #events: KeptEvent[] = []
  #connection: EventConnection | undefined
  #last = 0
  /** The newest event that was written to a connection. */
  #written = 0
  #chars = 0
  #ended = false
  #lost = false
  #full = false
  #listener: (() => void) | undefined

  constructor(keeper: LogKeeper, ids: EventIds, style: EventStyle) {
    this.#keeper = keeper
    this.#ids = ids
    this.#style = style
  }

  get connected(): boolean {
    return this.#connection !== undefined
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Something that nobody has seen is gone. Asking clears it. */
  takeLost(): boolean {
    const lost = this.#lost
    this.#lost = false
    return lost
  }

  send(message: Buffer | string): boolean {
    if (this.#ended) return true
    const n = ++this.#last
    const text = this.#text(message, n)
    this.#add(n, text)
    if (this.#connection === undefined) return true
    this.#written = n
    if (!this.#connection.write(text)) this.#full = true
    return !this.#full
  }

  /** The last message, and the end of the connection; without a message the stream ends as one that was cancelled. */
  end(message?: Buffer | string): void {
    if (this.#ended) return
    this.#ended = true
    const text = message === undefined ? this.#endMark() : this.#text(message, 'end')
    if (text !== '') this.#add(++this.#last, text)
    if (this.#connection === undefined) return this.#keeper.leaving(this, false)
    this.#written = this.#last
    this.#connection.end(text)
  }

  /**
   * Goes on over this connection; one that was there before is ended, and its client told that nothing follows on it.
   * @param after number of the last event that the client has; undefined: whatever was not written to anybody
   * @returns whether all that it has missed was still there
   */
  attach(connection: EventConnection, after: number | undefined): boolean {
    const from = after === undefined ? this.#written : Math.min(after, this.#last)
    this.#leave()?.end(this.#endMark())
    this.#connection = connection
    connection.owner = this
    this.#keeper.staying(this)
    if (this.#style === 'primed') connection.write(sseMark(this.#ids.at(from), RETRY_MS))
    const missed = this.#events.filter((event) => event.n > from)
    for (const event of missed) if (!connection.write(event.text)) this.#full = true
    this.#written = this.#last
    if (this.#ended) connection.end()
    return missed.length === this.#last - from
  }

  /** Ends the connection; whoever was on it may come back. */
  hangUp(): void {
    this.#connection?.end()
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

  closed(whole: boolean): void {
    this.#leave()
    this.#keeper.leaving(this, this.#ended && whole)
  }

  /** Forgets the oldest event. */
  shift(): void {
    const event = this.#events.shift()
    if (event === undefined) return
    this.#chars -= event.text.length
    if (event.n > this.#written) this.#lost = true
    this.#keeper.released(event)
  }

  /** Forgets all of them. */
  clear(): void {
    while (this.#events.length > 0) this.shift()
  }

  #leave(): EventConnection | undefined {
    const before = this.#connection
    this.#connection = undefined
    if (before !== undefined) before.owner = undefined
    // Nobody is slow any more: what comes waits here, bounded.
    this.drained()
    return before
  }

  #add(n: number, text: string): void {
    if (this.#style === 'plain' && this.#connection !== undefined) return
    this.#events.push(this.#keeper.keep(this, n, text))
    this.#chars += text.length
    while (this.#events.length > MAX_EVENTS || (this.#chars > MAX_CHARS && this.#events.length > 1))
      this.shift()
  }

  #text(message: Buffer | string, n: number | 'end'): string {
    return sseEvent(message, this.#style === 'plain' ? undefined : this.#ids.at(n))
  }

  #endMark(): string {
    return this.#style === 'primed' ? sseMark(this.#ids.at('end'), undefined) : ''
  }
}
