import { expect, test } from 'vitest'
import { hasPath, rawAt, readMessage, spanOf, stringAt, valueAt, type Message } from './message.ts'
import { errorMessage, notificationMessage, requestMessage, resultMessage } from './json-rpc.ts'

const read = (text: string, from: 'client' | 'upstream' = 'client') => readMessage(Buffer.from(text), from)

/** Shape and id of what can be read, else the problem. */
function seen(text: string): string {
  const message = read(text)
  return message.ok ? `${message.value.shape} ${message.value.idText ?? '-'}` : message.error
}

const message = (text: string): Message => {
  const found = read(text)
  if (!found.ok) throw new TypeError(found.error)
  return found.value
}

const request = (id: string): string => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`
const answer = (id: string): string => `{"jsonrpc":"2.0","id":${id},"result":{}}`
const failure = (id: string): string => `{"jsonrpc":"2.0","id":${id},"error":{"code":1,"message":"x"}}`

// oxfmt-ignore
test.each([
  // ids of requests
  ['id 0',                              request('0'),                       'request 0'],
  ['a negative id',                     request('-7'),                      'request -7'],
  ['an id that no double holds',        request('9007199254740993'),        'request 9007199254740993'],
  ['an empty string as id',             request('""'),                      'request ""'],
  ['an id with an escape, as written',  request('"\\u0061"'),               'request "\\u0061"'],
  ['an id that looks like a number',    request('"1"'),                     'request "1"'],
  ['an id of 512 characters',           request(`"${'x'.repeat(510)}"`),    `request "${'x'.repeat(510)}"`],
  ['an id of 513 characters',           request(`"${'x'.repeat(511)}"`),    'envelope'],
  ['id null',                           request('null'),                    'envelope'],
  ['a fractional id',                   request('1.5'),                     'envelope'],
  ['an id with an exponent',            request('1e3'),                     'envelope'],
  ['an id with a point and no fraction', request('1.0'),                    'envelope'],
  ['a boolean id',                      request('true'),                    'envelope'],
  ['an object as id',                   request('{}'),                      'envelope'],
  ['an array as id',                    request('[1]'),                     'envelope'],
  // shapes
  ['no id: a notification',             '{"jsonrpc":"2.0","method":"x"}',   'notification -'],
  ['a result',                          answer('1'),                        'result 1'],
  ['a result that is null',             '{"jsonrpc":"2.0","id":1,"result":null}', 'result 1'],
  ['an error',                          failure('"a"'),                     'error "a"'],
  ['an error to an unreadable request', failure('null'),                    'error -'],
  ['an error without an id',            '{"jsonrpc":"2.0","error":{}}',     'error -'],
  ['a result without an id',            '{"jsonrpc":"2.0","result":{}}',    'envelope'],
  ['a result with id null',             answer('null'),                     'envelope'],
  ['both result and error',             '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}', 'envelope'],
  ['both method and result',            '{"jsonrpc":"2.0","id":1,"method":"x","result":{}}', 'envelope'],
  ['both method and error',             '{"jsonrpc":"2.0","id":1,"method":"x","error":{}}', 'envelope'],
  ['neither',                           '{"jsonrpc":"2.0","id":1}',         'envelope'],
  // the rest of the envelope
  ['members in any order',              '{"method":"ping","id":1,"jsonrpc":"2.0"}', 'request 1'],
  ['unknown members',                   '{"jsonrpc":"2.0","id":1,"method":"x","extra":{"deep":[1]}}', 'request 1'],
  ['an escaped member name',            '{"jsonrpc":"2.0","id":1,"\\u006dethod":"ping"}', 'request 1'],
  ['no version',                        '{"id":1,"method":"x"}',            'envelope'],
  ['version 1.0',                       '{"jsonrpc":"1.0","id":1,"method":"x"}', 'envelope'],
  ['the version as a number',           '{"jsonrpc":2.0,"id":1,"method":"x"}', 'envelope'],
  ['a method that is no string',        '{"jsonrpc":"2.0","id":1,"method":7}', 'envelope'],
  ['a method of 129 characters',        `{"jsonrpc":"2.0","id":1,"method":"${'m'.repeat(129)}"}`, 'envelope'],
  ['a batch',                           `[${request('1')}]`,                'batch'],
  ['an empty batch',                    '[]',                               'batch'],
  ['a string',                          '"x"',                              'envelope'],
  ['a number',                          '7',                                'envelope'],
  ['null',                              'null',                             'envelope'],
  ['nothing',                           '',                                 'syntax'],
  ['no JSON',                           'x',                                'syntax'],
  ['two messages',                      request('1') + request('2'),        'syntax'],
  ['the method twice',                  '{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}', 'duplicate-key'],
  ['10,000 levels of parameters',       `{"jsonrpc":"2.0","id":1,"method":"x","params":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'depth'],
])('%s', (_, text, expected) => {
  expect(seen(text)).toBe(expected)
})

