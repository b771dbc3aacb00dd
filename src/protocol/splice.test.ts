import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { splice, type Edit } from './splice.ts'

const edited = (text: string, ...edits: Edit[]): string => splice(Buffer.from(text), edits).toString()
const at = (start: number, end: number, text: string): Edit => ({ start, end, text })

// oxfmt-ignore
test.each([
  ['nothing',                          edited('abc'),                                   'abc'],
  ['a replacement',                    edited('abc', at(1, 2, 'XYZ')),                  'aXYZc'],
  ['a removal',                        edited('abc', at(0, 2, '')),                     'c'],
  ['an insertion at the start',        edited('abc', at(0, 0, '_')),                    '_abc'],
  ['an insertion at the end',          edited('abc', at(3, 3, '_')),                    'abc_'],
  ['the whole',                        edited('abc', at(0, 3, '')),                     ''],
  ['edits out of order',               edited('abcdef', at(4, 5, 'E'), at(0, 1, 'A')),  'AbcdEf'],
  ['edits that touch',                 edited('abcdef', at(2, 4, 'x'), at(0, 2, 'y')),  'yxef'],
  ['an insertion before a removal',    edited('abc', at(1, 2, ''), at(1, 1, '_')),      'a_c'],
  ['two insertions at one place, in the order given', edited('ab', at(1, 1, '1'), at(1, 1, '2')), 'a12b'],
  ['longer text in more bytes',        edited('aéb', at(1, 3, '日本')),                  'a日本b'],
])('%s', (_, result, expected) => {
  expect(result).toBe(expected)
})

test('without edits the bytes are not copied', () => {
  const bytes = Buffer.from('abc')
  expect(splice(bytes, [])).toBe(bytes)
})

test('whatever the edits and their order, the parts between them stay as they are', () => {
  const part = fc.string({ unit: 'binary', maxLength: 5 })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(part, part, part), { maxLength: 8 }),
      fc.infiniteStream(fc.nat()),
      (parts, order) => {
        let source = ''
        let expected = ''
        const edits: Edit[] = []
        for (const [kept, before, after] of parts) {
          source += kept
          const start = Buffer.byteLength(source)
          source += before
          edits.push(at(start, Buffer.byteLength(source), after))
          expected += kept + after
        }
        const shuffled = edits
          .map((edit, i) => ({ edit, i, rank: edit.start === edit.end ? 0 : (order.next().value ?? 0) }))
          .toSorted((a, b) => a.rank - b.rank || a.i - b.i)
        expect(edited(source, ...shuffled.map(({ edit }) => edit))).toBe(expected)
      },
    ),
  )
})
