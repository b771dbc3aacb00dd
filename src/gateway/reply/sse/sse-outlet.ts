import type { Segment } from '../../../audit/entry.ts'
import type { Outlet } from '../outlet.ts'
import type { SseConnection } from './sse-connection.ts'

/** HTTP+SSE: the POST was answered with 202, and what there is to say goes to the stream of the connection. */
export function createSseOutlet(connection: SseConnection): Outlet {
  return new SseOutlet(connection)
}

class SseOutlet implements Outlet {
  readonly #connection: SseConnection
  #recorded: Promise<unknown> | undefined
  #forgetGone: (() => void) | undefined

  constructor(connection: SseConnection) {
    this.#connection = connection
  }

  get streaming(): boolean {
    return true
  }

  get gone(): boolean {
    return this.#connection.gone
  }

  onGone(listener: () => void): void {
    this.#forgetGone = this.#connection.onGone(listener)
  }

  after(segment: Segment | undefined): void {
    if (segment !== undefined && !segment.committed) this.#recorded ??= segment.durable
  }

  /** The stream is the session: when it breaks, there is nothing to come back to. */
  resumable(): void {}

  /** It is kept alive anyway. */
  mayTakeLong(): void {}

  event(message: Buffer | string): boolean {
    if (this.#recorded === undefined) return this.#connection.send(message)
    this.#ordered(() => void this.#connection.send(message))
    return true
  }

  onDrain(listener: () => void): void {
    this.#ordered(() => this.#connection.onDrain(listener))
  }

  answer(_status: number, parts: readonly (Buffer | string)[]): void {
    this.#ordered(() => void this.#connection.send(parts.join('')))
    this.#forgetGone?.()
  }

  empty(): void {
    this.#forgetGone?.()
  }

  cancelled(): void {
    this.#forgetGone?.()
  }

  #ordered(write: () => void): void {
    if (this.#recorded === undefined) write()
    else void this.#recorded.then(write)
  }
}
