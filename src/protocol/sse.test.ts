import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSseParser, sseMessage } from './sse.ts'

interface Seen {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

const BOUND = 1 << 20

/** What a stream says when it arrives in these chunks. */
function heard(...chunks: readonly (string | Buffer)[]): Seen[] {
  const seen: Seen[] = []
  const parser = createSseParser(BOUND, ({ event, data, id }) =>
    seen.push({ event, data: data.toString(), id }),
  )
  for (const chunk of chunks) expect(parser.feed(Buffer.from(chunk))).toBe(true)
  return seen
}

const said = (data: string, event = 'message', id?: string): Seen => ({ event, data, id })

// oxfmt-ignore
test.each([
  ['one event',                         'data: x\n\n',                       [said('x')]],
  ['a named event',                     'event: e\ndata: x\n\n',             [said('x', 'e')]],
  ['an empty event name',               'event:\ndata: x\n\n',               [said('x')]],
  ['a name that holds for one event',   'event: e\ndata: 1\n\ndata: 2\n\n',  [said('1', 'e'), said('2')]],
  ['lines joined by a line feed',       'data: a\ndata: b\ndata:\n\n',       [said('a\nb\n')]],
  ['one space taken off, not two',      'data:  x\n\n',                      [said(' x')]],
  ['no space at all',                   'data:x\n\n',                        [said('x')]],
  ['a colon in the data',               'data: {"a":1}\n\n',                 [said('{"a":1}')]],
  ['a field without a colon',           'data\n\n',                          [said('')]],
  ['a priming event: id, empty data',   'id: 1\ndata:\n\n',                  [said('', 'message', '1')]],
  ['an id that lasts',                  'id: 7\ndata: a\n\ndata: b\n\n',     [said('a', 'message', '7'), said('b', 'message', '7')]],
  ['an id with NUL is ignored',         'id: a\0b\ndata: x\n\n',             [said('x')]],
  ['carriage returns',                  'data: a\r\rdata: b\r\r',            [said('a'), said('b')]],
  ['carriage return and line feed',     'data: a\r\ndata: b\r\n\r\n',        [said('a\nb')]],
  ['a mixture of ends',                 'data: a\rdata: b\ndata: c\r\n\n',   [said('a\nb\nc')]],
  ['a byte order mark',                 '\ufeffdata: x\n\n',                 [said('x')]],
  ['a second byte order mark is text',  '\ufeff\ufeffdata: x\n\n',           []],
  ['a mark after the first line is text', ': c\n\ufeffdata: x\n\n',          []],
  ['comments',                          ': hello\ndata: x\n:\n\n',           [said('x')]],
  ['unknown fields',                    'datax: 1\nretryy: 2\ndata: x\n\n',  [said('x')]],
  ['field names in another case',       'Data: x\n\n',                       []],
  ['blank lines',                       '\n\n\r\n\n',                        []],
  ['an event without its blank line',   'data: x\n',                         []],
  ['an event without data',             'event: e\nid: 3\n\n',               []],
  ['unicode',                           'data: é😀\n\n',                      [said('é😀')]],
])('%s', (_, stream, expected) => {
  expect(heard(stream)).toEqual(expected)
})

// oxfmt-ignore
test.each([
  ['a number of ms',           'retry: 250\n\n', 250],
  ['no number',                'retry: soon\n\n', undefined],
  ['a negative number',        'retry: -1\n\n',  undefined],
  ['more than nine digits',    'retry: 9999999999\n\n', undefined],
])('retry: %s', (_, stream, expected) => {
  const parser = createSseParser(BOUND, () => {})
  parser.feed(Buffer.from(stream))
  expect(parser.retryMs).toBe(expected)
})

const PIECES = [
  'data: x',
  'data',
  'event: e',
  'id: 1',
  ': c',
  'retry: 5',
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  '\ufeff',
  'é😀',
  ' ',
  '',
]

test('however a stream is cut into chunks, it says the same', () => {
  const stream = fc
    .array(fc.constantFrom(...PIECES), { maxLength: 30 })
    .map((pieces) => Buffer.from(pieces.join('')))
  fc.assert(
    fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (bytes, cuts) => {
      const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
      const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end))
      expect(heard(...chunks)).toEqual(heard(bytes))
    }),
    { numRuns: 1000 },
  )
})

test('byte by byte it says the same', () => {
  const bytes = Buffer.from('\ufeffid: 1\r\ndata: é\r\rdata: b\n\n')
  expect(heard(...Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(heard(bytes))
})

test('what was given out does not change when the chunk is used again', () => {
  const chunk = Buffer.from('data: first\n\ndata: rest')
  const kept: Buffer[] = []
  const parser = createSseParser(BOUND, ({ data }) => kept.push(data))
  parser.feed(chunk)
  chunk.fill('#')
  parser.feed(Buffer.from('\n\n'))
  expect(kept.map(String)).toEqual(['first', 'rest'])
})

// oxfmt-ignore
test.each([
  ['one line as long as the bound',       ['data: 7890\n\n'],            true],
  ['one line longer than the bound',      ['data: 78901\n\n'],           false],
  ['a line that does not end',            ['data: 7890', '1'],           false],
  ['lines that add up',                   ['data:\n', 'data: \n\n'],    false],
  ['many events, each within the bound',  ['data: 1\n\n', 'data: 2\n\n', ': keep\n\n'], true],
  ['comments without end',                [': 34\n', ': 34\n', ': 34\n'], false],
])('a bound of 10 bytes: %s', (_, chunks, expected) => {
  const parser = createSseParser(10, () => {})
  expect(chunks.map((chunk) => parser.feed(Buffer.from(chunk))).every(Boolean)).toBe(expected)
})

test('a line of 8 MB in small chunks is put together without being looked at again and again', () => {
  const line = 'x'.repeat(1000)
  let length = 0
  const parser = createSseParser(16 << 20, ({ data }) => (length = data.length))
  parser.feed(Buffer.from('data: '))
  for (let i = 0; i < 8000; i++) parser.feed(Buffer.from(line))
  parser.feed(Buffer.from('\n\n'))
  expect(length).toBe(8_000_000)
})

test('a message that is written as an event is read as that message, on one line', () => {
  const pretty = JSON.stringify({ jsonrpc: '2.0', method: 'x', params: { text: 'two\nlines' } }, undefined, 2)
  const [event] = heard(sseMessage(pretty.replaceAll('\n', '\r\n')))
  expect(event?.event).toBe('message')
  expect(event?.data).not.toMatch(/[\r\n]/)
  expect(JSON.parse(event?.data ?? '')).toEqual(JSON.parse(pretty))
})
