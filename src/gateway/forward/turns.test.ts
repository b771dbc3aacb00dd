import { expect, test, vi } from 'vitest'
import { createTurns } from './turns.ts'
import type { Upstream } from './upstream.ts'

const upstream = (): Upstream => ({}) as Upstream

test('one at a time on a connection, in the order of coming; other connections are not held up', async () => {
  const turns = createTurns()
  const one = upstream()
  const order: string[] = []
  const first = await turns.take(one, 1000)
  const second = turns.take(one, 1000).then((giveOn) => (order.push('second'), giveOn))
  const third = turns.take(one, 1000).then((giveOn) => (order.push('third'), giveOn))
  expect(await turns.take(upstream(), 1000)).toBeDefined()
  expect(order).toEqual([])
  first?.()
  // Given on once, however often it is called.
  first?.()
  const giveOn = await second
  expect(order).toEqual(['second'])
  giveOn?.()
  await third
  expect(order).toEqual(['second', 'third'])
})

test('who has waited too long gets no turn, and takes none from the next', async () => {
  vi.useFakeTimers()
  try {
    const turns = createTurns()
    const one = upstream()
    const first = await turns.take(one, 1000)
    const late = turns.take(one, 1000)
    const patient = turns.take(one, 5000)
    await vi.advanceTimersByTimeAsync(1000)
    expect(await late).toBeUndefined()
    first?.()
    expect(await patient).toBeDefined()
  } finally {
    vi.useRealTimers()
  }
})

test('a line that is too long is not joined', async () => {
  const turns = createTurns()
  const one = upstream()
  await turns.take(one, 60_000)
  for (let i = 0; i < 256; i++) void turns.take(one, 60_000)
  expect(await turns.take(one, 60_000)).toBeUndefined()
})
