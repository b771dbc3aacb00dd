/** A timer that can be pushed back. The process may exit while it runs. */
export interface Deadline {
  extend(): void
  clear(): void
}

export function startDeadline(ms: number, expired: () => void): Deadline {
  const timer = setTimeout(expired, ms)
  timer.unref()
  return { extend: () => void timer.refresh(), clear: () => clearTimeout(timer) }
}
