import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { listen, runInMemory } from '../../../test/e2e/cli-in-memory.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { createComplete } from '../commands/complete.ts'
import type { Verb } from '../define-command.ts'
import { VERBS } from '../verbs.ts'
import { credentialOf } from './credentials.ts'
import { dropCredential, keepCredential } from './keep-credential.ts'

const COMPLETED: readonly Verb[] = [
  ...VERBS,
  { path: ['__complete'], summary: '', load: async () => createComplete(() => VERBS) },
]

const folder = () => mkdtempSync(join(tmpdir(), 'castellan-contexts-'))
const configIn = (dir: string) => join(dir, '.config/castellan/config.json')

async function config(dir: string, ...argv: string[]) {
  return await runInMemory(['config', ...argv], { cwd: dir })
}

test('contexts are made, put to use, changed and deleted; home is always there', async () => {
  const dir = folder()
  expect(await config(dir, 'current-context')).toMatchObject({ code: 0, out: 'home\n' })
  const made = await config(
    dir,
    'set-context',
    'work',
    '--url',
    'https://castellan.example.com/',
    '-p',
    'demo',
  )
  expect(made).toEqual({
    code: 0,
    out: 'context work created\n',
    err: 'sign in with: castellan login --context work\n',
  })
  expect(await config(dir, 'current-context')).toMatchObject({ out: 'home\n' })
  expect(await config(dir, 'use-context', 'work')).toMatchObject({ code: 0, out: 'context work is in use\n' })
  expect(await config(dir, 'current-context')).toMatchObject({ out: 'work\n' })
  const { out } = await config(dir, 'get-contexts')
  expect(out).toMatch(/^\*\s+work\s+https:\/\/castellan\.example\.com\s+demo$/m)
  expect(out).toMatch(/^\s+home$/m)
  expect(await config(dir, 'set-context', 'work', '-p', '')).toMatchObject({ out: 'context work changed\n' })
  expect((await config(dir, 'get-contexts')).out).not.toContain('demo')
  expect(await config(dir, 'delete-context', 'work')).toMatchObject({ code: 0 })
  expect(await config(dir, 'get-contexts', '-o', 'name')).toMatchObject({ out: 'home\n' })
  expect(await config(dir, 'current-context')).toMatchObject({ out: 'home\n' })
})

test.each([
  [['set-context', 'work'], 'there is nothing to set'],
  [['set-context', 'work', '-p', 'demo'], 'a context needs an address'],
  [['set-context', 'home', '--url', 'http://h'], 'is always there'],
  [['set-context', '../x', '--url', 'http://h'], 'cannot be the name of a context'],
  [['set-context', '__proto__', '--url', 'http://h'], 'cannot be the name of a context'],
  [['set-context', 'work', '--url', 'ftp://h'], 'not an http or https address'],
  [['set-context', 'work', '--url', 'http://ada:hunter2@h'], 'holds no user'],
  [['use-context', 'nowhere'], 'there is no context by that name'],
  [['delete-context', 'home'], 'is always there'],
])('config %j is refused, and nothing is written', async (argv, says) => {
  const dir = folder()
  const ran = await config(dir, ...argv)
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toContain(says)
  expect(ran.err).toContain('hint: ')
  expect(ran.err).not.toContain('hunter2')
  expect(existsSync(configIn(dir))).toBe(false)
})

test.each([
  '{',
  '[]',
  '{"contexts":{"a":{"url":"x"}}}',
  '{"contexts":{"a":{"url":"http://h","credential":7}}}',
])('a file that holds %s is left as it is, and named', async (text) => {
  const dir = folder()
  const path = join(dir, 'contexts.json')
  writeFileSync(path, text)
  const ran = await runInMemory(['config', 'set-context', 'a', '--url', 'http://h'], {
    cwd: dir,
    env: { CASTELLAN_CONFIG: path },
  })
  expect(ran).toMatchObject({ code: 1, out: '' })
  expect(ran.err).toContain(`${path} is not a file of contexts`)
  expect(readFileSync(path, 'utf8')).toBe(text)
})

