import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { chunked, damaged, fuzz, FUZZ_TIMEOUT_MS, jsonText } from '../../test/fixtures/fuzz.ts'
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'
import { rawAt, readMessage } from './message.ts'
import { createSseParser, type SseEvent } from './sse.ts'

/** Whatever bytes come: a verdict, and never an exception, a hang or a message that is none. */

const KEYS = [
  'jsonrpc',
  'id',
  'method',
  'params',
  'result',
  'error',
  '_meta',
  'name',
  'code',
  'progressToken',
]

const frame = fc
  .tuple(
    fc.constantFrom('"id":1,', '"id":"x",', '"id":null,', '"id":1.5,', '', '"id":{},', '"id":1,"id":2,'),
    fc.constantFrom('"method":"tools/call",', '"method":"a",', '"method":7,', ''),
    fc.constantFrom('"params":', '"result":', '"error":'),
    jsonText(KEYS, 4),
  )
  .map(([id, method, part, value]) => `{"jsonrpc":"2.0",${id}${method}${part}${value}}`)

function judge(bytes: Buffer): void {
  for (const from of ['client', 'upstream'] as const) {
    const read = readMessage(bytes, from)
    if (read.ok) {
      const parsed = JSON.parse(bytes.toString()) as Record<string, unknown>
      expect(parsed['jsonrpc']).toBe('2.0')
      expect(read.value.method).toBe(parsed['method'] ?? '')
      if (read.value.idText !== undefined) expect(JSON.parse(read.value.idText)).toEqual(parsed['id'])
      const params = rawAt(read.value, 'params')
      if (params !== undefined) expect(() => void JSON.parse(params)).not.toThrow()
    } else if (read.error === 'batch') {
      expect(Array.isArray(JSON.parse(bytes.toString()))).toBe(true)
    } else if (read.error === 'syntax') {
      expect(() => void JSON.parse(bytes.toString())).toThrow()
    }
  }
}

test('frames: arbitrary bytes', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(fc.uint8Array({ maxLength: 200 }), (bytes) => judge(Buffer.from(bytes)))
})

test('frames: messages of all kinds', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(frame, (text) => judge(Buffer.from(text)))
})

test('frames: damaged messages', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(damaged(frame), judge)
})

test('headers: any text survives, any header gets a verdict', { timeout: FUZZ_TIMEOUT_MS }, () => {
  const shaped = fc.string({ unit: 'grapheme-ascii' }).map((text) => `=?base64?${text}?=`)
  fuzz(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), shaped), (text) => {
    const header = encodeHeaderValue(text)
    expect(header).toMatch(/^[\x20-\x7e\t]*$/)
    if (text.isWellFormed()) expect(decodeHeaderValue(header)).toBe(text)
    const decoded = decodeHeaderValue(text)
    if (decoded !== undefined) expect(decodeHeaderValue(encodeHeaderValue(decoded))).toBe(decoded)
  })
})

interface Heard {
  readonly event: string
  readonly data: string
  readonly id: string | undefined
}

/** The algorithm of the standard, on the whole text at once (WHATWG HTML, 9.2.6). */
function heardByTheBook(text: string): Heard[] {
  const heard: Heard[] = []
  let data: string[] = []
  let event = ''
  let id: string | undefined
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)
  // What follows the last line end is no line.
  for (const line of lines.slice(0, -1)) {
    if (line === '') {
      if (data.length > 0) heard.push({ event: event === '' ? 'message' : event, data: data.join('\n'), id })
      data = []
      event = ''
      continue
    }
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') data.push(value)
    else if (field === 'event') event = value
    else if (field === 'id' && !value.includes('\0')) id = value
  }
  return heard
}

// oxfmt-ignore
const PIECES = [
  'data: {"a":1}', 'data:', 'data', 'event: e', 'id: 1', 'id: a\0', ': comment', 'retry: 5', 'é😀', ' ', ':', '\ufeff',
  '\n', '\r', '\r\n', '\n\n', '\r\r', '\r\n\r\n', 'dat', 'a: x',
]

test('event streams: cut anywhere, they say what the standard says', { timeout: FUZZ_TIMEOUT_MS }, () => {
  const stream = fc.array(fc.constantFrom(...PIECES), { maxLength: 24 }).map((pieces) => pieces.join(''))
  fuzz(fc.tuple(stream, fc.array(fc.nat(), { maxLength: 10 })), ([text, cuts]) => {
    const heard: Heard[] = []
    const parser = createSseParser(1 << 20, ({ event, data, id }: SseEvent) =>
      heard.push({ event, data: data.toString(), id }),
    )
    for (const chunk of chunked(Buffer.from(text), cuts)) expect(parser.feed(chunk)).toBe(true)
    expect(heard).toEqual(heardByTheBook(text))
  })
})

test('event streams: arbitrary bytes, and a bound that holds', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(), { maxLength: 6 })), ([bytes, cuts]) => {
    let size = 0
    const parser = createSseParser(64, ({ data }) => (size = Math.max(size, data.length)))
    for (const chunk of chunked(Buffer.from(bytes), cuts)) if (!parser.feed(chunk)) break
    expect(size).toBeLessThanOrEqual(64)
  })
})

test('event streams: an event of 10 MB, in small chunks, between comments and with every kind of line end', () => {
  const text = `é${'x'.repeat(10 << 20)}😀`
  const stream = Buffer.from(`: hello\r\n\r\ndata: ${text}\rdata: end\r\r: bye\n\n`)
  const heard: string[] = []
  const parser = createSseParser(16 << 20, ({ data }) => heard.push(data.toString()))
  for (let at = 0; at < stream.length; at += 4093) parser.feed(stream.subarray(at, at + 4093))
  expect(heard).toEqual([`${text}\nend`])
})
