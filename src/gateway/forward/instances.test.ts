import { expect, test } from 'vitest'
import { createInstanceBook } from './instances.ts'

const OF = { server: 'memory', serverUid: 'srv_x', sharer: '' }

test('a number is given once, whatever becomes of the copy that had it', () => {
  const book = createInstanceBook(() => 0)
  const first = book.starting(OF, undefined)
  first.stopped = true
  const names = [
    first,
    book.starting(OF, first),
    book.starting({ ...OF, sharer: 'session:s' }, undefined),
    book.starting({ ...OF, server: 'other', serverUid: 'srv_y' }, undefined),
  ].map(({ name }) => name)
  expect(names).toEqual(['memory-1', 'memory-2', 'memory-3', 'other-1'])
})

test('one that ended by itself goes on as itself, and counts', () => {
  let nowMs = 0
  const book = createInstanceBook(() => nowMs)
  const first = book.starting(OF, undefined)
  book.ended(first, 'it ended with status 3')
  nowMs = 5
  const again = book.starting(OF, first)
  expect(again).toBe(first)
  expect(again).toMatchObject({ madeAtMs: 0, startedAtMs: 5, restarts: 1, ended: undefined })
  expect(again.events.map(({ what }) => what)).toEqual([
    'started',
    'ended: it ended with status 3',
    'started again',
  ])
})

test('the history keeps the last fifty', () => {
  const book = createInstanceBook(() => 0)
  const record = book.starting(OF, undefined)
  for (let i = 0; i < 200; i++) book.note(record, `event ${i}`)
  expect([record.events.length, record.events.at(0)?.what, record.events.at(-1)?.what]).toEqual([
    50,
    'event 150',
    'event 199',
  ])
})
