import { expect, test } from 'vitest'
import { isUid, mintBootEpoch, mintSessionId, mintUid } from './id.ts'

test('uids sort by the time they were made', () => {
  const times = [0, 1, 31, 32, 1_000_000, 1_795_000_000_000, 32 ** 10 - 1]
  const uids = times.map((atMs) => mintUid('srv', atMs))
  expect(uids.toSorted()).toEqual(uids)
  for (const uid of uids) expect(isUid(uid)).toBe(true)
})

// oxfmt-ignore
test.each([
  ['a name',                         'my-server'],
  ['a prefix without the rest',      'srv_'],
  ['a letter that is left out',      `srv_${'i'.repeat(26)}`],
  ['one character too few',          `srv_${'0'.repeat(25)}`],
  ['one character too many',         `srv_${'0'.repeat(27)}`],
  ['no prefix',                      `_${'0'.repeat(26)}`],
  ['another line after it',          `srv_${'0'.repeat(26)}\n`],
])('%s is no uid', (_, text) => {
  expect(isUid(text)).toBe(false)
})

test('nothing that is minted comes twice, even at one time', () => {
  for (const mint of [() => mintUid('srv', 5), mintSessionId, mintBootEpoch])
    expect(new Set(Array.from({ length: 500 }, () => mint())).size).toBe(500)
})

test('session ids are visible ASCII of 192 bits (MCP, session management)', () => {
  expect(mintSessionId()).toMatch(/^[\x21-\x7e]{32}$/)
})
