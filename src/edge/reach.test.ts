import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { createReach, type Reach } from './reach.ts'

let there: boolean
let asked: number
let back: number
let reach: Reach

beforeEach(() => {
  vi.useFakeTimers()
  ;[there, asked, back] = [false, 0, 0]
  reach = createReach({
    isThere: () => {
      asked++
      return Promise.resolve(there)
    },
    clock: { tickMs: () => performance.now(), nowMs: () => Date.now() },
    log: silentLog,
    back: () => void back++,
  })
})
afterEach(() => {
  reach.close()
  vi.useRealTimers()
})

test('is ready once the control plane was reached, and until it has been silent for as long as anybody can be known', async () => {
  await vi.advanceTimersByTimeAsync(3000)
  expect(reach.isReady()).toBe(false)
  there = true
  await vi.advanceTimersByTimeAsync(1000)
  expect([reach.isReady(), back]).toEqual([true, 1])
  there = false
  reach.heard('away')
  await vi.advanceTimersByTimeAsync(29_000)
  expect(reach.isReady()).toBe(true)
  await vi.advanceTimersByTimeAsync(2000)
  expect([reach.isReady(), back]).toEqual([false, 1])
  there = true
  await vi.advanceTimersByTimeAsync(1100)
  expect([reach.isReady(), back]).toEqual([true, 2])
})

test('one that answers callers is not asked besides, a quiet one now and then, one that is away each second', async () => {
  there = true
  reach.heard(undefined)
  asked = 0
  for (let s = 0; s < 20; s++) {
    reach.heard(undefined)
    await vi.advanceTimersByTimeAsync(1000)
  }
  expect(asked).toBe(0)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(asked).toBeGreaterThan(2)
  expect(asked).toBeLessThan(6)
  there = false
  reach.heard('away')
  asked = 0
  await vi.advanceTimersByTimeAsync(10_000)
  expect(asked).toBe(10)
})

test('whoever answers something else is there, and still no control plane', async () => {
  there = true
  reach.heard(undefined)
  back = 0
  reach.heard('strange')
  await vi.advanceTimersByTimeAsync(31_000)
  expect([reach.isReady(), back]).toEqual([false, 0])
  reach.heard(undefined)
  expect([reach.isReady(), back]).toEqual([true, 1])
})
