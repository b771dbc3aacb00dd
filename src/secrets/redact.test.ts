import { expect, test } from 'vitest'
import { SecretValue } from '../lib/secret-value.ts'
import { createRedactor } from './redact.ts'

const redactor = (...values: string[]): ((text: string) => string) =>
  createRedactor(values.map((value) => new SecretValue(value)))

test.each([
  ['as it is', 's3cr$t+(v)', 'login with s3cr$t+(v) failed', 'login with [redacted] failed'],
  ['twice', 'hunter2x', 'hunter2x hunter2x', '[redacted] [redacted]'],
  ['in a URL', 'a b&c=d/e', 'GET /?k=a%20b%26c%3Dd%2Fe', 'GET /?k=[redacted]'],
  ['in JSON', 'quo"te\\d', '{"k":"quo\\"te\\\\d"}', '{"k":"[redacted]"}'],
  ['in Base64', 'hunter2x', 'Basic aHVudGVyMng=', 'Basic [redacted]'],
  ['line by line', 'first line\nsecond line', 'got second line', 'got [redacted]'],
])('finds a value %s', (_, secret, text, clean) => {
  expect(redactor(secret)(text)).toBe(clean)
})

test('of two values of which one begins the other, the whole longer one goes', () => {
  expect(redactor('abcdef', 'abcdefghij')('x abcdefghij y abcdef')).toBe('x [redacted] y [redacted]')
})

test('values under 6 characters are left: they would blacken ordinary words', () => {
  expect(redactor('tools')('3 tools found')).toBe('3 tools found')
})

test('without values, text is what it was', () => {
  expect(redactor()('text')).toBe('text')
})
