import { expect, test } from 'vitest'
import { bridgeListedItem } from './listed-item.ts'

const bridged = (item: string, from: 'legacy' | 'modern', to: 'legacy' | 'modern'): string =>
  bridgeListedItem(Buffer.from(item), [], { from, to }).toString()

const tool = (outputSchema: string): string => `{"name":"t","outputSchema":${outputSchema},"x":1e400}`
const wrapped = (schema: string, dialect = ''): string =>
  tool(`{${dialect}"type":"object","properties":{"result":${schema}},"required":["result"]}`)

// oxfmt-ignore
test.each([
  ['an object schema stays',            tool('{"type":"object","maxProperties":1e400}'), tool('{"type":"object","maxProperties":1e400}')],
  ['no schema stays none',              '{"name":"t"}',                    '{"name":"t"}'],
  ['an array',                          tool('{"type":"array"}'),          wrapped('{"type":"array"}')],
  ['several types',                     tool('{"type":["object","null"]}'), wrapped('{"type":["object","null"]}')],
  ['no type at all',                    tool('{}'),                        wrapped('{}')],
  ['a boolean schema',                  tool('true'),                      wrapped('true')],
  ['what is no schema',                 tool('null'),                      tool('null')],
  ['what is no schema either',          tool('"object"'),                  tool('"object"')],
  ['numbers as they are',               tool('{"const":9007199254740993,"maximum":1e400,"minimum":-0}'), wrapped('{"const":9007199254740993,"maximum":1e400,"minimum":-0}')],
  ['the dialect goes to the root',      tool('{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"array"}'), wrapped('{"type":"array"}', '"$schema":"https://json-schema.org/draft/2020-12/schema",')],
  ['pointers are moved, everywhere',    tool('{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#"}]},"$defs":{"a":{}}}'), wrapped('{"type":"array","items":{"anyOf":[{"$ref":"#/properties/result/$defs/a"},{"$ref":"#/properties/result"}]},"$defs":{"a":{}}}')],
  ['anchors and other documents stay',  tool('{"anyOf":[{"$ref":"#here"},{"$ref":"https://example.com/s#/a"}]}'), wrapped('{"anyOf":[{"$ref":"#here"},{"$ref":"https://example.com/s#/a"}]}')],
  ['a property that is named $ref',     tool('{"properties":{"$ref":{"type":"string"}}}'), wrapped('{"properties":{"$ref":{"type":"string"}}}')],
  ['properties that are true or false', '{"name":"t","inputSchema":{"type":"object","properties":{"a":true,"b":false,"c":{"items":true}}}}', '{"name":"t","inputSchema":{"type":"object","properties":{"a":{},"b":{"not":{}},"c":{"items":true}}}}'],
])('modern to legacy: %s', (_, item, expected) => {
  expect(bridged(item, 'modern', 'legacy')).toBe(expected)
  JSON.parse(expected)
})

// oxfmt-ignore
test.each([
  ['how to make tasks is left out',     '{"name":"t","execution":{"taskSupport":"required"},"x":-0}', '{"name":"t","x":-0}'],
  ['said twice, left out twice',        '{"execution":1,"name":"t","execution":2}', '{"name":"t"}'],
  ['everything else stays',             '{ "name" : "t" , "icons":[1e400] }',       '{ "name" : "t" , "icons":[1e400] }'],
])('legacy to modern: %s', (_, item, expected) => {
  expect(bridged(item, 'legacy', 'modern')).toBe(expected)
})

test('within one era nothing is touched but the name', () => {
  const item = Buffer.from('{"execution":1,"name":"t","outputSchema":{"type":"array"}}')
  const edits = [{ start: 22, end: 25, text: '"srv__t"' }]
  for (const era of ['legacy', 'modern'] as const) {
    expect(bridgeListedItem(item, edits, { from: era, to: era }).toString()).toBe(
      '{"execution":1,"name":"srv__t","outputSchema":{"type":"array"}}',
    )
  }
})

test('the name and the era are changed together', () => {
  const item = Buffer.from('{"execution":1,"name":"t"}')
  const edits = [{ start: 22, end: 25, text: '"srv__t"' }]
  expect(bridgeListedItem(item, edits, { from: 'legacy', to: 'modern' }).toString()).toBe('{"name":"srv__t"}')
})
