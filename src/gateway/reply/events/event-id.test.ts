import { expect, test } from 'vitest'
import { eventIds, parseEventId } from './event-id.ts'

// oxfmt-ignore
test.each([
  ['a number',                      '7',                    '7'],
  ['a number larger than doubles',  '9007199254740993',     '9007199254740993'],
  ['a text',                        '"a b\\"c"',            '"a b\\"c"'],
  ['a text that is too long',       `"${'x'.repeat(300)}"`, undefined],
  ['none: a stream of the session', undefined,              undefined],
])('the id of an event says where it is from, and %s as the request', (_, request, back) => {
  const ids = eventIds('Ab-_0123', '2f', request)
  expect(parseEventId(ids.at(12))).toEqual({ epoch: 'Ab-_0123', stream: '2f', n: 12, request: back })
  expect(parseEventId(ids.at('end'))).toMatchObject({ n: 'end', stream: '2f' })
  // It is a header and a line of an event stream.
  expect(ids.at(12)).toMatch(/^[\x21-\x7e]+$/)
})

const b64 = (text: string) => Buffer.from(text).toString('base64url')

// oxfmt-ignore
test.each([
  '', '1', 'a.b', 'a.b.c', 'epoch.1.1.', 'epoch.1.-1', 'epoch.1.1e3', 'épo.1.1', 'epoch..1', 'epoch.1.end.', 'a b.1.1',
  `epoch.1.${'9'.repeat(13)}`, 'x'.repeat(17) + '.1.1', `epoch.1.1.${'a'.repeat(1300)}`,
])('%j is the id of no event of ours', (text) => {
  expect(parseEventId(text)).toBeUndefined()
})

test.each(['{}', '[1]', 'null', 'true', '1.5', '1e9', '"a', '', '{"a":1}', '\u0000'])(
  'what a client says that its request was called, and no request is called: %j',
  (text) => {
    expect(parseEventId(`epoch.1.1.${b64(text)}x`)?.request).toBeUndefined()
    if (text !== '') expect(parseEventId(`epoch.1.1.${b64(text)}`)?.request).toBeUndefined()
  },
)
