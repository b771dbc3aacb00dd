import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { readMessage, type Message } from '../../protocol/message.ts'
import type { Era } from '../../protocol/revisions.ts'
import { createExchange, type Exchange } from '../exchange.ts'
import { answerFor, eventFor, upstreamRequest } from './bridge.ts'
import { outgoingBytes } from './outgoing.ts'
import type { Lease } from './pool.ts'

const read = (text: string, from: 'client' | 'upstream'): Message => {
  const message = readMessage(Buffer.from(text), from)
  if (!message.ok) throw new TypeError(message.error)
  return message.value
}

const ENVELOPE =
  '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}'

/** A call of `one__echo` by a client of this era, with this in its `_meta`. */
function call(era: Era, meta = '', logLevel?: string): Exchange {
  const parts = [era === 'modern' ? ENVELOPE : '', meta].filter((part) => part !== '').join(',')
  const text = `{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"one__echo","n":1e400,"_meta":{${parts}}}}`
  const request = {
    headers: { 'mcp-param-city': 'Bern', 'mcp-name': 'one__echo' },
  } as unknown as IncomingMessage
  const x = createExchange({ request, target: { project: 'p', server: undefined } } as never)
  x.era = era
  x.kind = 'tools/call'
  x.message = read(text, 'client')
  const at = text.indexOf('"one__echo"')
  const edits = [{ start: at, end: at + '"one__echo"'.length, text: '"echo"' }]
  x.route = {
    server: scriptedView('one'),
    others: [],
    key: 'echo',
    exposed: 'one__echo',
    params: undefined,
    asTask: false,
    edits,
  }
  if (era === 'legacy') x.session = { clientInfo: '{"name":"c","version":"1"}', logLevel } as never
  return x
}

const lease = (era: Era): Lease =>
  ({ info: { era, serverInfo: '{"name":"s","version":"1"}' } }) as unknown as Lease
const sent = (x: Exchange, era: Era): string =>
  outgoingBytes(upstreamRequest(x, lease(era)), '"c.1"').toString()

test('within an era the request leaves with its name, id and token replaced, and every other byte as it came', () => {
  for (const era of ['legacy', 'modern'] as const) {
    const x = call(era, '"progressToken":"mine"')
    const expected = x.message?.bytes
      .toString()
      .replace('9007199254740993', '"c.1"')
      .replace('"one__echo"', '"echo"')
      .replace('"mine"', '"c.1"')
    expect(sent(x, era)).toBe(expected)
  }
})

test('across eras the envelope comes or goes, the rest stays', () => {
  const down = sent(call('modern', '"progressToken":7,"x":1'), 'legacy')
  expect(down).toBe(
    '{"jsonrpc":"2.0","id":"c.1","method":"tools/call","params":{"name":"echo","n":1e400,"_meta":{"progressToken":"c.1","x":1}}}',
  )
  const up = sent(call('legacy', '"x":1', 'info'), 'modern')
  expect(JSON.parse(up)).toMatchObject({
    id: 'c.1',
    params: {
      name: 'echo',
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'c' },
        'io.modelcontextprotocol/logLevel': 'info',
        x: 1,
      },
    },
  })
  expect(up).toContain('"n":1e400')
})

test('the server hears its own name and, of a modern client, the parameters in headers', () => {
  expect(upstreamRequest(call('modern'), lease('modern'))).toMatchObject({
    name: 'echo',
    headers: { 'mcp-param-city': 'Bern' },
    timeoutMs: 300_000,
  })
  expect(upstreamRequest(call('legacy'), lease('legacy')).headers).toBeUndefined()
})

const result = (text: string): string => `{"jsonrpc":"2.0","id":"c.1","result":${text}}`
const error = (text: string, id = '"id":"c.1",'): string => `{"jsonrpc":"2.0",${id}"error":${text}}`
const OWN = '9007199254740993'

function answered(x: Exchange, era: Era, reply: string): string {
  const answer = answerFor(x, lease(era), read(reply, 'upstream'))
  if (!('bytes' in answer)) return `refused ${answer.code}`
  return `${answer.status} ${answer.outcome} ${answer.bytes.toString()}`
}

