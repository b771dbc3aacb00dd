import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createPeerSigner, digestOf } from './sign.ts'

const key = randomBytes(32)
const signer = createPeerSigner(key)
const PATH = '/peer/v1/park'
const CLAIM = {
  from: 'AAAAAAAA',
  to: 'BBBB-BB_',
  atMs: 1_700_000_000_000,
  nonce: randomBytes(16).toString('base64url'),
  digest: digestOf('{}'),
}

test('what is signed is read again, for this path only, and with this key only', () => {
  const header = signer.sign(PATH, CLAIM)
  expect(signer.read(PATH, header)).toEqual(CLAIM)
  expect(signer.read('/peer/v1/session', header)).toBeUndefined()
  expect(createPeerSigner(randomBytes(32)).read(PATH, header)).toBeUndefined()
})

test('no part of it can be changed', () => {
  const header = signer.sign(PATH, CLAIM)
  const changed = [
    header.replace('from=AAAAAAAA', 'from=AAAAAAAB'),
    header.replace('to=BBBB-BB_', 'to=BBBB-BBB'),
    header.replace('at=1700000000000', 'at=1700000000001'),
    // The length of each part counts: nothing can move from one to the next.
    header.replace('from=AAAAAAAA; to=BBBB-BB_', 'from=AAAAAAAAB; to=BBB-BB_'),
    header.replace(CLAIM.nonce, randomBytes(16).toString('base64url')),
    header.replace(CLAIM.digest, digestOf('{ }')),
    header.slice(0, -1),
    `${header} `,
    '',
  ]
  expect(changed.map((text) => signer.read(PATH, text))).toEqual(changed.map(() => undefined))
  expect(signer.read(PATH, undefined)).toBeUndefined()
})

test('a line of an answer belongs to one request and to one place in it', () => {
  const { nonce } = CLAIM
  const line = signer.signLine({ nonce, n: 3 }, 'l{"a":"ü"}')
  expect(signer.readLine({ nonce, n: 3 }, line)).toBe('l{"a":"ü"}')
  expect(signer.readLine({ nonce, n: 4 }, line)).toBeUndefined()
  expect(signer.readLine({ nonce: 'other', n: 3 }, line)).toBeUndefined()
  expect(signer.readLine({ nonce, n: 3 }, line.replace('ü', 'u'))).toBeUndefined()
  expect(signer.readLine({ nonce, n: 3 }, 'short')).toBeUndefined()
})
