import { expect, test } from 'vitest'
import { Bearer } from './bearer.ts'
import { createCaller, holds, holdsUntil, isHalfOver, type Caller } from './caller.ts'

const DEFAULT = { positiveMs: 30_000, negativeMs: 5000 }
const SHORT = { positiveMs: 2000, negativeMs: 1000 }

function callerWith(known: Partial<Caller>): Caller {
  const caller = createCaller('key', new Bearer(`cst_${'A'.repeat(43)}`), undefined)
  return Object.assign(caller, { standing: 'good', asked: { tick: 1000, ms: 500_000 } }, known)
}

// oxfmt-ignore
test.each([
  ['nothing was heard',                        { standing: undefined },                                  DEFAULT, -Infinity],
  ['good, and no watch',                       {},                                                       DEFAULT, 6000],
  ['good, the watch just heard',               { heardTick: 9000 },                                      DEFAULT, 14_000],
  ['good, the watch ended a while ago',        { heardTick: 1500, watch: undefined },                    DEFAULT, 6500],
  ['a watch does not hold beyond the longest', { heardTick: 30_500 },                                    DEFAULT, 31_000],
  ['an end of its own',                        { heardTick: 9000, endsTick: 9500 },                      DEFAULT, 9500],
  ['bad',                                      { standing: 'bad', heardTick: 9000 },                     DEFAULT, 6000],
  ['good, shorter',                            {},                                                       SHORT,   3000],
  ['good, shorter, with a watch',              { heardTick: 2900 },                                      SHORT,   3000],
  ['bad, shorter',                             { standing: 'bad' },                                      SHORT,   2000],
  ['doubted, whatever the watch says',         { asked: { tick: -Infinity, ms: 0 }, heardTick: 9000 },   DEFAULT, -Infinity],
] as const)('%s', (_, known, times, until) => {
  expect(holdsUntil(callerWith(known), times)).toBe(until)
})

const at = (tick: number, ms = 500_000 + tick - 1000) => ({ tickMs: () => tick, nowMs: () => ms })

test('nothing holds past its time', () => {
  const caller = callerWith({})
  expect(holds(caller, DEFAULT, at(5999.9))).toBe(true)
  expect(holds(caller, DEFAULT, at(6000))).toBe(false)
})

test('a host that slept: the monotonic clock may have stood still, the one on the wall has not', () => {
  const caller = callerWith({})
  expect(holds(caller, DEFAULT, at(1100, 500_000 + 3_600_000))).toBe(false)
  // Set back, it prolongs nothing.
  expect(holds(caller, DEFAULT, at(1100, 500_000 - 3_600_000))).toBe(true)
  expect(holds(caller, DEFAULT, at(6000, 500_000 - 3_600_000))).toBe(false)
})

test('who calls on is asked about when half of the time is over', () => {
  expect([3499, 3501].map((tick) => isHalfOver(callerWith({}), DEFAULT, tick))).toEqual([false, true])
  expect(isHalfOver(callerWith({ standing: 'bad' }), DEFAULT, 5999)).toBe(false)
})
