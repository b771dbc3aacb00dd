import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readServeConfig, VARIABLES, type ServeOptions } from './config.ts'

const NONE: ServeOptions = {
  home: undefined,
  host: undefined,
  port: undefined,
  database: undefined,
  logLevel: undefined,
  logTo: undefined,
  keyFile: undefined,
  keyCommand: undefined,
  keyKeychain: false,
  secretDirs: [],
  secretEnvPrefix: undefined,
  peerListen: undefined,
  peerUrl: undefined,
  drainSeconds: undefined,
  role: undefined,
  control: undefined,
  manifests: [],
}
const read = (env: Record<string, string>, options: Partial<ServeOptions> = {}) =>
  readServeConfig({ ...NONE, ...options }, { env, cwd: '/srv', userHome: '/home/ada' })

test('nothing given', () => {
  expect(read({})).toEqual({
    home: '/home/ada/.castellan',
    host: '127.0.0.1',
    port: 7411,
    manifests: [],
    logLevel: 'info',
    logTo: 'stderr',
    secretSources: { directories: [], envPrefix: 'CASTELLAN_SECRET_' },
  })
})

test('Secrets may refer to what the operator names, and to variables that say so by their name', () => {
  const sources = (env: Record<string, string>, options: Partial<ServeOptions> = {}) =>
    read(env, options).secretSources
  expect(sources({ CASTELLAN_SECRET_GITHUB: 'x', CASTELLAN_SECRET_DIRS: '/run/secrets:more' })).toEqual({
    directories: ['/run/secrets', '/srv/more'],
    envPrefix: 'CASTELLAN_SECRET_',
  })
  const given = { secretDirs: ['a', 'b/../c'], secretEnvPrefix: 'APP_' }
  expect(sources({ CASTELLAN_SECRET_DIRS: '/else', APP_KEY: 'x' }, given)).toEqual({
    directories: ['/srv/a', '/srv/c'],
    envPrefix: 'APP_',
  })
})

test.each([
  [{ CASTELLAN_SECRET_DIR: '/run/secrets' }, {}, 'CASTELLAN_SECRET_DIR'],
  [{ CASTELLAN_SECRET_GITHUB: 'x' }, { secretEnvPrefix: 'APP_' }, 'CASTELLAN_SECRET_GITHUB'],
  [{}, { secretEnvPrefix: 'CASTELLAN_' }, 'the prefix of secret variables'],
  [{}, { secretEnvPrefix: 'CASTELLAN_MASTER_' }, 'the prefix of secret variables'],
  [{}, { secretEnvPrefix: 'PATH' }, 'the prefix of secret variables'],
  [{}, { secretEnvPrefix: '_' }, 'the prefix of secret variables'],
  [{}, { secretDirs: ['/'] }, 'the root of the file system'],
  [{}, { secretDirs: ['/srv/..'] }, 'the root of the file system'],
  [{ CASTELLAN_SECRET_DIRS: '/home/ada/.castellan/servers' }, {}, 'in the home of the daemon'],
])('%j with %j opens more to Secrets than somebody can mean', (env, options, says) => {
  expect(() => read(env as Record<string, string>, options)).toThrow(says)
})

test('the drain period is a number of seconds, at most five minutes', () => {
  expect(read({ CASTELLAN_DRAIN_SECONDS: '15' }).drainSeconds).toBe(15)
  expect(read({ CASTELLAN_DRAIN_SECONDS: '15' }, { drainSeconds: '0' }).drainSeconds).toBe(0)
  for (const drainSeconds of ['301', '-1', '1.5', 'soon', '1e1'])
    expect(() => read({}, { drainSeconds })).toThrow('from 0 to 300')
})

test('options win over variables, and paths become absolute', () => {
  const env = { CASTELLAN_HOME: 'a', CASTELLAN_PORT: '1', CASTELLAN_HOST: '::2' }
  expect(read(env, { home: 'b', host: '::1', port: '0', manifests: ['m', '-'] })).toMatchObject({
    home: '/srv/b',
    host: '::1',
    port: 0,
    manifests: ['/srv/m', '-'],
  })
})

test.each([
  [{ CASTELLAN_HOEM: 'x' }, {}, 'CASTELLAN_HOEM'],
  [{ CASTELLAN_MCPD_TOKEN: 'x' }, {}, 'does not know'],
  [{ CASTELLAN_PORT: '70000' }, {}, 'the port is not a number'],
  [{ CASTELLAN_LOG_LEVEL: 'loud' }, {}, 'CASTELLAN_LOG_LEVEL'],
  [{}, { database: 'mysql://x' }, 'not a postgres:// address'],
  [{}, { database: 'postgres://u:hunter2@h/d' }, 'a password may not stand in an argument'],
])('%j with %j is refused', (env, options, says) => {
  expect(() => read(env as Record<string, string>, options)).toThrow(says)
})

test('a database with its password may come from the environment', () => {
  const database = 'postgres://u:p@h/d'
  expect(read({ CASTELLAN_DATABASE: database }).database).toBe(database)
})

test('docs/cli.md lists the variables as they are', () => {
  const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
  const [, table = ''] = page.split(/^\| variable +\|/m)
  const rows = table
    .split('\n')
    .filter((line) => line.startsWith('| `CASTELLAN_'))
    .map((line) => line.replace(/ +/g, ' '))
  expect(rows).toEqual(Object.entries(VARIABLES).map(([name, about]) => `| \`${name}\` | ${about} |`))
})

test('where browsers reach it is an origin, and a sign-in lasts from an hour to thirty days', () => {
  const { publicUrl, signInHours } = read({
    CASTELLAN_PUBLIC_URL: 'https://castellan.example.com/',
    CASTELLAN_SIGN_IN_HOURS: '720',
  })
  expect({ publicUrl, signInHours }).toEqual({ publicUrl: 'https://castellan.example.com', signInHours: 720 })
  for (const wrong of [
    'castellan.example.com',
    'ftp://x.example',
    'https://x.example/path',
    'https://u:p@x.example',
  ])
    expect(() => read({ CASTELLAN_PUBLIC_URL: wrong })).toThrow('not the address of a host')
  for (const wrong of ['0', '721', '12h', '-1'])
    expect(() => read({ CASTELLAN_SIGN_IN_HOURS: wrong })).toThrow('not a number of hours')
})

test('a master key may come from the environment, shows itself nowhere, and comes once', () => {
  const { masterKey, keyFile } = read({ CASTELLAN_MASTER_KEY: 'planted-key' })
  expect([String(masterKey), JSON.stringify(masterKey), keyFile]).toEqual([
    '[redacted]',
    '"[redacted]"',
    undefined,
  ])
  expect(() => read({ CASTELLAN_MASTER_KEY: 'planted-key' }, { keyFile: 'k' })).toThrow('given twice')
})
