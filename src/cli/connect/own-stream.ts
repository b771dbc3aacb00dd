import type { Wire } from './carry.ts'
import { exchange, isOutage, type End, type Refusal } from './exchange.ts'
import { refusalNote } from './failures.ts'
import { pause } from './outage.ts'

export interface OwnStreamEvents {
  readonly headers: () => Record<string, string>
  /** The connection was lost, and what was said meanwhile cannot be fetched. */
  missed(): Promise<void>
  /** There is no such session any more. */
  lost(): void
}

/** With a credential that is refused: somebody may give it its rights back. */
const REFUSED_PAUSE_MS = 15_000

/**
 * The stream of a session that belongs to no request (GET), for as long as the session lives: opened again whenever it
 * breaks, from the last event on.
 */
export class OwnStream {
  readonly #wire: Wire
  readonly #events: OwnStreamEvents
  readonly #stop = new AbortController()
  #lastEventId: string | undefined
  #tries = 0
  #hadConnection = false

  constructor(wire: Wire, events: OwnStreamEvents) {
    this.#wire = wire
    this.#events = events
    void this.#run()
  }

  stop(): void {
    this.#stop.abort()
  }

  async #run(): Promise<void> {
    for (;;) {
      const end = await this.#connect()
      if (this.#stop.signal.aborted) return
      let leastMs = 0
      if (end.how === 'refused') {
        if (end.refusal.status === 404 && end.refusal.code !== 'no_endpoint') return this.#events.lost()
        if (end.refusal.status === 405 || end.refusal.status === 400) return
        leastMs = this.#refused(end.refusal)
      } else if (end.how !== 'unsent') {
        this.#lastEventId = end.place.lastEventId ?? this.#lastEventId
        leastMs = Math.min(end.place.retryMs ?? 0, REFUSED_PAUSE_MS)
      }
      if (!(await pause(this.#tries++, this.#stop.signal, leastMs))) return
    }
  }

  #refused(refusal: Refusal): number {
    if (isOutage(refusal)) return 0
    this.#wire.pipe.note(refusalNote(refusal))
    return REFUSED_PAUSE_MS
  }

  #connect(): Promise<End> {
    const { daemon, pipe, outage } = this.#wire
    const from = this.#lastEventId
    const headers = {
      accept: 'text/event-stream',
      ...this.#events.headers(),
      ...(from === undefined ? {} : { 'last-event-id': from }),
    }
    return exchange(
      daemon,
      { method: 'GET', headers, signal: this.#stop.signal },
      {
        head: () => {
          outage.end()
          if (this.#hadConnection && from === undefined) void this.#events.missed()
          this.#hadConnection = true
        },
        message: (_, raw) => {
          this.#tries = 0
          return this.#stop.signal.aborted ? undefined : pipe.write(raw)
        },
        get isDone() {
          return false
        },
      },
    )
  }
}
