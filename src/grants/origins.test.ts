import { expect, test } from 'vitest'
import { isBoundTo, readOrigin } from './origins.ts'

// oxfmt-ignore
test.each([
  ['https://api.example.com',                  'https://api.example.com'],
  ['https://API.Example.COM/mcp?x=1#y',        'https://api.example.com'],
  ['https://api.example.com:443',              'https://api.example.com'],
  ['https://api.example.com:8443/mcp',         'https://api.example.com:8443'],
  ['https://[2001:DB8::1]:8443',               'https://[2001:db8::1]:8443'],
  ['https://bücher.example',                   'https://xn--bcher-kva.example'],
  ['https://例え.jp',                          'https://xn--r8jz45g.jp'],
  ['https://ｅｘａｍｐｌｅ.com',               'https://example.com'],
  ['https://0x7f.1',                           'https://127.0.0.1'],
  ['http://127.0.0.1:8080/mcp',                'http://127.0.0.1:8080'],
  ['http://127.9.9.9',                         'http://127.9.9.9'],
  ['http://localhost:3000',                    'http://localhost:3000'],
  ['http://[::1]:3000',                        'http://[::1]:3000'],
  ['https://*.example.com',                    'https://*.example.com'],
])('%s is bound as %s', (text, origin) => {
  expect(readOrigin(text)).toBe(origin)
})

// oxfmt-ignore
test.each([
  ['in the clear',                     'http://api.example.com'],
  ['in the clear, a name like ours',   'http://localhost.example.com'],
  ['in the clear, an address of here', 'http://[::ffff:127.0.0.1]'],
  ['all addresses',                    'http://0.0.0.0:80'],
  ['somebody in it',                   'https://user@api.example.com'],
  ['a password in it',                 'https://user:secret@api.example.com'],
  ['a host that is hidden by another', 'https://api.example.com@evil.example'],
  ['everything',                       'https://*'],
  ['all of a top domain',              'https://*.com'],
  ['a pattern within a name',          'https://api-*.example.com'],
  ['a pattern in the clear',           'http://*.example.com'],
  ['a pattern with a port',            'https://*.example.com:8443'],
  ['a pattern with a path',            'https://*.example.com/mcp'],
  ['no web address',                   'ftp://api.example.com'],
  ['a file',                           'file:///etc/passwd'],
  ['no address',                       'api.example.com'],
  ['nothing',                          ''],
])('%s is no origin', (_, text) => {
  expect(readOrigin(text)).toBeUndefined()
})

const BOUND = ['https://api.example.com', 'https://*.wide.example', 'http://127.0.0.1:8080']

// oxfmt-ignore
test.each([
  ['https://api.example.com',             true],
  ['https://api.example.com:8443',        false],
  ['http://api.example.com',              false],
  ['https://example.com',                 false],
  ['https://a.api.example.com',           false],
  ['https://api.example.com.evil.test',   false],
  ['https://a.wide.example',              true],
  ['https://a.b.wide.example',            true],
  ['https://wide.example',                false],
  ['https://notwide.example',             false],
  ['https://a.wide.example:8443',         false],
  ['http://a.wide.example',               false],
  ['https://a.wide.example.evil.test',    false],
  ['http://127.0.0.1:8080',               true],
  ['http://127.0.0.1:8081',               false],
  ['http://localhost:8080',               false],
])('what is bound to those goes to %s: %s', (origin, may) => {
  expect(isBoundTo(BOUND, origin)).toBe(may)
})

test('what is bound to nothing goes nowhere', () => {
  expect(isBoundTo([], 'https://api.example.com')).toBe(false)
})
