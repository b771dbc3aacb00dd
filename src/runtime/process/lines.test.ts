import { expect, test } from 'vitest'
import { createLineSplitter } from './lines.ts'

function split(maxBytes: number, chunks: readonly string[]): { lines: string[]; taken: boolean[] } {
  const lines: string[] = []
  const splitter = createLineSplitter(maxBytes, (line) => lines.push(line.toString()))
  const taken = chunks.map((chunk) => splitter.push(Buffer.from(chunk)))
  splitter.end()
  return { lines, taken }
}

test.each([
  ['whole lines', ['a\nb\n'], ['a', 'b']],
  ['a line in pieces', ['a', 'b', 'c\nd\n'], ['abc', 'd']],
  ['a newline of its own', ['ab', '\n'], ['ab']],
  ['a last line without newline', ['a\nb'], ['a', 'b']],
  ['empty lines', ['\n\r\n\n', 'a\n\n'], ['a']],
  ['carriage returns, also cut off from their newline', ['a\r', '\nb\r\n'], ['a', 'b']],
  ['a line as long as the bound', ['12345678\n'], ['12345678']],
])('%s', (_what, chunks, expected) => {
  expect(split(8, chunks).lines).toEqual(expected)
})

test('a line past the bound, in one chunk or in many, stops everything', () => {
  expect(split(8, ['a\n123456789', '\nb\n'])).toEqual({ lines: ['a'], taken: [false, false] })
  expect(split(8, ['12345', '6789', '\n'])).toEqual({ lines: [], taken: [true, false, false] })
})
