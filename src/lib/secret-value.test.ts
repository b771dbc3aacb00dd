import { format, inspect } from 'node:util'
import { expect, test } from 'vitest'
import { SecretValue } from './secret-value.ts'

const secret = new SecretValue('hünter2')

// oxfmt-ignore
test.each([
  ['toString',           () => secret.toString()],
  ['a concatenation',    () => ['x', secret].join('')],
  ['JSON',               () => JSON.stringify({ secret })],
  ['inspect',            () => inspect(secret)],
  ['inspect, deep',      () => inspect({ a: [{ secret }] }, { depth: 9, showHidden: true })],
  ['format',             () => format('%s %o %j', secret, secret, secret)],
  ['its own properties', () => Reflect.ownKeys(secret).map(String).join() + Object.values(secret).join()],
  ['a copy',             () => JSON.stringify(structuredClone(secret))],
  ['an error',           () => String(new Error('x', { cause: secret }).cause)],
])('%s does not show it', (_, show) => {
  expect(show()).not.toContain('nter2')
})

test('reveal is the way out, and the length is in bytes', () => {
  expect(secret.reveal()).toBe('hünter2')
  expect(secret.byteLength).toBe(8)
})
