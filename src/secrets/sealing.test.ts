import { createSecretKey, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { assert, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { asFault } from '../lib/fault.ts'
import { SecretValue } from '../lib/secret-value.ts'
import type { MasterKey } from './keys/key.ts'
import { createSealer, type Sealed, type SealedWhere } from './sealing.ts'

const master = (id: string): MasterKey => ({ id, key: createSecretKey(randomBytes(32)) })
const KEY = master('mk_1111111111111111')
const HERE: SealedWhere = { kind: 'Secret', uid: 'sec_1', field: 'token' }

function refusalOf(open: () => unknown): { code: string; hint: string | undefined; shown: string } {
  try {
    open()
  } catch (error) {
    const fault = asFault(error)
    return { code: fault.code, hint: fault.hint, shown: inspect(fault) }
  }
  throw new Error('it opened')
}

test('what is sealed opens again, in this process and in the next', () => {
  assert(
    property(string({ unit: 'grapheme', maxLength: 200 }), (text) => {
      const sealed = createSealer(KEY).seal(HERE, new SecretValue(text))
      expect(createSealer(KEY).open(HERE, sealed).reveal()).toBe(text)
    }),
    { numRuns: 50 },
  )
})

test('nothing of the value is in what is stored, and the same value is never sealed the same', () => {
  const sealer = createSealer(KEY)
  const seal = (): Sealed => sealer.seal(HERE, new SecretValue('correct horse battery'))
  const [first, second] = [seal(), seal()]
  expect(Buffer.from(first.ciphertext, 'base64').toString('latin1')).not.toContain('correct')
  expect(first.ciphertext).not.toBe(second.ciphertext)
  expect(first.nonce).not.toBe(second.nonce)
})

test.each([
  ['of another field', { ...HERE, field: 'token2' }],
  ['of another resource', { ...HERE, uid: 'sec_2' }],
  ['of another kind', { ...HERE, kind: 'Server' }],
  ['of another version', { ...HERE, version: 2 }],
  ['with the border between uid and field moved', { kind: 'Secret', uid: 'sec_1t', field: 'oken' }],
])('a value does not open in the place %s', (_, elsewhere) => {
  const sealer = createSealer(KEY)
  const sealed = sealer.seal(HERE, new SecretValue('swapped-secret'))
  const refused = refusalOf(() => sealer.open(elsewhere, sealed))
  expect(refused).toMatchObject({ code: 'unavailable', hint: expect.stringContaining(KEY.id) })
  expect(refused.shown).not.toContain('swapped-secret')
})

test('a value of one version does not open as that of another, nor as one without', () => {
  const sealer = createSealer(KEY)
  const sealed = sealer.seal({ ...HERE, version: 7 }, new SecretValue('seventh'))
  expect(sealer.open({ ...HERE, version: 7 }, sealed).reveal()).toBe('seventh')
  for (const version of [6, 8, undefined])
    expect(refusalOf(() => sealer.open({ ...HERE, version }, sealed)).code).toBe('unavailable')
})

test.each(['wrapped_key', 'nonce', 'ciphertext'] as const)('one changed byte of %s is refused', (column) => {
  const sealed = createSealer(KEY).seal(HERE, new SecretValue('value'))
  const bytes = Buffer.from(sealed[column], 'base64')
  for (const at of [0, bytes.length - 1]) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    const tampered = { ...sealed, [column]: changed.toString('base64') }
    expect(refusalOf(() => createSealer(KEY).open(HERE, tampered)).code).toBe('unavailable')
  }
  for (const cut of ['', bytes.subarray(0, 8).toString('base64')]) {
    expect(refusalOf(() => createSealer(KEY).open(HERE, { ...sealed, [column]: cut })).code).toBe(
      'unavailable',
    )
  }
})

test('another master key is refused, and the refusal names the one that is needed', () => {
  const sealed = createSealer(KEY).seal(HERE, new SecretValue('value'))
  const other = createSealer(master('mk_2222222222222222'))
  expect(refusalOf(() => other.open(HERE, sealed))).toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining(KEY.id),
  })
})

test('another key that calls itself by the same id opens nothing', () => {
  const sealed = createSealer(KEY).seal(HERE, new SecretValue('value'))
  expect(refusalOf(() => createSealer(master(KEY.id)).open(HERE, sealed)).code).toBe('unavailable')
})

test('text that UTF-8 cannot carry is refused instead of stored changed', () => {
  const refused = refusalOf(() => createSealer(KEY).seal(HERE, new SecretValue('a\uD800b')))
  expect(refused.code).toBe('invalid')
})
