import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readMessage, type Message } from '../message.ts'
import { splice } from '../splice.ts'
import { toLegacyResult, toModernResult } from './result.ts'

const message = (text: string): Message => {
  const found = readMessage(Buffer.from(text), 'upstream')
  if (!found.ok) throw new TypeError(found.error)
  return found.value
}

const INFO = '{"name":"s","version":"1"}'
const META = `"_meta":{"io.modelcontextprotocol/serverInfo":${INFO}}`
const answer = (result: string): string => `{"jsonrpc":"2.0","id":1,"result":${result}}`

const modern = (result: string, method = 'prompts/get', info: string | undefined = INFO): string =>
  splice(Buffer.from(answer(result)), toModernResult(message(answer(result)), method, info)).toString()
const legacy = (result: string): string =>
  splice(Buffer.from(answer(result)), toLegacyResult(message(answer(result)))).toString()

// oxfmt-ignore
test.each([
  ['an empty result',                 'prompts/get',    '{}',                          `{"resultType":"complete",${META}}`],
  ['numbers as they are',             'tools/call',     '{"content":[1e400,-0,9007199254740993]}', `{"resultType":"complete",${META},"content":[1e400,-0,9007199254740993]}`],
  ['a tool result without content',   'tools/call',     '{"isError":true}',            `{"resultType":"complete","content":[],${META},"isError":true}`],
  ['a read resource',                 'resources/read', '{"contents":[]}',             `{"resultType":"complete","ttlMs":0,"cacheScope":"private",${META},"contents":[]}`],
  ['hints that are there already',    'resources/read', '{"contents":[],"ttlMs":5,"cacheScope":"public"}', `{"resultType":"complete",${META},"contents":[],"ttlMs":5,"cacheScope":"public"}`],
  ['a result type of its own',        'prompts/get',    '{"resultType":"task"}',       `{${META},"resultType":"task"}`],
  ['a _meta of its own',              'prompts/get',    '{"_meta":{"a":1}}',           `{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":${INFO},"a":1}}`],
  ['an empty _meta',                  'prompts/get',    '{"_meta":{}}',                `{"resultType":"complete",${META}}`],
  ['a _meta that is null',            'prompts/get',    '{"_meta":null,"a":1}',        `{"resultType":"complete",${META},"a":1}`],
  ['a _meta that is a string',        'prompts/get',    '{"a":1,"_meta":"x"}',         `{"resultType":"complete","a":1,${META}}`],
  ['who answered, told already',      'prompts/get',    '{"_meta":{"io.modelcontextprotocol/serverInfo":{}}}', '{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}}}'],
  ['a result that is no object',      'prompts/get',    '[1]',                         '[1]'],
])('to a modern client: %s', (_, method, result, expected) => {
  expect(modern(result, method)).toBe(answer(expected))
})

test('to a modern client, a server without a name is not given one', () => {
  const text = answer('{"_meta":null}')
  expect(splice(Buffer.from(text), toModernResult(message(text), 'prompts/get', undefined)).toString()).toBe(
    answer('{"resultType":"complete","_meta":null}'),
  )
})

// oxfmt-ignore
test.each([
  ['what only the modern era knows',  `{"resultType":"complete","ttlMs":1,"a":-0,"cacheScope":"private"}`, '{"a":-0}'],
  ['nothing else',                    '{"a":1e400}',                        '{"a":1e400}'],
  ['who answered',                    `{"a":1,"_meta":{"x":1,"io.modelcontextprotocol/serverInfo":${INFO}}}`, '{"a":1,"_meta":{"x":1}}'],
  ['structured content: an object',   '{"structuredContent":{"a":1}}',      '{"structuredContent":{"a":1}}'],
  ['structured content: an array',    '{"structuredContent":[1],"resultType":"complete"}', '{"content":[{"type":"text","text":"[1]"}],"structuredContent":{"result":[1]}}'],
  ['structured content: a number',    '{"structuredContent": 1e400 }',      '{"content":[{"type":"text","text":"1e400"}],"structuredContent": {"result":1e400} }'],
  ['structured content: null',        '{"resultType":"complete","content":[],"structuredContent":null}', '{"content":[{"type":"text","text":"null"}],"structuredContent":{"result":null}}'],
  ['structured content, and a text',  '{"content":[{"type":"text","text":"one"}],"structuredContent":1}', '{"content":[{"type":"text","text":"one"}],"structuredContent":{"result":1}}'],
  ['a _meta that is null',            '{"_meta":null}',                     '{"_meta":null}'],
  ['a result that is no object',      '7',                                  '7'],
])('to a legacy client: %s', (_, result, expected) => {
  expect(legacy(result)).toBe(answer(expected))
})

test('there and back, a result means what it meant', () => {
  const key = fc.constantFrom('content', 'a', 'é', 'contents', 'isError')
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.jsonValue({ maxDepth: 2 })),
      fc.constantFrom(0, 1),
      (result, indent) => {
        const text = JSON.stringify({ content: [], ...result }, undefined, indent)
        const there = (JSON.parse(modern(text, 'tools/call')) as { result: object }).result
        expect(there).toMatchObject({ resultType: 'complete' })
        const back = (JSON.parse(legacy(JSON.stringify(there))) as { result: object }).result
        expect(back).toEqual({ ...(JSON.parse(text) as object), _meta: {} })
      },
    ),
  )
})
