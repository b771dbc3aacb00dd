import { expect, test } from 'vitest'
import { readMessage, type Message } from '../message.ts'
import { splice } from '../splice.ts'
import {
  hasDeclined,
  inputRequiredResult,
  readInputRequired,
  readInputResponses,
  retryEdit,
  toClientRequestParams,
  toInputRequestParams,
} from './input-required.ts'

const read = (text: string): Message => {
  const message = readMessage(Buffer.from(text), 'upstream')
  if (!message.ok) throw new TypeError(message.error)
  return message.value
}
const reply = (result: string): Message => read(`{"jsonrpc":"2.0","id":1,"result":${result}}`)

test('what is asked reads as it was written', () => {
  const requests = [{ key: 'a"b', method: 'elicitation/create', params: '{"n":9007199254740993}' }]
  const text = inputRequiredResult(requests, 'state "1"')
  expect(JSON.parse(text)).toMatchObject({ resultType: 'input_required' })
  expect(readInputRequired(reply(text))).toEqual({ requests, state: '"state \\"1\\""' })
})

// oxfmt-ignore
test.each([
  ['{"resultType":"input_required"}',                                             undefined],
  ['{"inputRequests":[]}',                                                        undefined],
  ['{"inputRequests":{"a":1}}',                                                   undefined],
  ['{"inputRequests":{"a":{"method":1}}}',                                        undefined],
  ['{"inputRequests":{"a":{"method":"roots/list","params":null}}}',               undefined],
  ['{"inputRequests":{"a":{"method":"a"},"a":{"method":"b"}}}',                   undefined],
  ['{"requestState":{}}',                                                         undefined],
  ['{"requestState":"s"}',                                                        { requests: [], state: '"s"' }],
  ['{"inputRequests":{"a":{"method":"roots/list"}}}',                             { requests: [{ key: 'a', method: 'roots/list', params: '{}' }], state: undefined }],
])('%s', (result, expected) => {
  expect(readInputRequired(reply(result))).toEqual(expected)
})

test('a retry is the first request with the answers and the state in it', () => {
  const request = read('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n":1e400}}')
  const edit = retryEdit(request, new Map([['k', '{"action":"accept"}']]), '"s"')
  const text = splice(request.bytes, edit === undefined ? [] : [edit]).toString()
  expect(text).toContain('"n":1e400')
  expect(JSON.parse(text)).toMatchObject({
    params: { name: 'a', inputResponses: { k: { action: 'accept' } }, requestState: 's' },
  })
  expect(retryEdit(request, new Map(), undefined)).toBeUndefined()
})

test.each([
  ['{"a":{"action":"accept"}}', false],
  ['{"a":{"action":"accept"},"b":{"action":"decline"}}', true],
  ['{"a":{"action":"cancel"}}', true],
  ['{"a":{"roots":[]}}', false],
  ['7', false],
])('%s says no: %s', (responses, expected) => {
  const params = `{"inputResponses":${responses}}`
  const request = read(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`)
  expect(hasDeclined(request)).toBe(expected)
})

test('only objects are answers', () => {
  const params = '{"inputResponses":{"a":{"x":1},"b":"text","c":null,"d":[1]}}'
  const request = read(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`)
  expect([...readInputResponses(request)]).toEqual([['a', '{"x":1}']])
  const without = read('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"inputResponses":7}}')
  expect(readInputResponses(without).size).toBe(0)
})

test('what only sessions know stays behind; URL elicitations of legacy clients have an id', () => {
  const params =
    '{"mode":"url","url":"https://a","elicitationId":"e1","_meta":{"progressToken":1,"io.modelcontextprotocol/related-task":{"taskId":"t"},"x":1}}'
  const modern = toInputRequestParams(params)
  expect(JSON.parse(modern)).toEqual({ mode: 'url', url: 'https://a', _meta: { x: 1 } })
  expect(JSON.parse(toClientRequestParams(modern, 'e2'))).toMatchObject({
    elicitationId: 'e2',
    url: 'https://a',
  })
  expect(toClientRequestParams(params, 'e2')).toBe(params)
  expect(toClientRequestParams('{"message":"form"}', 'e2')).toBe('{"message":"form"}')
  expect(toInputRequestParams('[]')).toBe('{}')
})
