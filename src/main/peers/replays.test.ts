import { expect, test } from 'vitest'
import { createReplayGuard, MAX_SKEW_MS } from './replays.ts'

function setUp() {
  const time = { now: 1_000_000, tick: 0 }
  const guard = createReplayGuard({ nowMs: () => time.now, tickMs: () => time.tick })
  const pass = (ms: number): void => {
    time.now += ms
    time.tick += ms
  }
  return { time, guard, pass }
}

test('once is good, twice is a replay, for as long as the time in it is good', () => {
  const { time, guard, pass } = setUp()
  const claim = { atMs: time.now + MAX_SKEW_MS, nonce: 'n' }
  expect(guard(claim)).toBeUndefined()
  for (let passed = 0; passed <= 2 * MAX_SKEW_MS; passed += 1000) {
    expect(guard(claim)).toBe('replayed')
    // Others keep coming, also when it is time to forget.
    expect(guard({ atMs: time.now, nonce: `other-${passed}` })).toBeUndefined()
    pass(1000)
  }
  expect(guard(claim)).toBe('clock')
})

test.each([-1, 1])('a clock that is off by more than half a minute is said to be', (sign) => {
  const { time, guard } = setUp()
  expect(guard({ atMs: time.now + sign * MAX_SKEW_MS, nonce: 'a' })).toBeUndefined()
  expect(guard({ atMs: time.now + sign * (MAX_SKEW_MS + 1), nonce: 'b' })).toBe('clock')
})

test('our own clock set back a minute makes nothing good again', () => {
  const { time, guard, pass } = setUp()
  const claim = { atMs: time.now, nonce: 'n' }
  expect(guard(claim)).toBeUndefined()
  pass(60_000)
  time.now -= 60_000
  expect(guard(claim)).toBe('replayed')
})

test('it forgets', () => {
  const { time, guard, pass } = setUp()
  for (let i = 0; i < 500_000; i++) guard({ atMs: time.now, nonce: `n${i}` })
  expect(guard({ atMs: time.now, nonce: 'more' })).toBe('full')
  for (let i = 0; i < 3; i++) {
    pass(4 * MAX_SKEW_MS + 1)
    guard({ atMs: time.now, nonce: `turn-${i}` })
  }
  expect(guard({ atMs: time.now, nonce: 'more' })).toBeUndefined()
})
