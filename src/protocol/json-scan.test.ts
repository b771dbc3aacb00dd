import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_DEPTH, scanJson, type Scanned, type ScanProblem, type Wanted } from './json-scan.ts'

const leaf = (index: number): Wanted => ({ index, children: undefined })
/** Wanted: the root, `a`, `a/b` and `method`. */
const WANTED: Wanted = {
  index: 0,
  children: [
    { key: 'a', value: { index: 1, children: [{ key: 'b', value: leaf(2) }] } },
    { key: 'method', value: leaf(3) },
  ],
}
const NOTHING: Wanted = { index: -1, children: undefined }

type Strictness = 'refuse' | 'below-wanted-ok'
const scan = (
  text: string | Buffer,
  duplicates: Strictness = 'refuse',
  wanted = WANTED,
): Scanned | ScanProblem => scanJson(Buffer.from(text), wanted, { size: 4, duplicates })

/** The verdict in one word. */
const verdict = (text: string | Buffer, duplicates: Strictness = 'refuse'): 'ok' | ScanProblem => {
  const scanned = scan(text, duplicates)
  return typeof scanned === 'string' ? scanned : 'ok'
}

/** The text at a wanted path, or undefined. */
function slice(text: string, index: number): string | undefined {
  const scanned = scan(text)
  if (typeof scanned === 'string') throw new TypeError(scanned)
  const start = scanned.at[2 * index] ?? -1
  return start < 0 ? undefined : Buffer.from(text).toString('utf8', start, scanned.at[2 * index + 1])
}

const parses = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const nested = (levels: number, open = '[', close = ']'): string => open.repeat(levels) + close.repeat(levels)
const objects = (levels: number): string => '{"k":'.repeat(levels) + '1' + '}'.repeat(levels)
const keys = (count: number, ...more: string[]): string =>
  `{${[...Array.from({ length: count }, (_, i) => `"k${i}":0`), ...more].join(',')}}`

