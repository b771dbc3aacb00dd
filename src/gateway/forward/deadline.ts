/** A timer that can be pushed back, and held while somebody else is waited for. The process may exit while it runs. */
export interface Deadline {
  extend(): void
  /** Does not expire before as many `release`. */
  hold(): void
  release(): void
  clear(): void
}

export const startDeadline = (ms: number, expired: () => void): Deadline => new TimerDeadline(ms, expired)

class TimerDeadline implements Deadline {
  readonly #timer: NodeJS.Timeout
  #holds = 0
  #over = false

  constructor(ms: number, expired: () => void) {
    this.#timer = setTimeout(() => {
      if (this.#holds > 0) this.#timer.refresh()
      else expired()
    }, ms)
    this.#timer.unref()
  }

  extend(): void {
    // A timer that was cleared would be started again.
    if (!this.#over) this.#timer.refresh()
  }

  hold(): void {
    this.#holds++
  }

  release(): void {
    this.#holds--
    this.extend()
  }

  clear(): void {
    this.#over = true
    clearTimeout(this.#timer)
  }
}
