import { expect, test } from 'vitest'
import type { Refusals } from './entry.ts'
import { createRefusalCounter } from './refusals.ts'

function setUp() {
  const written: Refusals[] = []
  const clock = { nowMs: () => 7, tickMs: () => 0 }
  return { written, counter: createRefusalCounter({ clock, write: (entry) => written.push(entry) }) }
}

const sum = (entries: readonly Refusals[]): number => entries.reduce((all, { count }) => all + count, 0)

test('one entry for each source, reason, event and account, and none for what was written before', () => {
  const { written, counter } = setUp()
  const attempt = { event: 'sign-in local', account: 'a1' }
  for (let i = 0; i < 3; i++) counter.count('10.0.0.1', 'wrong', attempt)
  counter.count('10.0.0.1', 'wrong', { event: 'sign-in local', account: 'a2' })
  counter.count('10.0.0.1', 'wrong')
  counter.flush()
  expect(written).toEqual([
    { type: 'refusals', atMs: 7, source: '10.0.0.1', reason: 'wrong', count: 3, ...attempt },
    {
      type: 'refusals',
      atMs: 7,
      source: '10.0.0.1',
      reason: 'wrong',
      count: 1,
      event: 'sign-in local',
      account: 'a2',
    },
    { type: 'refusals', atMs: 7, source: '10.0.0.1', reason: 'wrong', count: 1 },
  ])
  counter.flush()
  expect(written).toHaveLength(3)
})

test('ten thousand accounts tried from one address are 21 entries, and hide nobody else', () => {
  const { written, counter } = setUp()
  for (let i = 0; i < 10_000; i++)
    counter.count('10.0.0.1', 'wrong', { event: 'sign-in local', account: `a${i}` })
  counter.count('10.0.0.2', 'no token')
  counter.flush()
  expect(written).toHaveLength(22)
  expect(sum(written)).toBe(10_001)
  expect(written.find(({ account }) => account === 'others')).toMatchObject({ count: 9_980 })
  expect(written.at(-1)).toMatchObject({ source: '10.0.0.2', count: 1 })
})

test('ten thousand addresses are a bounded number of entries, of which the last says what was tried', () => {
  const { written, counter } = setUp()
  for (let i = 0; i < 10_000; i++)
    counter.count(`address ${i}`, 'wrong', { event: 'sign-in local', account: 'a' })
  counter.flush()
  expect(written).toHaveLength(1_001)
  expect(sum(written)).toBe(10_000)
  expect(written.at(-1)).toMatchObject({ source: 'others', event: 'sign-in local', count: 9_000 })
})

test('whatever differs, the number of entries is bounded and all are counted', () => {
  const { written, counter } = setUp()
  for (let i = 0; i < 10_000; i++) counter.count(`address ${i}`, `reason ${i}`, { event: `sign-in ${i}` })
  counter.flush()
  expect(written.length).toBeLessThanOrEqual(1_101)
  expect(sum(written)).toBe(10_000)
})

test('texts of others are cut', () => {
  const { written, counter } = setUp()
  counter.count('x'.repeat(500), 'wrong', { event: 'e'.repeat(500), account: 'a'.repeat(500) })
  counter.flush()
  expect(written[0]).toMatchObject({
    source: 'x'.repeat(64),
    event: 'e'.repeat(64),
    account: 'a'.repeat(64),
  })
})
