import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readMessage, type Message } from './message.ts'
import { paramHeadersOf, paramProblem, readParamHeaders, type ParamHeader } from './param-headers.ts'

const tool = (properties: object, more: object = {}): Buffer =>
  Buffer.from(JSON.stringify({ name: 't', inputSchema: { type: 'object', properties, ...more } }))
const city = { type: 'string', 'x-mcp-header': 'City' }

/** `header<-path` of each annotation, or the reason why the tool is broken. */
function annotations(text: Buffer): string {
  const read = readParamHeaders(text)
  if (read === undefined) return 'none'
  if ('reason' in read) return `broken: ${read.reason}`
  return read.map(({ header, path }) => `${header}<-${path.join('.')}`).join(' ')
}

const TYPES = 'broken: x-mcp-header is for strings, integers and booleans'
const NAME = 'broken: x-mcp-header is no header name'
const ELSEWHERE = 'broken: x-mcp-header stands where properties alone do not lead'

describe('annotations of a tool', () => {
  // oxfmt-ignore
  test.each([
    ['no schema',                        Buffer.from('{"name":"t"}'),                       'none'],
    ['no annotation',                    tool({ a: { type: 'string' } }),                   'none'],
    ['one',                              tool({ a: city }),                                 'mcp-param-city<-a'],
    ['one of each type',                 tool({ a: city, b: { type: 'integer', 'x-mcp-header': 'n' }, c: { type: 'boolean', 'x-mcp-header': 'B-1' } }), 'mcp-param-city<-a mcp-param-n<-b mcp-param-b-1<-c'],
    ['deep inside',                      tool({ a: { type: 'object', properties: { b: { properties: { c: city } } } } }), 'mcp-param-city<-a.b.c'],
    ['an escaped keyword',               Buffer.from('{"inputSchema":{"properties":{"a":{"type":"string","x\\u002dmcp-header":"City"}}}}'), 'mcp-param-city<-a'],
    ['a property of that name',          tool({ 'x-mcp-header': { type: 'string' } }),      'none'],
    ['in a default, which is no schema', tool({ a: { default: city, const: city, examples: [city], enum: [city] } }), 'none'],
    ['in the output schema',             Buffer.from(JSON.stringify({ inputSchema: {}, outputSchema: { properties: { a: city } } })), 'none'],
    ['an empty name',                    tool({ a: { ...city, 'x-mcp-header': '' } }),      NAME],
    ['a name with a space',              tool({ a: { ...city, 'x-mcp-header': 'My City' } }), NAME],
    ['a name with a line break',         tool({ a: { ...city, 'x-mcp-header': 'a\r\nb' } }), NAME],
    ['a name beyond ASCII',              tool({ a: { ...city, 'x-mcp-header': 'Stadt-ä' } }), NAME],
    ['a name that is a number',          tool({ a: { ...city, 'x-mcp-header': 1 } }),       NAME],
    ['a number',                         tool({ a: { ...city, type: 'number' } }),          TYPES],
    ['an object',                        tool({ a: { ...city, type: 'object' } }),          TYPES],
    ['two types',                        tool({ a: { ...city, type: ['string', 'null'] } }), TYPES],
    ['no type',                          tool({ a: { 'x-mcp-header': 'City' } }),           TYPES],
    ['twice, in another case',           tool({ a: city, b: { ...city, 'x-mcp-header': 'CITY' } }), 'broken: two properties have the same x-mcp-header'],
    ['at the root',                      tool({}, { 'x-mcp-header': 'City' }),              'broken: x-mcp-header stands at the root of inputSchema'],
    ['in items',                         tool({ a: { type: 'array', items: city } }),       ELSEWHERE],
    ['in a property of items',           tool({ a: { type: 'array', items: { properties: { b: city } } } }), ELSEWHERE],
    ['in a choice',                      tool({ a: { oneOf: [{}, city] } }),                ELSEWHERE],
    ['in a choice at the root',          tool({}, { anyOf: [{ properties: { a: city } }] }), ELSEWHERE],
    ['in a condition',                   tool({}, { if: {}, else: { properties: { a: city } } }), ELSEWHERE],
    ['in a definition',                  tool({ a: { $ref: '#/$defs/c' } }, { $defs: { c: city } }), ELSEWHERE],
    ['in further properties',            tool({}, { additionalProperties: city }),          ELSEWHERE],
    ['in a property by pattern',         tool({}, { patternProperties: { '^a': city } }),   ELSEWHERE],
    ['in what must not be',              tool({ a: { not: { allOf: [city] } } }),           ELSEWHERE],
    ['too many',                         tool(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`p${i}`, { type: 'string', 'x-mcp-header': `P${i}` }]))), 'broken: it has more than 100 x-mcp-header annotations'],
  ])('%s', (_, text, expected) => {
    expect(annotations(text)).toBe(expected)
  })
})

