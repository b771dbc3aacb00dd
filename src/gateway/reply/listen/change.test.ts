import { expect, test } from 'vitest'
import { readMessage, type Message } from '../../../protocol/message.ts'
import { listChange, renamedChange, resourceChange } from './change.ts'

const KEY = 'io.modelcontextprotocol/subscriptionId'

function update(params: string): Message {
  const text = `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":${params}}`
  const message = readMessage(Buffer.from(text), 'upstream')
  if (!message.ok) throw new Error(message.error)
  return message.value
}

const paramsIn = (text: string): unknown => (JSON.parse(text) as { params: unknown }).params

// oxfmt-ignore
test.each([
  // what a server sent                                      for legacy clients                for the listen 7
  ['a legacy server',    `{"uri":"a:1"}`,                      `{"uri":"a:1"}`,                 `{"_meta":{"${KEY}":7},"uri":"a:1"}`],
  ['a modern server',    `{"uri":"a:1","_meta":{"${KEY}":"c1"}}`, `{"uri":"a:1"}`,              `{"_meta":{"${KEY}":7},"uri":"a:1"}`],
  ['vendor keys',        `{"_meta":{"x/y":1,"${KEY}":"c1"},"uri":"a:1"}`, `{"_meta":{"x/y":1},"uri":"a:1"}`, `{"_meta":{"${KEY}":7,"x/y":1},"uri":"a:1"}`],
  ['unknown fields',     `{"uri":"a:1","big":9007199254740993}`, `{"uri":"a:1","big":9007199254740993}`, `{"_meta":{"${KEY}":7},"uri":"a:1","big":9007199254740993}`],
  ['no object as _meta', `{"uri":"a:1","_meta":1}`,            `{"uri":"a:1"}`,                 `{"_meta":{"${KEY}":7},"uri":"a:1"}`],
])('a change of a resource, from %s', (_, sent, legacy, modern) => {
  const change = resourceChange(update(sent))
  expect(change.legacy).toContain(`"params":${legacy}}`)
  expect(change.modern('7')).toContain(`"params":${modern}}`)
})

test('a change of a list carries the id of the listen as its client wrote it', () => {
  const change = listChange('tools')
  expect(change.legacy).toBe('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
  expect(paramsIn(change.modern('"seven"'))).toEqual({ _meta: { [KEY]: 'seven' } })
})

test('what is the same for several is rendered once', () => {
  const change = resourceChange(update('{"uri":"a:1"}'))
  expect(Object.is(change.modern('1'), change.modern('1'))).toBe(true)
})

test('a change of a resource that the client knows by another URI', () => {
  const text =
    '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"ui://x","n":1e400}}'
  const read = readMessage(Buffer.from(text), 'upstream')
  if (!read.ok) throw new Error(read.error)
  const change = renamedChange(resourceChange(read.value), 'ui://one.castellan/x')
  const params = '"params":{"uri":"ui://one.castellan/x","n":1e400}'
  expect(change.legacy).toBe(`{"jsonrpc":"2.0","method":"notifications/resources/updated",${params}}`)
  expect(change.modern('7')).toContain('"uri":"ui://one.castellan/x"')
  expect(change.modern('7')).toContain('"io.modelcontextprotocol/subscriptionId":7')
})
