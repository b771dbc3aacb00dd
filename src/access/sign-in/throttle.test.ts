import { expect, test } from 'vitest'
import { createThrottle, type Throttle } from './throttle.ts'

const clock = () => {
  const time = { ms: 0 }
  return { time, throttle: createThrottle(() => time.ms) }
}

const failures = (throttle: Throttle, source: string, account: string, times: number): number => {
  let granted = 0
  for (let i = 0; i < times; i++) if (throttle.attempt({ source, account }).granted) granted += 1
  return granted
}

const succeed = (throttle: Throttle, source: string, account: string): boolean => {
  const turn = throttle.attempt({ source, account })
  if (turn.granted) turn.succeeded()
  return turn.granted
}

test('ten wrong ones from one place on one account, then one each half minute, and it says when', () => {
  const { time, throttle } = clock()
  expect(failures(throttle, '198.51.100.7', 'ada', 1000)).toBe(10)
  expect(throttle.attempt({ source: '198.51.100.7', account: 'ada' })).toEqual({
    granted: false,
    retryAfterSeconds: 30,
  })
  expect(succeed(throttle, '198.51.100.7', 'bob')).toBe(true)
  time.ms += 30_000
  expect(failures(throttle, '198.51.100.7', 'ada', 10)).toBe(1)
  time.ms += 3600_000
  expect(failures(throttle, '198.51.100.7', 'ada', 100)).toBe(10)
})

test('whoever guesses at many accounts from one place is slowed down as well', () => {
  const { throttle } = clock()
  let granted = 0
  for (let i = 0; i < 1000; i++) granted += failures(throttle, '198.51.100.7', `user-${i}`, 1)
  expect(granted).toBe(60)
})

test('who succeeds loses nothing, however often', () => {
  const { throttle } = clock()
  for (let i = 0; i < 500; i++) expect(succeed(throttle, '198.51.100.7', 'ada')).toBe(true)
})

test('an account that is guessed at from everywhere is slow for strangers, and open to where it was used before', () => {
  const { time, throttle } = clock()
  expect(succeed(throttle, '192.0.2.1', 'ada')).toBe(true)
  let granted = 0
  for (let i = 0; i < 1000; i++) granted += failures(throttle, `198.51.${i >> 8}.${i & 255}`, 'ada', 1)
  expect(granted).toBe(100)
  expect(succeed(throttle, '203.0.113.9', 'ada')).toBe(false)
  expect(succeed(throttle, '192.0.2.1', 'ada')).toBe(true)
  time.ms += 5000
  expect(succeed(throttle, '203.0.113.9', 'ada')).toBe(true)
})

test('a network of IPv6 is one source, and an IPv4 address is one in either clothes', () => {
  const { throttle } = clock()
  for (let i = 0; i < 10; i++)
    expect(failures(throttle, `2001:db8:0:1:${i.toString(16)}::${i}`, 'ada', 1)).toBe(1)
  expect(failures(throttle, '2001:db8::1:ffff:0:0:1', 'ada', 1)).toBe(0)
  expect(failures(throttle, '2001:db8:0:2::1', 'ada', 1)).toBe(1)
  expect(failures(throttle, '::ffff:198.51.100.7', 'ada', 10)).toBe(10)
  expect(failures(throttle, '198.51.100.7', 'ada', 1)).toBe(0)
})

test('a hundred thousand sources and accounts take a bounded place', () => {
  const { throttle } = clock()
  for (let i = 0; i < 100_000; i++)
    failures(throttle, `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, `u${i}`, 1)
  expect(throttle.size()).toBeLessThanOrEqual(40_000)
})
