import { err, ok, type Result } from '../lib/result.ts'

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

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
  const duration = /^([1-9]\d{0,5})([smhdw])$/.exec(ttl)
  const at =
    duration === null
      ? dateMs(ttl)
      : createdAtMs + Number(duration[1]) * (UNIT_MS[duration[2] ?? ''] ?? Number.NaN)
  if (at === undefined || Number.isNaN(at))
    return err('must be never, a duration such as 30d or 12h, or a date (UTC)')
  return at > LAST_MS ? err('must end before the year 10000') : ok(at)
}

/** A date that exists: `Date` would take the 31st of February for the 3rd of March. */
function dateMs(text: string): number | undefined {
  const parts = /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2}))?Z)?$/.exec(text)
  if (parts === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0))
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  const same =
    at.getUTCMonth() === month - 1 &&
    at.getUTCDate() === day &&
    at.getUTCHours() === hour &&
    at.getUTCMinutes() === minute &&
    at.getUTCSeconds() === second
  return same ? at.getTime() : undefined
}
