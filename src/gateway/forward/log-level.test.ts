import { expect, test } from 'vitest'
import { createScriptedServers, scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { createLogLevels, isLogLevel, passesLevel } from './log-level.ts'
import { createPool, type Lease, type Scope } from './pool.ts'

// oxfmt-ignore
test.each([
  ['debug',     'debug',     true],
  ['debug',     'info',      false],
  ['error',     'warning',   true],
  ['emergency', 'alert',     true],
  ['alert',     'emergency', false],
  ['odd',       'emergency', true],
  [undefined,   'emergency', true],
])('a message of %s passes where %s is wanted: %s', (level, wanted, expected) => {
  expect(passesLevel(level, wanted)).toBe(expected)
})

test('levels are those of RFC 5424, in lower case', () => {
  expect(['debug', 'emergency', 'Info', 'warn', '', 'toString'].map(isLogLevel)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ])
})

async function leased(instances: string, capabilities: object = { logging: {} }) {
  const servers = createScriptedServers()
  servers.script('srv').capabilities = capabilities
  const events = { changed() {}, notified() {}, asked() {}, withdrawn() {}, reopened() {}, lost() {} }
  const pool = createPool({
    dial: servers.dial,
    nowMs: () => 0,
    tickMs: () => 0,
    isCurrent: () => true,
    events,
  })
  const scope: Scope = { principal: 'token:a', session: 's' }
  const lease = await pool.lease(scriptedView('srv', { instances }), scope)
  if (!lease.ok) throw new TypeError('not leased')
  await pool.close()
  return { lease: lease.value, told: () => servers.count('srv', 'logging/setLevel') }
}

async function raise(lease: Lease, ...levels: string[]): Promise<void> {
  const known = createLogLevels()
  for (const level of levels) await known.raise(lease, level)
}

// oxfmt-ignore
test.each([
  // connection    levels wanted, in order          how often the server is told
  ['shared',       ['info'],                        1],
  ['shared',       ['info', 'info', 'error'],       1],
  ['shared',       ['error', 'info', 'debug'],      3],
  ['shared',       ['debug', 'emergency', 'info'],  1],
  ['per-session',  ['info', 'info'],                1],
  ['per-session',  ['debug', 'error'],              2],
  ['shared',       ['banana'],                      0],
  ['shared',       ['banana', 'info', 'banana'],    1],
] as const)('%s, %j: the server is told %i times', async (instances, levels, times) => {
  const { lease, told } = await leased(instances)
  await raise(lease, ...levels)
  expect(told()).toBe(times)
})

test('a server without the capability is not told', async () => {
  const { lease, told } = await leased('shared', {})
  await raise(lease, 'debug')
  expect(told()).toBe(0)
})
