import { expect, test } from 'vitest'
import { expiryOf } from './token-ttl.ts'

const CREATED = Date.UTC(2026, 0, 1)
const DAY = 86_400_000

test.each([
  ['never', undefined],
  ['90s', CREATED + 90_000],
  ['15m', CREATED + 900_000],
  ['12h', CREATED + DAY / 2],
  ['30d', CREATED + 30 * DAY],
  ['2w', CREATED + 14 * DAY],
  ['2028-02-29', Date.UTC(2028, 1, 29)],
  ['2026-05-01T12:30Z', Date.UTC(2026, 4, 1, 12, 30)],
  ['2026-05-01T12:30:15Z', Date.UTC(2026, 4, 1, 12, 30, 15)],
])('%s ends at %s', (ttl, at) => {
  expect(expiryOf(ttl, CREATED)).toEqual({ ok: true, value: at })
})

test.each([
  '',
  '0d',
  '30',
  'd',
  '-1d',
  '1y',
  '2026-02-29',
  '2026-13-01',
  '2026-01-01T25:00Z',
  '2026-01-01 ',
  '999999w',
])('%s is refused', (ttl) => expect(expiryOf(ttl, CREATED).ok).toBe(false))
