import { expect, test } from 'vitest'
import { readPeerOptions } from './peer-options.ts'

const read = (listen?: string, url?: string, shared = true) => readPeerOptions({ listen, url, shared })

test('daemons on one database find each other on loopback unless said otherwise; others have no peers', () => {
  expect(read()).toEqual({ host: '127.0.0.1', port: 0, publicUrl: undefined })
  expect(read(undefined, undefined, false)).toBeUndefined()
  expect(read('[::1]:7412')).toEqual({ host: '::1', port: 7412, publicUrl: undefined })
  expect(read('0.0.0.0:7412', 'http://10.0.0.7:7412')).toEqual({
    host: '0.0.0.0',
    port: 7412,
    publicUrl: 'http://10.0.0.7:7412/',
  })
})

// oxfmt-ignore
test.each([
  ['no port',                 'localhost',        undefined,                    true,  'HOST:PORT'],
  ['a port that cannot be',   'localhost:70000',  undefined,                    true,  'HOST:PORT'],
  ['every address, no URL',   '0.0.0.0:7412',     undefined,                    true,  'every address'],
  ['every address of IPv6',   '[::]:7412',        undefined,                    true,  'every address'],
  ['no URL',                  undefined,          'ten.example',                true,  'not an http'],
  ['a URL with a password',   undefined,          'http://a:b@ten.example',     true,  'not an http'],
  ['another scheme',          undefined,          'ftp://ten.example',          true,  'not an http'],
  ['the embedded store',      'localhost:1',      undefined,                    false, 'share a PostgreSQL'],
])('%s is refused, and not quoted', (...row) => {
  const [, listen, url, shared, said] = row
  const refused = (): unknown => readPeerOptions({ listen, url, shared })
  expect(refused).toThrow(said)
  expect(refused).not.toThrow(listen ?? url)
})
