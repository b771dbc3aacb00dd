import { expect, test } from 'vitest'
import { SecretValue } from '../lib/secret-value.ts'
import { createJsonRedactor, createRedactor } from './redact.ts'

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

const json = (secret: string, value: unknown): unknown => {
  const redact = createJsonRedactor([new SecretValue(secret)])
  return JSON.parse(redact?.(Buffer.from(JSON.stringify(value))).toString() ?? 'null')
}

test.each([
  ['as it is', 'k/Zm9v+YmFy=="', { text: 'k/Zm9v+YmFy=="' }, { text: '[redacted]' }],
  [
    'in JSON in a text',
    'quo"te\\d 1234',
    { text: '{"k":"quo\\"te\\\\d 1234"}' },
    { text: '{"k":"[redacted]"}' },
  ],
  ['with other letters', 'schlüssel-1234', { k: 'x schlüssel-1234' }, { k: 'x [redacted]' }],
  ['in the name of a field', 'abcdefgh-1234', { 'abcdefgh-1234': 1 }, { '[redacted]': 1 }],
  ['a line of a key', '-----BEGIN KEY-----\nMIIEvQIBADAN8\n', ['MIIEvQIBADAN8'], ['[redacted]']],
])('in JSON of others, a value is found %s', (_, secret, value, clean) => {
  expect(json(secret, value)).toEqual(clean)
})

test('in JSON, letters beyond ASCII may be escaped', () => {
  const redact = createJsonRedactor([new SecretValue('schlüssel-1234')])
  expect(redact?.(Buffer.from('"schl\\u00fcssel-1234"')).toString()).toBe('"[redacted]"')
})

const TOKEN = 'k/9f3Zm9v+YmFyMTIz=='
// oxfmt-ignore
const ECHOES: readonly (readonly [how: string, spelt: string])[] = [
  ['Base64 of the header', Buffer.from(`Bearer ${TOKEN}`).toString('base64')],
  ['Base64 of a pair', Buffer.from(`me:${TOKEN}\n`).toString('base64')],
  ['base64url', Buffer.from(`x=${TOKEN}`).toString('base64url')],
  ['hex', Buffer.from(TOKEN).toString('hex')],
  ['hex, upper', Buffer.from(TOKEN).toString('hex').toUpperCase()],
  ['percent', encodeURIComponent(TOKEN)],
  ['percent, lower', encodeURIComponent(TOKEN).replace(/%../g, (one) => one.toLowerCase())],
  ['percent, with slashes', encodeURIComponent(TOKEN).replaceAll('%2F', '/')],
]
test.each(ECHOES)('in JSON, a value is found as %s', (_, spelt) => {
  const text = JSON.stringify(json(TOKEN, { text: `You sent ${spelt}.` }))
  expect(text).toContain('[redacted]')
  expect(text.length).toBeLessThan(60)
})

// oxfmt-ignore
test.each([
  ['slashes',          (json: string) => json.replaceAll('/', '\\/')],
  ['a plus',           (json: string) => json.replaceAll('+', '\\u002B')],
  ['each character',   (json: string) => json.replace(/[a-zA-Z0-9+=/]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`)],
  ['those of a text',  (json: string) => JSON.stringify({ text: json.replaceAll('=', '\\u003d') })],
])('in JSON, %s may be escaped; what is no secret keeps its escapes', (_, escape) => {
  const redact = createJsonRedactor([new SecretValue(TOKEN)])
  const clean = redact?.(Buffer.from(escape(JSON.stringify(TOKEN)))).toString() ?? ''
  expect(clean).toContain('[redacted]')
  expect(() => JSON.parse(clean) as unknown).not.toThrow()
  const other = Buffer.from(escape('"a+b/c=d, and \\"more\\""'))
  expect(redact?.(other)).toBe(other)
})

test('JSON without a secret in it is the same Buffer, and stays JSON whatever the secret is', () => {
  const redact = createJsonRedactor([new SecretValue('","a":"b12345')])
  const buffer = Buffer.from('{"k":"v","a":"b12345"}')
  expect(redact?.(buffer)).toBe(buffer)
})

test.each(['production', 'productionenvironment', '-----BEGIN KEY-----', 'short-1'])(
  'in JSON, %s is left: it may be an ordinary word of an answer',
  (secret) => {
    expect(
      createJsonRedactor([new SecretValue(secret)])?.(Buffer.from(JSON.stringify(secret))).toString() ?? '',
    ).not.toContain('[redacted]')
  },
)

test('in JSON, a value is found as Base64 that happens to be all letters', () => {
  const value = 'k/2Db-kNhYAtvUag_jYWQVBTcDJib0WPl9+='
  const longer = Buffer.from(`x${value}zz`).toString('base64')
  const json = Buffer.from(JSON.stringify({ sent: longer }))
  expect(createJsonRedactor([new SecretValue(value)])?.(json).toString()).toContain('[redacted]')
})
