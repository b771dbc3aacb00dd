import { randomBytes } from 'node:crypto'
import type { StubShape } from './define-provider.ts'

/**
 * What tells a stand-in from a credential, without knowing the credential: hex shapes cannot hold the word, so they
 * hold digits that look like it. No real token is likely to: 14 hex digits are 56 bits.
 */
const MARKS = { alphanumeric: 'castellanstub', hex: 'ca57e11a57ab00' } as const

const ALPHABETS = {
  alphanumeric: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
  hex: '0123456789abcdef',
} as const

/** Random characters at the end of each: at least 40 bits, so that two runs never share a stub. */
const MIN_RANDOM = 10

/** @returns a value with the prefix and the length of a real one, and nothing of a real one in it */
export function mintStub({ prefix, length, alphabet }: StubShape): string {
  const mark = MARKS[alphabet]
  const count = Math.max(MIN_RANDOM, length - prefix.length - mark.length)
  const letters = ALPHABETS[alphabet]
  // 256 is no multiple of 62: a slight preference for some letters does not matter in what is no secret.
  const random = Array.from(randomBytes(count), (byte) => letters.charAt(byte % letters.length)).join('')
  return `${prefix}${mark}${random}`
}

/** What stands in for the credential of a Server in the environment of an agent: MCP headers have no shape to keep. */
export const mintGrantStub = (grantId: string): string =>
  `castellan-stub-${grantId}-${randomBytes(9).toString('base64url')}`
