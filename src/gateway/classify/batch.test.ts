import { expect, test } from 'vitest'
import { readMessage } from '../../protocol/message.ts'
import { batchProblem, MAX_BATCH, readBatch } from './batch.ts'

const ping = (id: number | string): object => ({ jsonrpc: '2.0', id, method: 'ping' })
const notice = { jsonrpc: '2.0', method: 'notifications/initialized' }
const CLAIM = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' }

/** What stands in the batch, in short, or the hint of the refusal. */
function verdict(elements: readonly unknown[] | string, version?: string): string {
  const body = Buffer.from(typeof elements === 'string' ? elements : JSON.stringify(elements))
  expect(readMessage(body, 'client')).toEqual({ ok: false, error: 'batch' })
  const read = readBatch(body)
  if ('code' in read) return `${read.code}: ${read.hint}`
  const problem = batchProblem(read, { 'mcp-protocol-version': version })
  if (problem !== undefined) return `${problem.code}: ${problem.hint}`
  return read.map(({ shape, idText }) => `${shape} ${idText ?? '-'}`).join(', ')
}

// oxfmt-ignore
test.each([
  ['one request',                 [ping(1)],                                     'request 1'],
  ['requests and notifications',  [ping(1), notice, ping('1')],                  'request 1, notification -, request "1"'],
  ['responses',                   [{ jsonrpc: '2.0', id: 1, result: {} }, ping(1)], 'result 1, request 1'],
  ['white space anywhere',        ` \n[ ${JSON.stringify(ping(1))} ,\t${JSON.stringify(notice)} ] `, 'request 1, notification -'],
  ['as many as there may be',     Array.from({ length: MAX_BATCH }, () => notice), Array(MAX_BATCH).fill('notification -').join(', ')],
  ['nothing',                     [],                                            'not_jsonrpc: it is an empty batch'],
  ['nothing, with space',         ' [ ] ',                                       'not_jsonrpc: it is an empty batch'],
  ['one too many',                Array.from({ length: MAX_BATCH + 1 }, () => notice), `not_jsonrpc: a batch has at most ${MAX_BATCH} messages`],
  ['something that is no message', [ping(1), {}],                                'not_jsonrpc: an element of the batch is no message'],
  ['a number',                    [1],                                           'not_jsonrpc: an element of the batch is no message'],
  ['a batch in a batch',          [[ping(1)]],                                   'not_jsonrpc: an element of the batch is no message'],
  ['the same id twice',           [ping(1), ping(2), ping(1)],                   'not_jsonrpc: two requests of the batch have the same id'],
  ['initialize',                  [{ ...ping(1), method: 'initialize' }],        'not_jsonrpc: initialize travels alone, not in a batch'],
  ['an envelope',                 [ping(1), { ...ping(2), params: { _meta: CLAIM } }], 'not_jsonrpc: a message with an envelope of its own travels alone, not in a batch'],
  ['an envelope that is broken',  [{ ...ping(2), params: { _meta: { 'io.modelcontextprotocol/protocolVersion': 1 } } }], 'not_jsonrpc: a message with an envelope of its own travels alone, not in a batch'],
] as const)('%s', (_, elements, expected) => {
  expect(verdict(elements)).toBe(expected)
})

test('a modern header has no batches', () => {
  expect(verdict([ping(1)], '2026-07-28')).toContain('has no batches')
  expect(verdict([ping(1)], '2025-03-26')).toBe('request 1')
})
