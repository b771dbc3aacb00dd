import { expect, test } from 'vitest'
import { readLines, TOO_LONG } from './read-lines.ts'

async function linesOf(...chunks: string[]): Promise<readonly string[]> {
  const found: string[] = []
  async function* input(): AsyncGenerator<Buffer> {
    for (const chunk of chunks) yield Buffer.from(chunk)
  }
  for await (const line of readLines(input(), 8)) found.push(line === TOO_LONG ? 'too long' : line.toString())
  return found
}

// oxfmt-ignore
test.each([
  ['nothing',                              [''],                          []],
  ['one line',                             ['abc\n'],                     ['abc']],
  ['a line that is not ended',             ['abc'],                       ['abc']],
  ['several in one piece',                 ['a\nb\nc'],                   ['a', 'b', 'c']],
  ['one in several pieces',                ['a', 'b', 'c\nd\n'],          ['abc', 'd']],
  ['a character cut in two',               ['\u00e9'],                    ['\u00e9']],
  ['empty ones, with and without CR',      ['\n\r\na\n\n'],               ['a']],
  ['a CR before the end is white space',   ['a\r\n'],                     ['a\r']],
  ['just as long as it may be',            ['12345678\n'],                ['12345678']],
  ['too long, in one piece',               ['123456789\nb\n'],            ['too long', 'b']],
  ['too long, in many',                    ['1234', '5678', '9', '\nb'],  ['too long', 'b']],
  ['too long and never ended',             ['123456789'],                 ['too long']],
])('%s', async (_, chunks, lines) => {
  expect(await linesOf(...chunks)).toEqual(lines)
})