const call = (args: string): Message => {
  const read = readMessage(
    Buffer.from(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"${args === '' ? '' : `,"arguments":${args}`}}}`,
    ),
    'client',
  )
  if (!read.ok) throw new TypeError(read.error)
  return read.value
}

const A: ParamHeader = { header: 'mcp-param-a', path: ['a'] }
const DEEP: ParamHeader = { header: 'mcp-param-a', path: ['a', 'b'] }

describe('a header and its argument', () => {
  // oxfmt-ignore
  test.each([
    ['equal',                          '{"a":"Bern"}',          'Bern',                 undefined],
    ['equal, with white space outside', '{"a":"Bern"}',         ' Bern\t',              undefined],
    ['equal, encoded',                 '{"a":"Zürich"}',        '=?base64?WsO8cmljaA==?=', undefined],
    ['equal, encoded without need',    '{"a":"a"}',             '=?base64?YQ==?=',      undefined],
    ['equal, the empty text',          '{"a":""}',              '',                     undefined],
    ['equal, escaped in the body',     '{"a":"\\u0042ern"}',    'Bern',                 undefined],
    ['different',                      '{"a":"Bern"}',          'Basel',                'different'],
    ['different in case',              '{"a":"Bern"}',          'bern',                 'different'],
    ['base64 that is not canonical',   '{"a":"a"}',             '=?base64?YQ?=',        'malformed'],
    ['base64 that is no text',         '{"a":"a"}',             '=?base64?/w==?=',      'malformed'],
    ['a marker in another case',       '{"a":"a"}',             '=?BASE64?YQ==?=',      'different'],
    ['text that had to be encoded',    '{"a":"é"}',             'é',                    'malformed'],
    ['missing',                        '{"a":"Bern"}',          undefined,              'missing'],
    ['missing, and the text is empty', '{"a":""}',              undefined,              'missing'],
    ['neither',                        '{}',                    undefined,              undefined],
    ['neither, no arguments at all',   '',                      undefined,              undefined],
    ['null, and no header',            '{"a":null}',            undefined,              undefined],
    ['null, and a header',             '{"a":null}',            'null',                 'unexpected'],
    ['absent, and a header',           '{"b":1}',               'x',                    'unexpected'],
    ['arguments that are no object',   '[1]',                   'x',                    'unexpected'],
    ['an object where a text belongs', '{"a":{}}',              '{}',                   'unexpected'],
    ['true',                           '{"a":true}',            'true',                 undefined],
    ['true and True',                  '{"a":true}',            'True',                 'different'],
    ['an integer',                     '{"a":42}',              '42',                   undefined],
    ['42.0 in the header',             '{"a":42}',              '42.0',                 undefined],
    ['42.0 in the body',               '{"a":42.0}',            '42',                   undefined],
    ['4.2e1 in the body',              '{"a":4.2e1}',           '42',                   undefined],
    ['4.2e1 in the header',            '{"a":42}',              '4.2e1',                'different'],
    ['minus zero',                     '{"a":0}',               '-0',                   undefined],
    ['another integer',                '{"a":42}',              '43',                   'different'],
    ['a text that is a number',        '{"a":"42"}',            '42.0',                 'different'],
    ['the last exact integer',         '{"a":9007199254740991}', '9007199254740991',    undefined],
    ['an integer beyond it',           '{"a":9007199254740993}', '9007199254740992',    'unexpected'],
  ] as const)('%s', (_, args, header, expected) => {
    expect(paramProblem(call(args), A, header)).toBe(expected)
  })

  test('deep inside', () => {
    expect(paramProblem(call('{"a":{"b":1}}'), DEEP, '1')).toBeUndefined()
    expect(paramProblem(call('{"a":1}'), DEEP, '1')).toBe('unexpected')
    expect(paramProblem(call('{"a":[{"b":1}]}'), DEEP, undefined)).toBeUndefined()
  })
})

test('headers that are made of arguments are equal to them', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.constant(null),
    fc.object({ maxDepth: 1 }),
  )
  fc.assert(
    fc.property(value, (a) => {
      const message = call(JSON.stringify({ a }))
      const header = paramHeadersOf(message, [A])?.['mcp-param-a']
      expect(header === undefined || /^[\x20-\x7e\t]*$/.test(header)).toBe(true)
      expect(paramProblem(message, A, header)).toBeUndefined()
    }),
  )
})

test('half a surrogate pair, which no header can carry, is equal to what stands for it', () => {
  const message = call(String.raw`{"a":"x\ud800"}`)
  expect(paramProblem(message, A, paramHeadersOf(message, [A])?.[A.header])).toBeUndefined()
})
