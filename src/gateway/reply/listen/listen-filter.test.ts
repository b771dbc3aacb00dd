import { expect, test } from 'vitest'
import { requestMessage } from '../../../protocol/json-rpc.ts'
import { readMessage } from '../../../protocol/message.ts'
import { MAX_URIS, readListenFilter, writeListenFilter } from './listen-filter.ts'

function read(params: unknown) {
  const message = readMessage(Buffer.from(requestMessage('1', 'subscriptions/listen', params)), 'client')
  if (!message.ok) throw new Error(message.error)
  return readListenFilter(message.value)
}

const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `a:${i}`)

// oxfmt-ignore
test.each([
  ['nothing',             {},                                                       {}],
  ['lists',               { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true }, { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true }],
  ['what is off',         { toolsListChanged: false, resourceSubscriptions: [] },   {}],
  ['resources, each once', { resourceSubscriptions: ['a:1', 'a:2', 'a:1'] },        { resourceSubscriptions: ['a:1', 'a:2'] }],
  ['what is not known',   { taskIds: ['1'], toolsListChanged: true },               { toolsListChanged: true }],
  ['as many as may be',   { resourceSubscriptions: many(MAX_URIS) },                { resourceSubscriptions: many(MAX_URIS) }],
])('%s is read and acknowledged', (_, notifications, acknowledged) => {
  const filter = read({ notifications })
  expect('code' in filter ? filter : writeListenFilter(filter)).toEqual(acknowledged)
})

// oxfmt-ignore
test.each([
  ['no params',         undefined,                                                   1],
  ['no filter',         {},                                                          1],
  ['a list as filter',  { notifications: [] },                                       1],
  ['null as filter',    { notifications: null },                                     1],
  ['two wrong members', { notifications: { toolsListChanged: 1, promptsListChanged: 'x' } }, 2],
  ['no list of URIs',   { notifications: { resourceSubscriptions: 'a:1' } },         1],
  ['an empty URI',      { notifications: { resourceSubscriptions: [''] } },          1],
  ['an endless URI',    { notifications: { resourceSubscriptions: ['a'.repeat(8193)] } }, 1],
  ['one too many',      { notifications: { resourceSubscriptions: many(MAX_URIS + 1) } }, 1],
])('%s is refused', (_, params, problems) => {
  const refusal = read(params)
  expect('code' in refusal ? [refusal.code, refusal.problems?.length] : refusal).toEqual(['invalid', problems])
})
