import { describe, expect, test } from 'vitest'
import { encodeOther } from './encode.ts'
import { createSigner } from './signer.ts'
import { isSigned, makeTips, tipsIn } from './tips.ts'

const signer = createSigner(new Uint8Array(32).fill(2))
const tips = [
  { chain: 'daemon-a', seq: 7, mac: 'x'.repeat(43) },
  { chain: 'daemon-b', seq: 1, mac: 'y'.repeat(43) },
]
const entry = makeTips('daemon-c', 5, tips, signer)

describe('what a chain says of others', () => {
  test('is found among other entries, and in no text of theirs', () => {
    const line = encodeOther(entry)
    const gap = encodeOther({ type: 'gap', atMs: 1, sinceMs: 1, entriesLost: 1 })
    const text = JSON.stringify({ type: 'intent', target: `\n${line}` })
    expect(tipsIn(line)).toEqual([entry])
    expect(tipsIn([gap, line, text, line].join('\n'))).toEqual([entry, entry])
    expect(tipsIn([gap, text].join('\n'))).toEqual([])
  })

  const [first, second] = [tips.slice(0, 1), tips.slice(1)]
  const later = [{ chain: 'daemon-a', seq: 8, mac: 'x'.repeat(43) }]
  const other = [{ chain: 'daemon-a', seq: 7, mac: 'z'.repeat(43) }]
  // oxfmt-ignore
  const changes = [
    ['another writer',   'daemon-d', entry],
    ['another time',     'daemon-c', { ...entry, atMs: 6 }],
    ['one tip less',     'daemon-c', { ...entry, tips: second }],
    ['another order',    'daemon-c', { ...entry, tips: second.concat(first) }],
    ['another segment',  'daemon-c', { ...entry, tips: later.concat(second) }],
    ['another MAC',      'daemon-c', { ...entry, tips: other.concat(second) }],
    ['no signature',     'daemon-c', { ...entry, sig: '' }],
  ] as const
  test('is signed for one writer, with all that it says', () => {
    expect(isSigned('daemon-c', entry, signer)).toBe(true)
    for (const [what, writer, changed] of changes)
      expect([what, isSigned(writer, changed, signer)]).toEqual([what, false])
  })

  test.each([
    '{"type":"tips"',
    '{"type":"tips"}',
    '{"type":"tips","tips":5,"sig":""}',
    '{"type":"tips","tips":[null],"sig":""}',
    '{"type":"tips","tips":[{"chain":"a","seq":"1","mac":""}],"sig":""}',
    '{"type":"tips","tips":[]}',
  ])('%s is none', (line) => {
    expect(() => tipsIn(line)).toThrow(SyntaxError)
  })
})
