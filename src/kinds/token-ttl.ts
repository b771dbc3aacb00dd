import { err, ok, type Result } from '../lib/result.ts'
import { durationMs, utcMs } from '../lib/time-text.ts'

/** RFC 3339 ends with the year 9999, and so do the dates that a Token may carry. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59)

/**
 * When a token of this `spec.ttl` ends.
 *
 * @param ttl `never`, a duration (`30d`, `12h`), or a date (`2030-01-31`, `2030-01-31T12:00Z`), which is UTC
 * @param createdAtMs from when a duration counts
 * @returns milliseconds, undefined for `never`, or a sentence about what is wrong
 */
export function expiryOf(ttl: string, createdAtMs: number): Result<number | undefined, string> {
  if (ttl === 'never') return ok(undefined)
  const duration = durationMs(ttl)
  const at = duration === undefined ? utcMs(ttl) : createdAtMs + duration
  if (at === undefined || duration === 0)
    return err('must be never, a duration such as 30d or 12h, or a date (UTC)')
  return at > LAST_MS ? err('must end before the year 10000') : ok(at)
}
