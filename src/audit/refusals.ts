import type { Clock } from '../lib/clock.ts'
import type { Refusals } from './entry.ts'

/** How long refusals are counted before they are written, and how many (source, reason) pairs at once. */
const WINDOW_MS = 10_000
const MAX_KEYS = 1_000
const MAX_SOURCE = 64
const OTHERS = 'others'

export interface RefusalCounter {
  readonly count: (source: string, reason: string) => void
  /** Writes what has been counted, and forgets it. */
  readonly flush: () => void
}

/**
 * Refusals of callers that nobody knows are counted, not chained one by one: whoever floods the door must not fill
 * the disk. One entry for each pair and window; sources beyond the bound are counted together.
 */
export function createRefusalCounter(deps: {
  readonly clock: Clock
  readonly write: (entry: Refusals) => void
}): RefusalCounter {
  const counts = new Map<string, Refusals & { count: number }>()
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const atMs = deps.clock.nowMs()
    for (const counted of counts.values()) deps.write({ ...counted, atMs })
    counts.clear()
  }

  function count(source: string, reason: string): void {
    const shown = source.slice(0, MAX_SOURCE)
    const known = counts.get(`${shown}\0${reason}`)
    if (known !== undefined) return void known.count++
    if (counts.size >= MAX_KEYS && shown !== OTHERS) return count(OTHERS, reason)
    counts.set(`${shown}\0${reason}`, { type: 'refusals', atMs: 0, source: shown, reason, count: 1 })
    timer ??= setTimeout(flush, WINDOW_MS).unref()
  }

  return { count, flush }
}
