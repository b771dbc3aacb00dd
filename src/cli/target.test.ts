import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { credentialOf } from './contexts/credentials.ts'
import { resolveTarget } from './target.ts'

function homeWith(url: string | undefined, pid = process.pid): string {
  const home = mkdtempSync(join(tmpdir(), 'castellan-target-'))
  writeFileSync(join(home, 'daemon.json'), JSON.stringify({ pid, url, startedAtMs: 0, version: '1' }))
  writeFileSync(join(home, 'admin-credential'), 'csa_home\n')
  return home
}

const context = (env: Record<string, string>) => ({ env, cwd: '/', userHome: '/nonexistent' })

test.each([
  ['the published address', 'http://127.0.0.1:7411', undefined, 'csa_home'],
  ['the same, given', 'http://127.0.0.1:7411', 'http://127.0.0.1:7411', 'csa_home'],
  ['another name of loopback', 'http://127.0.0.1:7411', 'http://localhost:7411', 'csa_home'],
  ['another port', 'http://127.0.0.1:7411', 'http://127.0.0.1:7412', undefined],
  ['another scheme', 'http://127.0.0.1:7411', 'https://127.0.0.1:7411', undefined],
  ['another host', 'http://127.0.0.1:7411', 'http://example.com:7411', undefined],
  [
    'a host that only looks like loopback',
    'http://127.0.0.1:7411',
    'http://127.0.0.1.example.com:7411',
    undefined,
  ],
])('%s: the credential of the home goes only to its own daemon', (_, published, given, sent) => {
  const env = {
    CASTELLAN_HOME: homeWith(published),
    ...(given === undefined ? {} : { CASTELLAN_URL: given }),
  }
  expect(resolveTarget(context(env)).credential?.reveal()).toBe(sent)
})

test('--home leads to the daemon of that home, whatever the environment says', () => {
  const home = homeWith('http://127.0.0.1:7411')
  expect(resolveTarget(context({ CASTELLAN_URL: 'http://127.0.0.1:1' }), { home }).url.port).toBe('7411')
})

test.each([
  ['a daemon that is gone', 'http://127.0.0.1:7411', 2 ** 22 + 1, 'no daemon is running for the home'],
  ['a daemon that starts', undefined, process.pid, 'still starting'],
])('%s is not asked', (_, url, pid, says) => {
  expect(() => resolveTarget(context({ CASTELLAN_HOME: homeWith(url, pid) }))).toThrow(says)
})

describe('which daemon, and as whom', () => {
  const given = homeWith('http://127.0.0.1:7001')
  const named = homeWith('http://127.0.0.1:7002')
  const user = mkdtempSync(join(tmpdir(), 'castellan-user-'))
  mkdirSync(join(user, '.castellan'))
  cpSync(homeWith('http://127.0.0.1:7003'), join(user, '.castellan'), { recursive: true })
  const config = join(user, '.config/castellan/config.json')
  mkdirSync(dirname(config), { recursive: true })
  const contexts = {
    work: { url: 'http://work.example', credential: 'file' },
    other: { url: 'http://other.example', credential: 'file' },
    bare: { url: 'http://bare.example', credential: 'none' },
    moved: { url: 'http://moved.example', credential: 'file' },
  }
  const kept = {
    work: { url: 'http://work.example', credential: 'css_work' },
    other: { url: 'http://other.example', credential: 'css_other' },
    moved: { url: 'http://elsewhere.example', credential: 'css_elsewhere' },
  }
  writeFileSync(join(dirname(config), 'config.credentials.json'), JSON.stringify(kept), { mode: 0o600 })

  const URL_ONLY = { CASTELLAN_URL: 'http://url.example' }
  const PAIR = { ...URL_ONLY, CASTELLAN_TOKEN: 'cst_env' }
  const TOKEN = { CASTELLAN_TOKEN: 'cst_env' }
  const HOME = { CASTELLAN_HOME: named }

  // oxfmt-ignore
  test.each([
    // what is given, the environment, the current context → address, credential
    [{},                   {},                  undefined, 'http://127.0.0.1:7003 csa_home'],
    [{},                   {},                  'work',    'http://work.example css_work'],
    [{},                   {},                  'home',    'http://127.0.0.1:7003 csa_home'],
    [{},                   {},                  'bare',    'http://bare.example nothing'],
    [{},                   {},                  'moved',   'http://moved.example nothing'],
    [{},                   TOKEN,               'work',    'http://work.example cst_env'],
    [{},                   HOME,                'work',    'http://127.0.0.1:7002 csa_home'],
    [{},                   PAIR,                'work',    'http://url.example cst_env'],
    [{},                   { ...PAIR, ...HOME }, 'work',   'http://url.example cst_env'],
    [{ context: 'other' }, {},                  'work',    'http://other.example css_other'],
    [{ context: 'other' }, TOKEN,               'work',    'http://other.example css_other'],
    [{ context: 'other' }, PAIR,                'work',    'http://other.example css_other'],
    [{ context: 'bare' },  TOKEN,               'work',    'http://bare.example cst_env'],
    [{ context: 'bare' },  PAIR,                'work',    'http://bare.example nothing'],
    [{ context: 'home' },  PAIR,                'work',    'http://127.0.0.1:7003 csa_home'],
    [{ home: given },      {},                  'work',    'http://127.0.0.1:7001 csa_home'],
    [{ home: given },      { ...PAIR, ...HOME }, 'work',   'http://127.0.0.1:7001 csa_home'],
    [{ home: given },      TOKEN,               'work',    'http://127.0.0.1:7001 cst_env'],
  ] as const)('%j, environment %j, current context %s: %s', (chosen, env, current, expected) => {
    writeFileSync(config, JSON.stringify({ current, contexts }))
    const target = resolveTarget(
      { env, cwd: '/', userHome: user },
      Object.assign({ readCredential: credentialOf }, chosen),
    )
    expect(`${target.url.origin} ${target.credential?.reveal() ?? 'nothing'}`).toBe(expected)
  })

  test('--home and --context name two daemons, and an unknown context none', () => {
    const at = { env: {}, cwd: '/', userHome: user }
    expect(() => resolveTarget(at, { home: given, context: 'work' })).toThrow('named twice')
    expect(() => resolveTarget(at, { context: 'wrok' })).toThrow('no context by that name')
    expect(() => resolveTarget(at, { context: 'constructor' })).toThrow('no context by that name')
  })
})