// oxfmt-ignore
const ROWS: readonly (readonly [what: string, text: string | Buffer, verdict: 'ok' | ScanProblem])[] = [
  ['an empty object',                       '{}',                                   'ok'],
  ['an empty array',                        '[]',                                   'ok'],
  ['a bare string',                         '"x"',                                  'ok'],
  ['a bare number',                         '0',                                    'ok'],
  ['every literal',                         '[true,false,null]',                    'ok'],
  ['white space of all four kinds',         ' \t\r\n{ "a" :\t1 , "b" : [ ] } \n',   'ok'],
  ['every escape',                          '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"',   'ok'],
  ['an escaped lone surrogate',             '"\\ud800"',                            'ok'],
  ['an escaped NUL',                        '"\\u0000"',                            'ok'],
  ['numbers that a double cannot hold',     '[9007199254740993,1e400,-0,1E-7]',     'ok'],
  ['unicode as it is',                      '{"é😀":"日本"}',                        'ok'],
  ['U+2028 in a string',                    '"\u2028"',                             'ok'],
  ['DEL in a string',                       '"\x7f"',                               'ok'],
  ['nothing',                               '',                                     'syntax'],
  ['only white space',                      ' \n ',                                 'syntax'],
  ['a byte order mark',                     '\ufeff{}',                             'syntax'],
  ['a NUL outside of strings',              '{}\0',                                 'syntax'],
  ['a NUL inside a string',                 '"\0"',                                 'syntax'],
  ['a raw line feed inside a string',       '"a\nb"',                               'syntax'],
  ['vertical tab as white space',           '\v{}',                                 'syntax'],
  ['no-break space as white space',         '\u00a0{}',                             'syntax'],
  ['two values',                            '{}{}',                                 'syntax'],
  ['trailing bytes',                        '{} x',                                 'syntax'],
  ['a trailing comma in an object',         '{"a":1,}',                             'syntax'],
  ['a trailing comma in an array',          '[1,]',                                 'syntax'],
  ['a leading comma',                       '[,1]',                                 'syntax'],
  ['a missing comma',                       '[1 2]',                                'syntax'],
  ['a missing colon',                       '{"a" 1}',                              'syntax'],
  ['a missing value',                       '{"a":}',                               'syntax'],
  ['an unquoted key',                       '{a:1}',                                'syntax'],
  ['single quotes',                         "{'a':1}",                              'syntax'],
  ['a comment',                             '{/**/}',                               'syntax'],
  ['an open object',                        '{"a":1',                               'syntax'],
  ['an open array',                         '[1',                                   'syntax'],
  ['an open string',                        '"a',                                   'syntax'],
  ['a string that ends in a backslash',     '"a\\',                                 'syntax'],
  ['the wrong bracket',                     '[1}',                                  'syntax'],
  ['an unknown escape',                     '"\\x41"',                              'syntax'],
  ['a short \\u escape',                    '"\\u12"',                              'syntax'],
  ['a \\u escape that is not hexadecimal',  '"\\u00g0"',                            'syntax'],
  ['a leading zero',                        '01',                                   'syntax'],
  ['a leading plus',                        '+1',                                   'syntax'],
  ['a bare minus',                          '-',                                    'syntax'],
  ['a number that ends in a point',         '1.',                                   'syntax'],
  ['a number that begins with a point',     '.5',                                   'syntax'],
  ['a number that ends in e',               '1e',                                   'syntax'],
  ['a number that ends in a sign',          '1e+',                                  'syntax'],
  ['a hexadecimal number',                  '0x10',                                 'syntax'],
  ['NaN',                                   'NaN',                                  'syntax'],
  ['Infinity',                              '-Infinity',                            'syntax'],
  ['half a literal',                        'tru',                                  'syntax'],
  ['a literal in capitals',                 'True',                                 'syntax'],
  ['UTF-16',                                Buffer.from('{}', 'utf16le'),           'syntax'],
  ['a byte that is no UTF-8',               Buffer.from([0x22, 0xff, 0x22]),        'encoding'],
  ['a raw lone surrogate',                  Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'encoding'],
  ['an overlong slash',                     Buffer.from([0x22, 0xc0, 0xaf, 0x22]),  'encoding'],
  ['a cut character',                       Buffer.from([0x22, 0xe2, 0x82]),        'encoding'],
  ['as deep as is allowed',                 nested(MAX_DEPTH),                      'ok'],
  ['objects as deep as is allowed',         objects(MAX_DEPTH),                     'ok'],
  ['one level deeper',                      nested(MAX_DEPTH + 1),                  'depth'],
  ['one object deeper',                     objects(MAX_DEPTH + 1),                 'depth'],
  ['10,000 levels',                         nested(10_000),                         'depth'],
  ['10,000 levels that never close',        '['.repeat(10_000),                     'depth'],
  ['10,000 levels of objects',              objects(10_000),                        'depth'],
  ['brackets inside a string',              `"${'['.repeat(500)}"`,                 'ok'],
  ['the same key twice',                    '{"a":1,"a":1}',                        'duplicate-key'],
  ['the same key twice, once escaped',      '{"name":1,"n\\u0061me":2}',            'duplicate-key'],
  ['the same key twice, both escaped',      '{"\\u006eame":1,"n\\u0061me":2}',      'duplicate-key'],
  ['the same key twice, a slash escaped',   '{"a/b":1,"a\\/b":2}',                  'duplicate-key'],
  ['the empty key twice',                   '{"":1,"":2}',                          'duplicate-key'],
  ['__proto__ twice',                       '{"__proto__":1,"__proto__":2}',        'duplicate-key'],
  ['a pair twice, once as surrogates',      '{"😀":1,"\\ud83d\\ude00":2}',           'duplicate-key'],
  ['the same key twice, deep inside',       '{"a":[{"x":{"y":1,"y":2}}]}',          'duplicate-key'],
  ['the same key in two objects',           '[{"a":1},{"a":1}]',                    'ok'],
  ['the same key in parent and child',      '{"a":{"a":1},"b":{"b":1}}',            'ok'],
  ['keys that differ in case',              '{"a":1,"A":2}',                        'ok'],
  ['keys that look alike',                  '{"é":1,"e\u0301":2}',                  'ok'],
  ['keys whose simple hashes collide',      '{"Aa":1,"BB":2}',                      'ok'],
  ['colliding keys, one of them escaped',   '{"Aa":1,"\\u0042B":2}',                'ok'],
  ['an escape written out and the escape',  '{"\\\\u0061":1,"a":2}',                'ok'],
  ['thirteen keys',                         keys(13),                               'ok'],
  ['two hundred keys',                      keys(200),                              'ok'],
  ['the first of 13 keys again',            keys(13, '"k0":1'),                     'duplicate-key'],
  ['the last of 13 keys again',             keys(13, '"k12":1'),                    'duplicate-key'],
  ['the first of 200 keys again, escaped',  keys(200, '"\\u006b0":1'),              'duplicate-key'],
  ['the last of 200 keys again',            keys(200, '"k199":1'),                  'duplicate-key'],
  ['many keys inside many keys',            keys(30, `"in":${keys(30)}`, '"last":0'), 'ok'],
  ['a key again after a large value',       keys(30, `"in":${keys(30)}`, '"k3":0'), 'duplicate-key'],
]

