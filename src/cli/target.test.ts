import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { resolveTarget } from './target.ts'

function homeWith(url: string | undefined, pid = process.pid): string {
  const home = mkdtempSync(join(tmpdir(), 'castellan-target-'))
  writeFileSync(join(home, 'daemon.json'), JSON.stringify({ pid, url, startedAtMs: 0, version: '1' }))
  writeFileSync(join(home, 'admin-credential'), 'csa_home\n')
  return home
}

const context = (env: Record<string, string>) =>
  ({ env, cwd: '/', userHome: '/nonexistent' }) as unknown as Parameters<typeof resolveTarget>[0]

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
  expect(resolveTarget(context({ CASTELLAN_URL: 'http://127.0.0.1:1' }), home).url.port).toBe('7411')
})

test.each([
  ['a daemon that is gone', 'http://127.0.0.1:7411', 2 ** 22 + 1, 'no daemon is running for the home'],
  ['a daemon that starts', undefined, process.pid, 'still starting'],
])('%s is not asked', (_, url, pid, says) => {
  expect(() => resolveTarget(context({ CASTELLAN_HOME: homeWith(url, pid) }))).toThrow(says)
})
