import { expect, test } from 'vitest'
import { NO_OFFER, readOffer } from './client-offer.ts'

// oxfmt-ignore
test.each([
  ['{"extensions":{"io.modelcontextprotocol/tasks":{}}}',                 true,  '{}'],
  ['{"extensions":{"io.modelcontextprotocol/tasks":{},"com.x/y":{"a":1}}}', true,  '{"extensions":{"com.x/y":{"a":1}}}'],
  ['{"extensions":{"com.x/y":{"a":1}}}',                                  false, '{"extensions":{"com.x/y":{"a":1}}}'],
  ['{"extensions":{"io.modelcontextprotocol/tasks":true}}',               false, '{}'],
  ['{"extensions":[]}',                                                   false, '{}'],
])('%s', (declared, tasks, carried) => {
  const offer = readOffer(declared)
  expect(offer.tasks).toBe(tasks)
  // A legacy client could do nothing with a task, so nobody hears of it on its behalf.
  expect(offer.modern).toBe(carried)
  expect(offer.legacy).toBe(carried)
  expect(offer.key === NO_OFFER.key).toBe(carried === '{}')
})