test('a method is decoded', () => {
  expect(message('{"jsonrpc":"2.0","id":1,"method":"tools\\/c\\u0061ll"}').method).toBe('tools/call')
  expect(message(answer('1')).method).toBe('')
})

test('from an upstream, a key repeated in what we do not read is let through; in what we read it is not', () => {
  const deep = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"a":1,"a":2}]}}'
  expect(read(deep, 'upstream').ok).toBe(true)
  expect(read(deep, 'client')).toEqual({ ok: false, error: 'duplicate-key' })
  expect(read('{"jsonrpc":"2.0","id":1,"result":{"isError":true,"isError":false}}', 'upstream').ok).toBe(
    false,
  )
})

test('parts are found, raw, decoded and parsed', () => {
  const call = message(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\\"b","arguments":{"n":9007199254740993},' +
      '"_meta":{"progressToken":0,"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}',
  )
  expect(stringAt(call, 'params/name')).toBe('a"b')
  expect(rawAt(call, 'params/name')).toBe('"a\\"b"')
  expect(rawAt(call, 'params/arguments')).toBe('{"n":9007199254740993}')
  expect(valueAt(call, 'params/_meta/progressToken')).toBe(0)
  expect(stringAt(call, 'params/_meta/progressToken')).toBeUndefined()
  expect(stringAt(call, 'params/_meta/io.modelcontextprotocol.protocolVersion')).toBe('2026-07-28')
  expect(hasPath(call, 'params/cursor')).toBe(false)
  expect([
    spanOf(call, 'params/cursor'),
    rawAt(call, 'params/cursor'),
    valueAt(call, 'params/cursor'),
  ]).toEqual([undefined, undefined, undefined])
})

// oxfmt-ignore
test.each([
  ['a request',                    requestMessage('"c1"', 'tools/list', {}),            '{"jsonrpc":"2.0","id":"c1","method":"tools/list","params":{}}'],
  ['a request without parameters', requestMessage('1', 'ping', undefined),              '{"jsonrpc":"2.0","id":1,"method":"ping"}'],
  ['a notification',               notificationMessage('notifications/x', { a: 1 }),    '{"jsonrpc":"2.0","method":"notifications/x","params":{"a":1}}'],
  ['a bare notification',          notificationMessage('notifications/x'),              '{"jsonrpc":"2.0","method":"notifications/x"}'],
  ['a result, its id untouched',   resultMessage('9007199254740993', '{"a":1e400}'),    '{"jsonrpc":"2.0","id":9007199254740993,"result":{"a":1e400}}'],
  ['an error',                     errorMessage('0', { code: -32603, message: 'm', data: {} }), '{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"m","data":{}}}'],
  ['an error to nothing readable', errorMessage(undefined, { code: -32700, message: 'm', data: {} }), '{"jsonrpc":"2.0","error":{"code":-32700,"message":"m","data":{}}}'],
])('%s is written, and can be read again', (_, written, expected) => {
  expect(written).toBe(expected)
  expect(read(written).ok).toBe(true)
})
