import { setImmediate } from 'node:timers/promises'

/** How long the loop may be held at a stretch: calls of the gateway wait behind it. */
const BUDGET_MS = 8

/** For loops over what a user sent or asked for: lets others run when they have gone on for too long. */
export function createPause(): () => Promise<void> | undefined {
  let sinceMs = performance.now()
  return () => {
    if (performance.now() - sinceMs < BUDGET_MS) return undefined
    return setImmediate().then(() => {
      sinceMs = performance.now()
    })
  }
}
