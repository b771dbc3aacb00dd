import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { mintToken } from './token.ts'

test('a token is cst_ and 256 bits; stored are its digest and a prefix', () => {
  const { secret, digest, prefix } = mintToken(new Uint8Array(32).fill(255))
  expect(secret.reveal()).toBe(`cst_${'_'.repeat(42)}8`)
  expect(digest).toBe(hash('sha256', secret.reveal(), 'hex'))
  expect(prefix).toBe('cst_______')
  expect(mintToken().digest).not.toBe(mintToken().digest)
})