test('processes that change contexts at once lose nothing, and leave no half file', async () => {
  const dir = folder()
  const launcher = fileURLToPath(new URL('../../../bin/castellan.js', import.meta.url))
  const ends = Array.from({ length: 6 }, async (_, i) => {
    const argv = [launcher, 'config', 'set-context', `c${i}`, '--url', `http://h${i}`]
    const child = spawn(process.execPath, argv, { env: { HOME: dir }, stdio: 'ignore' })
    return (await once(child, 'exit'))[0] as number
  })
  expect(await Promise.all(ends)).toEqual([0, 0, 0, 0, 0, 0])
  const { out } = await config(dir, 'get-contexts', '-o', 'name')
  expect(out.trim().split('\n').toSorted()).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'home'])
  expect(readdirSync(join(dir, '.config/castellan')).toSorted()).toEqual(['config.json', 'config.json.lock'])
  expect(statSync(configIn(dir)).mode & 0o777).toBe(0o600)
  expect(statSync(join(dir, '.config/castellan')).mode & 0o777).toBe(0o700)
})

test('a configuration that is a symbolic link stays one', async () => {
  const dir = folder()
  writeFileSync(join(dir, 'kept.json'), '{"contexts":{}}')
  symlinkSync(join(dir, 'kept.json'), join(dir, 'link.json'))
  await runInMemory(['config', 'set-context', 'a', '--url', 'http://h'], {
    cwd: dir,
    env: { CASTELLAN_CONFIG: 'link.json' },
  })
  expect(readFileSync(join(dir, 'kept.json'), 'utf8')).toContain('http://h')
})

const entry = { context: 'work', url: 'http://work.example' }
const secret = new SecretValue('css_kept')

test('without a keychain a credential goes into a file of its owner; one that others may read is refused', () => {
  const dir = folder()
  const context = { env: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${dir}/none` }, cwd: dir, userHome: dir }
  const kept = keepCredential(entry, secret, { wanted: undefined, context })
  expect(kept).toMatchObject({ place: 'file' })
  expect(kept.where).toContain('since the keychain cannot be used here')
  const file = join(dir, '.config/castellan/config.credentials.json')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const record = { url: entry.url, credential: 'file' } as const
  expect(credentialOf('work', record, context)?.reveal()).toBe('css_kept')
  expect(credentialOf('work', { ...record, url: 'http://else.example' }, context)).toBeUndefined()
  writeFileSync(file, readFileSync(file), { mode: 0o644 })
  expect(credentialOf('work', record, context)?.reveal()).toBe('css_kept')
  dropCredential('work', record, context)
  expect(existsSync(file)).toBe(false)
  writeFileSync(file, '{}', { mode: 0o644 })
  expect(() => credentialOf('work', record, context)).toThrow('other users of this machine may read')
})

test.runIf(process.platform === 'linux')(
  'a keychain that hangs is waited for so long, and not longer',
  async () => {
    const dir = folder()
    const bus = createServer(() => undefined)
    await new Promise<void>((resolve) => bus.listen(join(dir, 'bus'), resolve))
    const env = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${dir}/bus` }
    const { askKeychain } = await import('./keychain.ts')
    const answer = askKeychain('get', entry, { env, patienceMs: 500 })
    expect(answer).toEqual({ ok: false, reason: 'does not answer; it may be locked' })
    await new Promise((resolve) => bus.close(resolve))
  },
)

test('contexts are completed, and names are asked of the daemon that the line is about', async () => {
  const dir = folder()
  const server = await listen(({ path }) => ({
    body: path.includes('/kinds') ? [{ plural: 'servers', summary: 's' }] : 'foo',
  }))
  await config(dir, 'set-context', 'work', '--url', server.url)
  const complete = async (...words: string[]) => {
    const { out } = await runInMemory(['__complete', '--', ...words], { cwd: dir, verbs: COMPLETED })
    return out.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0]]))
  }
  expect(await complete('config', 'use-context', '')).toEqual(['home', 'work'])
  expect(await complete('--context', 'work', 'get', 'servers', 'f')).toEqual(['foo'])
  expect(await complete('get', '--context=work', 'servers', 'f')).toEqual(['foo'])
  expect(await complete('get', '--context', 'w')).toEqual(['work'])
  expect(await complete('get', '--con')).toEqual(['--context'])
  expect(await complete('auth', 'can-i', 'ed')).toEqual(['edit'])
  expect(await complete('auth', 'can-i', 'edit', '--context', 'work', 's')).toEqual(['servers'])
  expect(await complete('auth', 'can-i', 'edit', 'servers', '--context', 'work', '')).toEqual(['foo'])
  await server.close()
})
