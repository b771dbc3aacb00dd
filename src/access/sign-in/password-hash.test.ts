import { describe, expect, test } from 'vitest'
import { SecretValue } from '../../lib/secret-value.ts'
import { createPasswordHasher } from './password-hash.ts'
import { prepareNewPassword, preparePassword } from './password-rules.ts'

const cheap = { memoryKiB: 64, passes: 1, lanes: 1 }
const password = new SecretValue('correct horse battery staple')

describe('a hashed password', () => {
  test('is found right or wrong, and no two hashes of one are alike', async () => {
    const hasher = createPasswordHasher(cheap)
    const [one, other] = [await hasher.hash(password), await hasher.hash(password)]
    expect(one).toMatch(/^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(one).not.toBe(other)
    expect(await hasher.verify(password, new SecretValue(one))).toBe('right')
    expect(await hasher.verify(new SecretValue('correct horse battery stable'), new SecretValue(one))).toBe(
      'wrong',
    )
    expect(await hasher.verify(password, undefined)).toBe('wrong')
    expect(await hasher.verify(password, new SecretValue('$argon2id$damaged'))).toBe('wrong')
  })

  test('asks for a stronger hash when the cost has grown, and not when it has shrunk', async () => {
    const weak = new SecretValue(await createPasswordHasher(cheap).hash(password))
    const grown = createPasswordHasher({ memoryKiB: 128, passes: 1, lanes: 1 })
    expect(await grown.verify(password, weak)).toBe('rehash')
    expect(await grown.verify(new SecretValue('something else entirely'), weak)).toBe('wrong')
    const strong = new SecretValue(await grown.hash(password))
    expect(await createPasswordHasher(cheap).verify(password, strong)).toBe('right')
  })

  test('of a flood: some wait, the rest are told to come again, and all is free afterwards', async () => {
    const hasher = createPasswordHasher(cheap)
    const all = await Promise.allSettled(
      Array.from({ length: 200 }, () => hasher.verify(password, undefined)),
    )
    const refused = all.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(200 - 2 - 64)
    expect(refused[0]).toMatchObject({ reason: { code: 'too_many' } })
    expect(await hasher.verify(password, undefined)).toBe('wrong')
  })
})

describe('a password that is to be set', () => {
  test.each([
    ['eleven char', 'must have at least 12 characters'],
    ['aaaaaaaaaaaaaaaa', 'is too easy to guess'],
    ['ada@example.com', 'is too easy to guess'],
    ['with a\u0007bell in it', 'must be text without control characters'],
    ['half a pair \ud800 of it', 'must be text without control characters'],
    ['x1y2z3'.repeat(200), 'must be at most 1024 bytes long'],
  ])('is refused: %j', (text, why) => {
    expect(prepareNewPassword(text, 'ada@example.com')).toEqual({ ok: false, error: why })
  })

  test('twelve characters are enough, and are counted as people count them', () => {
    expect(prepareNewPassword('äöüäöüäöüä12', 'ada').ok).toBe(true)
    expect(prepareNewPassword('🔑🚪🏰🗝️👑⚔️🛡️🐎🏇🎠🦄', 'ada').ok).toBe(true)
  })

  test('is the same from every keyboard (RFC 8265): composed or not, whatever the space', () => {
    const of = (text: string): string | undefined => {
      const prepared = preparePassword(text)
      return prepared.ok ? prepared.value.reveal() : undefined
    }
    expect(of('caf\u0065\u0301 au\u00a0lait\u3000noir')).toBe('caf\u00e9 au lait noir')
    expect(of('Stays As It Is')).toBe('Stays As It Is')
    expect(of('')).toBeUndefined()
  })
})