// oxfmt-ignore
test.each([
  // what the server answers, in which era            to a client of   what it gets
  [result('{"a":-0,"b":[1e400]}'),      'legacy',     'legacy',        `200 ok {"jsonrpc":"2.0","id":${OWN},"result":{"a":-0,"b":[1e400]}}`],
  [result('{"isError":true}'),          'legacy',     'legacy',        `200 tool-error {"jsonrpc":"2.0","id":${OWN},"result":{"isError":true}}`],
  [result('{"resultType":"x/y"}'),      'modern',     'modern',        `200 ok {"jsonrpc":"2.0","id":${OWN},"result":{"resultType":"x/y"}}`],
  [result('{"resultType":"task"}'),     'modern',     'modern',        'refused upstream_invalid'],
  [result('{"resultType":"complete"}'), 'modern',     'legacy',        `200 ok {"jsonrpc":"2.0","id":${OWN},"result":{}}`],
  [result('{"resultType":"input_required"}'), 'modern', 'legacy',      'refused upstream_invalid'],
  [result('{"resultType":"task"}'),     'modern',     'legacy',        'refused upstream_invalid'],
  [error('{"code":-32602,"message":"m","data":1e400}'), 'legacy', 'legacy', `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32602,"message":"m","data":1e400}}`],
  [error('{"code":-32601,"message":"m"}'), 'modern',  'modern',        `404 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32601,"message":"m"}}`],
  [error('{"code":-32021,"message":"m","data":{"requiredCapabilities":{"roots":{}}}}'), 'modern', 'modern', `400 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32021,"message":"m","data":{"requiredCapabilities":{"roots":{}}}}}`],
  [error('{"code":-32021,"message":"m"}'), 'modern',  'modern',        `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"data":{"original":{"code":-32021,"message":"m"}},"code":-32603,"message":"m"}}`],
  [error('{"code":-32000,"message":"m"}'), 'legacy',  'modern',        `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"data":{"original":{"code":-32000,"message":"m"}},"code":-32603,"message":"m"}}`],
  [error('{"code":-32000,"message":"m"}', '"id":null,'), 'legacy', 'legacy', `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32000,"message":"m"}}`],
  [error('{"code":-32000,"message":"m"}', ''), 'legacy', 'legacy',     `200 error {"id":${OWN},"jsonrpc":"2.0","error":{"code":-32000,"message":"m"}}`],
  // what no specification allows, and servers do
  [error('{"code":"E1","message":"m"}'), 'legacy',    'legacy',        `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32603,"message":"m"}}`],
  [error('{"code":1.5,"message":"m"}'), 'legacy',     'modern',        `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32603,"message":"m"}}`],
  [error('{"code":null}'),              'legacy',     'legacy',        `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32603}}`],
  [error('{"message":"m"}'),            'legacy',     'legacy',        `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32603,"message":"m"}}`],
  [error('"boom"'),                     'legacy',     'legacy',        `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32603,"message":"the server gave an error without a code"}}`],
  [error('null'),                       'legacy',     'legacy',        `200 error {"jsonrpc":"2.0","id":${OWN},"error":{"code":-32603,"message":"the server gave an error without a code"}}`],
] as const)('%s of a %s server, to a %s client', (reply, from, to, expected) => {
  const got = answered(call(to), from, reply)
  expect(got).toBe(expected)
  if (got.includes('{')) JSON.parse(got.slice(got.indexOf('{')))
})

const progress =
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"c.1","progress":1e400}}'
const log = (level: string): string =>
  `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"${level}"}}`
const LEVEL = '"io.modelcontextprotocol/logLevel":"warning"'

// oxfmt-ignore
test.each([
  ['progress, to who asked for it',         call('legacy', '"progressToken":0'), progress,         progress.replace('"c.1"', '0')],
  ['progress, to who did not',              call('legacy'),                      progress,         undefined],
  ['a message, no level set',               call('legacy'),                      log('debug'),     log('debug')],
  ['a message below the level',             call('legacy', '', 'warning'),       log('info'),      undefined],
  ['a message of the level',                call('legacy', '', 'warning'),       log('warning'),   log('warning')],
  ['a message of no known level',           call('legacy', '', 'warning'),       log('odd'),       log('odd')],
  ['a message, to a modern client that did not ask', call('modern'),             log('error'),     undefined],
  ['a message, to a modern client that asked', call('modern', LEVEL),            log('error'),     log('error')],
  ['a message below what a modern client asked for', call('modern', LEVEL),      log('info'),      undefined],
])('%s', (_, x, event, expected) => {
  expect(eventFor(x, read(event, 'upstream'))?.toString()).toBe(expected)
})
