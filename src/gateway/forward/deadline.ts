/** A timer that can be pushed back. The process may exit while it runs. */
export interface Deadline {
  extend(): void
  clear(): void
}

export const startDeadline = (ms: number, expired: () => void): Deadline => new TimerDeadline(ms, expired)

class TimerDeadline implements Deadline {
  readonly #timer: NodeJS.Timeout

  constructor(ms: number, expired: () => void) {
    this.#timer = setTimeout(expired, ms)
    this.#timer.unref()
  }

  extend(): void {
    this.#timer.refresh()
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}