test.each(ROWS)('%s', (_, text, expected) => {
  expect(verdict(text)).toBe(expected)
})

test('every verdict on syntax is the one of JSON.parse', () => {
  for (const [what, text, expected] of ROWS) {
    if (typeof text !== 'string' || expected === 'depth') continue
    expect(parses(text), what).toBe(expected !== 'syntax')
  }
})

// oxfmt-ignore
test.each([
  ['a repeated key that nobody reads', '{"x":{"y":1,"y":2}}',                'ok'],
  ['a repeated key below a wanted value', '{"a":{"b":{"c":1,"c":2}}}',       'ok'],
  ['a repeated key beside a wanted one', '{"a":{"x":1,"x":2}}',              'duplicate-key'],
  ['a wanted key twice',                 '{"method":1,"m\\u0065thod":2}',    'duplicate-key'],
  ['a key of the message twice',         '{"x":1,"x":2}',                    'duplicate-key'],
] as const)('from an upstream: %s', (_, text, expected) => {
  expect(verdict(text, 'below-wanted-ok')).toBe(expected)
})

// oxfmt-ignore
test.each([
  ['a value',                       '{"a":{"b":[1, 2]}}',                    2, '[1, 2]'],
  ['the whole text, trimmed',       ' {"a":1} ',                             0, '{"a":1}'],
  ['below an escaped key',          '{"\\u0061":{"\\u0062":7}}',             2, '7'],
  ['under an escaped name',         '{"\\u006dethod":"x"}',                  3, '"x"'],
  ['2^53 + 1 as it is written',     '{"a":9007199254740993}',                1, '9007199254740993'],
  ['1e400 as it is written',        '{"a":1e400}',                           1, '1e400'],
  ['-0 as it is written',           '{"a":-0}',                              1, '-0'],
  ['after unicode, in bytes',       '{"é😀":"日本","a":"ü"}',                 1, '"ü"'],
  ['with white space around it',    '{"a" :  [ ] , "method":1}',             1, '[ ]'],
  ['null',                          '{"method":null}',                       3, 'null'],
  ['nothing where it is absent',    '{"b":1}',                               2, undefined],
  ['nothing under another parent',  '{"x":{"b":1}}',                         2, undefined],
  ['nothing inside an array',       '{"a":[{"b":1}]}',                       2, undefined],
  ['nothing for a longer name',     '{"methods":1}',                         3, undefined],
] as const)('the place of a wanted path holds %s', (_, text, index, expected) => {
  expect(slice(text, index)).toBe(expected)
})

test('the first byte that is not white space is told', () => {
  expect(['{}', ' []', '\n"x"'].map((text) => (scan(text) as Scanned).opens)).toEqual([0x7b, 0x5b, 0x22])
})

