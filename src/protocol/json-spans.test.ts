import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { elements, memberList, members } from './json-spans.ts'

const whole = (bytes: Buffer) => ({ start: 0, end: bytes.length })
const textOf = (bytes: Buffer, span: { start: number; end: number }): string =>
  bytes.toString('utf8', span.start, span.end)

const membersOf = (text: string): Record<string, string> => {
  const bytes = Buffer.from(text)
  return Object.fromEntries(
    [...members(bytes, whole(bytes))].map(([key, span]) => [key, textOf(bytes, span)]),
  )
}
const elementsOf = (text: string): string[] => {
  const bytes = Buffer.from(text)
  return elements(bytes, whole(bytes)).map((span) => textOf(bytes, span))
}

// oxfmt-ignore
test.each([
  ['none',                        '{ }',                              {}],
  ['scalars',                     '{"a":1,"b":-1e5,"c":true,"d":null}', { a: '1', b: '-1e5', c: 'true', d: 'null' }],
  ['white space left out',        '{ "a" : [ 1 ] \n, "b"\t:\r{ } }',  { a: '[ 1 ]', b: '{ }' }],
  ['brackets inside strings',     '{"a":"}],{","b":["]"]}',           { a: '"}],{"', b: '["]"]' }],
  ['escaped quotes',              '{"a\\"b":"\\\\","c":"\\""}',       { 'a"b': '"\\\\"', c: '"\\""' }],
  ['an escaped key',              '{"n\\u0061me":1}',                 { name: '1' }],
  ['the last of a repeated key',  '{"a":1,"b":2,"a":3}',              { a: '3', b: '2' }],
  ['nothing of an array',         '[{"a":1}]',                        {}],
  ['nothing of a string',         '"{}"',                             {}],
])('members: %s', (_, text, expected) => {
  expect(membersOf(text)).toEqual(expected)
})

test('the list of members keeps the order of the text and what is repeated', () => {
  const bytes = Buffer.from('{"a":1,"b":2,"a":3}')
  expect(memberList(bytes, whole(bytes)).map(({ key, keyStart, start }) => [key, keyStart, start])).toEqual([
    ['a', 1, 5],
    ['b', 7, 11],
    ['a', 13, 17],
  ])
})

// oxfmt-ignore
test.each([
  ['none',               '[ ]',                       []],
  ['of every kind',      '[1 , "],[" ,{"a":[2]}, [ ]]', ['1', '"],["', '{"a":[2]}', '[ ]']],
  ['nothing of an object', '{"a":[1]}',               []],
  ['nothing of a number', '7',                        []],
])('elements: %s', (_, text, expected) => {
  expect(elementsOf(text)).toEqual(expected)
})

test('what is found parses to what JSON.parse gives, at every place of the text', () => {
  const indent = fc.constantFrom(0, 2, '\t')
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })),
      fc.nat(3),
      indent,
      (object, pad, space) => {
        const text = ' '.repeat(pad) + JSON.stringify(object, undefined, space)
        const bytes = Buffer.from(`${text}  `)
        const span = { start: pad, end: Buffer.byteLength(text) }
        const found = [...members(bytes, span)].map(([key, at]) => [
          key,
          JSON.parse(textOf(bytes, at)) as unknown,
        ])
        expect(found).toEqual(Object.entries(JSON.parse(text) as object))
      },
    ),
  )
  fc.assert(
    fc.property(fc.array(fc.jsonValue({ maxDepth: 3 })), indent, (array, space) => {
      const text = JSON.stringify(array, undefined, space)
      expect(elementsOf(text).map((element) => JSON.parse(element) as unknown)).toEqual(JSON.parse(text))
    }),
  )
})
