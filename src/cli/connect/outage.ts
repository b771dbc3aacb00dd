import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../../lib/clock.ts'

/** How long a client that has just started is kept waiting: it has a bound of its own, 10 s with some. */
export const OPENING_PATIENCE_MS = 5000
/** For any other: a daemon lets running calls end before it goes, which takes up to 30 s. */
export const PATIENCE_MS = 30_000

const PAUSES_MS = [50, 100, 200, 400, 800, 1600, 3000, 5000] as const

/** A daemon that cannot be reached, seen by all requests together: who comes late waits only for the rest of the time. */
export class Outage {
  readonly #clock: Pick<Clock, 'tickMs'>
  #sinceMs: number | undefined

  constructor(clock: Pick<Clock, 'tickMs'>) {
    this.#clock = clock
  }

  /** Nothing has answered. */
  begin(): void {
    this.#sinceMs ??= this.#clock.tickMs()
  }

  /** Something has. */
  end(): void {
    this.#sinceMs = undefined
  }

  /** Whether it is worth another try for somebody who waits so long. */
  mayPassWithin(patienceMs: number): boolean {
    return this.#sinceMs === undefined || this.#clock.tickMs() - this.#sinceMs < patienceMs
  }
}

/**
 * A pause before another try, the longer the more there have been.
 * @returns false: it was cut short
 */
export async function pause(tries: number, signal: AbortSignal, leastMs = 0): Promise<boolean> {
  const ms = Math.max(leastMs, PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)] ?? 0)
  try {
    await sleep(ms, undefined, { signal })
    return true
  } catch {
    return false
  }
}
