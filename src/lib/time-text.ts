/** Times as people write them: in manifests, options and query parameters. */

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** `30s`, `15m`, `12h`, `7d`, `2w` in milliseconds; undefined for anything else. */
export function durationMs(text: string): number | undefined {
  const [, count = '', unit = ''] = /^(0|[1-9]\d{0,5})([smhdw])$/.exec(text) ?? []
  const unitMs = UNIT_MS[unit]
  return unitMs === undefined ? undefined : Number(count) * unitMs
}

const DATE =
  /^(\d{4}-\d{2}-\d{2})(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?)?$/

/**
 * A date, or a date and a time (RFC 3339, seconds may be left out), in milliseconds; UTC where no offset is given.
 * Undefined for anything else, and for days that do not exist: `Date` would take the 31st of February for the 3rd of
 * March.
 */
export function utcMs(text: string): number | undefined {
  const [whole, day, offset] = DATE.exec(text) ?? []
  if (whole === undefined || day === undefined) return undefined
  const startMs = Date.parse(`${day}T00:00Z`)
  if (Number.isNaN(startMs) || !new Date(startMs).toISOString().startsWith(day)) return undefined
  const at = Date.parse(whole === day || offset !== undefined ? whole : `${whole}Z`)
  return Number.isNaN(at) ? undefined : at
}

/** A moment in the past, for filters: a duration back from now (1970 at the earliest), or a date. */
export function momentMs(text: string, nowMs: number): number | undefined {
  const back = durationMs(text)
  return back === undefined ? utcMs(text) : Math.max(0, nowMs - back)
}
