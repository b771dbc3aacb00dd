import { expect, test } from 'vitest'
import { createHostCheck } from './allowed-hosts.ts'

const check = createHostCheck(['Gate.Example.com'])

// oxfmt-ignore
test.each([
  ['localhost',                  true],
  ['localhost:7411',             true],
  ['LOCALHOST:7411',             true],
  ['127.0.0.1:7411',             true],
  ['127.9.8.7',                  true],
  ['[::1]:7411',                 true],
  ['gate.example.com',           true],
  ['GATE.example.com:443',       true],
  [undefined,                    false],
  ['',                           false],
  ['evil.example.com',           false],
  ['localhost.evil.com',         false],
  ['evil-localhost',             false],
  ['127.0.0.1.evil.com',         false],
  ['127.0.0.1.',                 false],
  ['1270.0.0.1',                 false],
  ['evil.127.0.0.1',             false],
  ['0.0.0.0',                    false],
  ['[::2]',                      false],
  ['::1',                        false],
  ['localhost:',                 false],
  ['localhost:123456',           false],
  ['localhost:80:80',            false],
  ['user@localhost',             false],
  ['localhost/path',             false],
  ['localhost\n',                false],
  ['sub.gate.example.com',       false],
])('Host %j: %s', (host, expected) => {
  expect(check.hostAllowed(host)).toBe(expected)
  expect(check.hostAllowed(host), 'asked again').toBe(expected)
})

// oxfmt-ignore
test.each([
  [undefined,                      true],
  ['http://localhost:3000',        true],
  ['https://127.0.0.1',            true],
  ['http://[::1]:8080',            true],
  ['https://gate.example.com',     true],
  ['null',                         false],
  ['',                             false],
  ['https://evil.example.com',     false],
  ['http://localhost.evil.com',    false],
  ['http://evil.com#localhost',    false],
  ['http://user@localhost',        false],
  ['http://localhost/',            false],
  ['file://localhost',             false],
  ['localhost',                    false],
  ['http://localhost, http://evil.com', false],
])('Origin %j: %s', (origin, expected) => {
  expect(check.originAllowed(origin)).toBe(expected)
})

test('a flood of different hosts that are allowed does not grow its memory without end', () => {
  for (let i = 1; i < 255; i++) expect(check.hostAllowed(`127.0.0.${i}`)).toBe(true)
  expect(check.hostAllowed('evil.example.com')).toBe(false)
})
