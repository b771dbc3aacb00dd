import { expect, test } from 'vitest'
import { SecretValue } from '../../lib/secret-value.ts'
import { holdsNul, serverEnvironment, trustFiles } from './environment.ts'

const at = { home: '/h', tmp: '/t' }

test('nothing of the daemon passes but PATH and LANG', () => {
  const daemon = {
    PATH: '/p',
    LANG: 'de_DE.UTF-8',
    NODE_OPTIONS: '-r x',
    CASTELLAN_TOKEN: 'x',
    HOME: '/mine',
  }
  expect(serverEnvironment({ ...at, daemon, added: {} })).toEqual({
    PATH: '/p',
    LANG: 'de_DE.UTF-8',
    HOME: '/h',
    TMPDIR: '/t',
  })
})

test('how this machine reaches the network passes, but for a proxy with a password', () => {
  const daemon = {
    HTTPS_PROXY: 'http://proxy:3128',
    HTTP_PROXY: 'http://me:word@proxy:3128',
    NO_PROXY: 'localhost',
    SSL_CERT_FILE: '/ca.pem',
  }
  const env = serverEnvironment({ ...at, daemon, added: {} })
  expect(env).toMatchObject({
    HTTPS_PROXY: 'http://proxy:3128',
    NO_PROXY: 'localhost',
    SSL_CERT_FILE: '/ca.pem',
  })
  expect(env).not.toHaveProperty('HTTP_PROXY')
  expect(trustFiles(env)).toEqual(['/ca.pem'])
})

test('what the manifest says wins, and secrets are revealed here only', () => {
  const added = { PATH: '/mine', KEY: new SecretValue('value') }
  expect(serverEnvironment({ ...at, daemon: { PATH: '/p' }, added })).toMatchObject({
    PATH: '/mine',
    KEY: 'value',
  })
})

test('NUL is noticed in plain and secret values', () => {
  expect(holdsNul({ A: 'b' })).toBe(false)
  expect(holdsNul({ A: 'b\0' })).toBe(true)
  expect(holdsNul({ A: new SecretValue('\0') })).toBe(true)
})
