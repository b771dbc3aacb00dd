import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`

// oxfmt-ignore
test.each([
  ['a plain name',                        'get_weather',          'get_weather'],
  ['nothing',                             '',                     ''],
  ['spaces and tabs inside',              'a b\tc',               'a b\tc'],
  ['a space in front',                    ' a',                   base64(' a')],
  ['a tab behind',                        'a\t',                  base64('a\t')],
  ['a line break',                        'a\r\nX-Evil: 1',       base64('a\r\nX-Evil: 1')],
  ['NUL',                                 'a\0',                  base64('a\0')],
  ['DEL',                                 'a\x7f',                base64('a\x7f')],
  ['letters beyond ASCII',                'Zürich',               base64('Zürich')],
  ['an emoji',                            '😀',                   base64('😀')],
  ['what looks encoded already',          '=?base64?YQ==?=',      base64('=?base64?YQ==?=')],
  ['the opening marker alone',            '=?base64?YQ==',        '=?base64?YQ=='],
])('%s is written so that it can be read', (_, text, header) => {
  expect(encodeHeaderValue(text)).toBe(header)
  expect(decodeHeaderValue(header)).toBe(text)
})

// oxfmt-ignore
test.each([
  ['white space around it',          ' \tname \t',               'name'],
  ['white space around the markers', `  ${base64('é')} `,        'é'],
  ['empty base64',                   '=?base64??=',              ''],
  ['markers that overlap are text',  '=?base64?=',               '=?base64?='],
  ['markers in capitals are text',   '=?BASE64?YQ==?=',          '=?BASE64?YQ==?='],
  ['padding is missing',             '=?base64?YQ?=',            undefined],
  ['characters of another alphabet', '=?base64?_-8=?=',          undefined],
  ['no base64 at all',               '=?base64?a b?=',           undefined],
  ['bits left over',                 '=?base64?YR==?=',          undefined],
  ['bytes that are no UTF-8',        '=?base64?/w==?=',          undefined],
])('%s', (_, header, expected) => {
  expect(decodeHeaderValue(header)).toBe(expected)
})

test('every name survives the way there and back, and its header is visible ASCII, space or tab', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      const header = encodeHeaderValue(text)
      expect(header).toMatch(/^[\t\x20-\x7e]*$/)
      expect(decodeHeaderValue(header)).toBe(text)
    }),
  )
})
