/** Time as a dependency, so that tests can move it. Both in milliseconds. */
export interface Clock {
  /** Wall clock: for records and expiry dates. May jump. */
  readonly nowMs: () => number
  /** Monotonic: for durations, deadlines and caches. Never goes back. */
  readonly tickMs: () => number
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  tickMs: () => performance.now(),
}