const RUNS = { numRuns: 300 }

test('valid JSON is accepted, and its wanted values are those of JSON.parse', () => {
  const value = fc.jsonValue({ maxDepth: 5 })
  fc.assert(
    fc.property(value, value, value, fc.constantFrom(0, 1, '\t'), (a, b, other, indent) => {
      const text = JSON.stringify({ other, a: { b, c: a }, method: other }, undefined, indent)
      const parsed = JSON.parse(text) as { a: { b: unknown }; method: unknown }
      expect(JSON.parse(slice(text, 1) ?? '')).toEqual(parsed.a)
      expect(JSON.parse(slice(text, 2) ?? '')).toEqual(parsed.a.b)
      expect(JSON.parse(slice(text, 3) ?? '')).toEqual(parsed.method)
    }),
    RUNS,
  )
})

test('of texts that are nearly JSON, exactly those are accepted that JSON.parse accepts', () => {
  const damage = fc.record({
    at: fc.nat(),
    remove: fc.nat(2),
    insert: fc.stringMatching(/^["\\{}[\],:0-9eE+.\-tfn \n]{0,2}$/),
  })
  fc.assert(
    fc.property(fc.json({ maxDepth: 3 }), damage, (text, { at, remove, insert }) => {
      const where = at % (text.length + 1)
      const damaged = text.slice(0, where) + insert + text.slice(where + remove)
      if (!damaged.isWellFormed()) return
      const found = verdict(damaged)
      // A repeated key is told where it stands, whatever follows; everything else must agree.
      if (found !== 'duplicate-key') expect(found === 'ok').toBe(parses(damaged))
    }),
    { numRuns: 2000 },
  )
})

test('arbitrary bytes get a verdict; nothing throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const found = verdict(Buffer.from(bytes))
      if (found === 'ok') expect(parses(Buffer.from(bytes).toString())).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

/** A JSON string in which some UTF-16 units are written as escapes. */
function written(text: string, escape: readonly boolean[]): string {
  let out = ''
  for (const [i, char] of Array.from(text).entries()) {
    const units = Array.from({ length: char.length }, (_, n) => char.charCodeAt(n))
    out +=
      escape[i % escape.length] === true
        ? units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
        : JSON.stringify(char).slice(1, -1)
  }
  return `"${out}"`
}

test('a key is repeated exactly when it is the same after decoding, however it is written', () => {
  const name = fc.oneof(
    fc.constantFrom('a', 'Aa', 'BB', 'AaAa', 'BBBB', 'é', '😀', '"', '\\'),
    fc.string({ maxLength: 3 }),
  )
  const key = fc.tuple(name, fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }))
  fc.assert(
    fc.property(fc.array(key, { maxLength: 40 }), (list) => {
      const text = `{${list.map(([name, escape]) => `${written(name, escape)}:0`).join(',')}}`
      const names = list.map(([name]) => name)
      expect(parses(text)).toBe(true)
      expect(verdict(text)).toBe(new Set(names).size === names.length ? 'ok' : 'duplicate-key')
    }),
    RUNS,
  )
})

/** All strings of this many pairs in which each pair is one of two that collide under `hash * 31 + c`. */
const colliding = (pairs: number): string[] =>
  Array.from({ length: 2 ** pairs }, (_, n) =>
    Array.from({ length: pairs }, (_, i) => ((n >> i) & 1 ? 'Aa' : 'BB')).join(''),
  )

test('keys that were made to collide are told apart, in a number that quadratic work would not get through', () => {
  const names = colliding(14)
  const text = (more: string): Buffer =>
    Buffer.from(`{${names.map((name) => `"${name}":0`).join(',')}${more}}`)
  const scanAll = (more: string) => scanJson(text(more), NOTHING, { size: 1, duplicates: 'refuse' })
  expect(scanAll('')).toHaveProperty('opens', 0x7b)
  expect(scanAll(`,"${names[77]}":0`)).toBe('duplicate-key')
})
