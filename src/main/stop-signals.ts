export interface StopSignals {
  /** From now on the first signal stops gracefully; before this call it ends the process at once. */
  stopWith(stop: () => Promise<void>): void
  dispose(): void
}

/**
 * A terminal sends Ctrl-C to the whole group and the launcher passes it on, so that one press may arrive twice:
 * signals this close together are one.
 */
const SAME_PRESS_MS = 200

/** SIGINT and SIGTERM: the first stops gracefully, the second ends the process at once. */
export function stopOnSignals(): StopSignals {
  let stop: (() => Promise<void>) | undefined
  let firstAt: number | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    if (firstAt !== undefined && now - firstAt < SAME_PRESS_MS) return
    const status = signal === 'SIGINT' ? 130 : 143
    if (stop === undefined || firstAt !== undefined) process.exit(status)
    firstAt = now
    stop().catch(() => process.exit(1))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    stopWith(graceful) {
      stop = graceful
    },
    dispose() {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}
