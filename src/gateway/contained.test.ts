import { expect, test } from 'vitest'
import type { Log } from '../lib/log.ts'
import { contained } from './contained.ts'

test('a listener that throws is logged by name; the others are called as they are', () => {
  const logged: unknown[] = []
  const log = { error: (about: unknown) => void logged.push(about) } as unknown as Log
  const events = contained(
    {
      heard: (a: number, b: number) => a + b,
      broken: (): void => {
        throw new Error('boom')
      },
    },
    log,
  )
  expect(events.heard(1, 2)).toBe(3)
  expect(() => events.broken()).not.toThrow()
  expect(logged).toMatchObject([{ event: 'broken', err: { message: 'boom' } }])
})
