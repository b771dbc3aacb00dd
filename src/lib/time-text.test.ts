import { expect, test } from 'vitest'
import { durationMs, momentMs, utcMs } from './time-text.ts'

const HOUR = 3_600_000

test.each([
  ['0s', 0],
  ['90s', 90_000],
  ['15m', HOUR / 4],
  ['12h', 12 * HOUR],
  ['7d', 7 * 24 * HOUR],
  ['999999w', 999_999 * 7 * 24 * HOUR],
  ['', undefined],
  ['h', undefined],
  ['01h', undefined],
  ['-1h', undefined],
  ['1y', undefined],
  ['1h ', undefined],
  ['1constructor', undefined],
  ['1000000s', undefined],
])('duration %j', (text, ms) => expect(durationMs(text)).toBe(ms))

test.each([
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2028-02-29', Date.UTC(2028, 1, 29)],
  ['2026-05-01T12:30', Date.UTC(2026, 4, 1, 12, 30)],
  ['2026-05-01T12:30Z', Date.UTC(2026, 4, 1, 12, 30)],
  ['2026-05-01T12:30:15.250Z', Date.UTC(2026, 4, 1, 12, 30, 15, 250)],
  ['2026-05-01T12:30+02:00', Date.UTC(2026, 4, 1, 10, 30)],
  ['2026-02-29', undefined],
  ['2026-02-30T10:00Z', undefined],
  ['2026-13-01', undefined],
  ['2026-01-01T24:00Z', undefined],
  ['2026-01-01T12:60Z', undefined],
  ['2026-01-01T12:00+99:00', undefined],
  ['2026-1-1', undefined],
  ['2026', undefined],
  ['yesterday', undefined],
])('date %j', (text, ms) => expect(utcMs(text)).toBe(ms))

test('a moment is a duration back from now, or a date', () => {
  expect(momentMs('1h', 10 * HOUR)).toBe(9 * HOUR)
  expect(momentMs('1970-01-02', 0)).toBe(24 * HOUR)
  expect(momentMs('999999w', HOUR)).toBe(0)
  expect(momentMs('soon', 0)).toBeUndefined()
})
