import { expect, test } from 'vitest'
import { createTurns } from './turns.ts'

function works() {
  const order: string[] = []
  const ends = new Map<string, () => void>()
  return {
    order,
    of: (name: string) => (): Promise<void> => {
      order.push(name)
      return new Promise((resolve) => ends.set(name, resolve))
    },
    end: async (name: string): Promise<void> => {
      ends.get(name)?.()
      await new Promise(setImmediate)
    },
  }
}

test('so many at a time at one place, in the order in which they came; another place is another matter', async () => {
  const turns = createTurns(2)
  const { order, of, end } = works()
  const all = ['a', 'b', 'c', 'd'].map((name) => turns.take('here', of(name)))
  void turns.take('there', of('x'))
  expect(order).toEqual(['a', 'b', 'x'])
  await end('b')
  expect(order).toEqual(['a', 'b', 'x', 'c'])
  await end('a')
  await end('c')
  await end('d')
  expect(order).toEqual(['a', 'b', 'x', 'c', 'd'])
  await Promise.all(all)
})

test('what fails gives its turn on', async () => {
  const turns = createTurns(1)
  const first = turns.take('here', () => Promise.reject(new Error('no')))
  const second = turns.take('here', () => Promise.resolve('yes'))
  await expect(first).rejects.toThrow('no')
  expect(await second).toBe('yes')
})

test('what nobody waits for goes every second time, however many wait', async () => {
  const turns = createTurns(1)
  const { order, of, end } = works()
  for (const name of ['q1', 'q2', 'q3']) void turns.take('here', of(name), true)
  for (const name of ['a', 'b', 'c', 'd']) void turns.take('here', of(name))
  expect(turns.quietAt('here')).toBe(2)
  for (let i = 0; i < 7; i++) await end(order.at(-1) ?? '')
  expect(order).toEqual(['q1', 'a', 'q2', 'b', 'q3', 'c', 'd'])
  expect(turns.quietAt('here')).toBe(0)
})
