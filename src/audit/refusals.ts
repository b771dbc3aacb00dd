import type { Clock } from '../lib/clock.ts'
import type { RefusedAttempt, Refusals } from './entry.ts'

/** How long refusals are counted before they are written, and how many of them are told apart meanwhile. */
const WINDOW_MS = 10_000
const MAX_KEYS = 1_000
/** Accounts that are told apart for one source: whoever tries thousands of them must not hide the other sources. */
const MAX_ACCOUNTS = 20
const MAX_TEXT = 64
const MAX_OTHERS = 100
const OTHERS = 'others'

export interface RefusalCounter {
  readonly count: (source: string, reason: string, attempt?: RefusedAttempt) => void
  /** Whether anything was counted since. */
  readonly anything: () => boolean
  /** Writes what has been counted, and forgets it. */
  readonly flush: () => void
}

/**
 * Refusals of callers that nobody knows are counted, not chained one by one: whoever floods the door must not fill
 * the disk. One entry for each source, reason, event and account in a window; what is beyond the bounds is counted
 * together.
 */
export function createRefusalCounter(deps: {
  readonly clock: Clock
  readonly write: (entry: Refusals) => void
}): RefusalCounter {
  const counts = new Map<string, Refusals & { count: number }>()
  /** By source. */
  const accounts = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const atMs = deps.clock.nowMs()
    for (const counted of counts.values()) deps.write({ ...counted, atMs })
    counts.clear()
    accounts.clear()
  }

  function count(given: string, reason: string, attempt?: RefusedAttempt): void {
    const source = given.slice(0, MAX_TEXT)
    const event = attempt?.event?.slice(0, MAX_TEXT)
    const account = attempt?.account?.slice(0, MAX_TEXT)
    const key = `${source}\0${reason}\0${event ?? ''}\0${account ?? ''}`
    const known = counts.get(key)
    if (known !== undefined) return void known.count++
    if (counts.size >= MAX_KEYS && source !== OTHERS) return count(OTHERS, reason, { event })
    // Reasons and events are words of ours and few; should one of them not be, this is where it ends.
    if (counts.size >= MAX_KEYS + MAX_OTHERS && reason !== OTHERS) return count(OTHERS, OTHERS)
    if (account !== undefined && account !== OTHERS) {
      const before = accounts.get(source) ?? 0
      if (before >= MAX_ACCOUNTS) return count(source, reason, { event, account: OTHERS })
      accounts.set(source, before + 1)
    }
    counts.set(key, { type: 'refusals', atMs: 0, source, reason, count: 1, event, account })
    timer ??= setTimeout(flush, WINDOW_MS).unref()
  }

  return { count, anything: () => counts.size > 0, flush }
}
