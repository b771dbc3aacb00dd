import { spawnSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SecretBackend } from '../backend.ts'
import { createFileBackend } from './file-backend.ts'

let base: string
let directory: string
let backend: SecretBackend

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'castellan-file-')))
  directory = join(base, 'secrets')
  mkdirSync(directory)
  mkdirSync(join(base, 'own'))
  writeFileSync(join(base, 'own/master.key'), 'planted-master')
  writeFileSync(join(base, 'outside'), 'planted-outside')
  backend = createFileBackend({ directories: [directory], never: [join(base, 'own')] })
})
afterEach(() => {
  backend.close()
  rmSync(base, { recursive: true })
})

const here = (path: string): string => join(directory, path)

async function read(reference: string, from = backend): Promise<string> {
  const reading = await from.read(reference)
  return reading.ok ? reading.value.reveal() : `${reading.error.kind}: ${reading.error.message}`
}

/** As the kubelet does it: a folder of this version, and `..data`, which is exchanged in one step. */
function mountVersion(version: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(here(`..${version}`))
  for (const [name, value] of Object.entries(files)) writeFileSync(here(`..${version}/${name}`), value)
  symlinkSync(`..${version}`, here('..data_tmp'))
  renameSync(here('..data_tmp'), here('..data'))
}

test('a Secret that Kubernetes mounts is read through its links, also while they are exchanged', async () => {
  mountVersion('2026_1', { token: 'one'.repeat(1000) })
  symlinkSync('..data/token', here('token'))
  expect(await read('token')).toBe('one'.repeat(1000))
  expect(await read(here('token'))).toBe('one'.repeat(1000))
  const seen = new Set<string>()
  for (let i = 2; i < 60; i++) {
    const reading = read('token')
    mountVersion(`2026_${i}`, { token: String(i).repeat(1000) })
    rmSync(here(`..2026_${i - 1}`), { recursive: true })
    seen.add(await reading)
  }
  expect([...seen].filter((value) => !/^(?:one|(\d+?)\1*)+$/.test(value))).toEqual([])
  expect(await read('token')).toBe('59'.repeat(1000))
})

test('a link out of the directory is not followed, however it gets there', async () => {
  const out = 'unusable: it is a link that leads out of the directory'
  symlinkSync('../outside', here('relative'))
  symlinkSync(join(base, 'outside'), here('absolute'))
  symlinkSync('relative', here('twice'))
  symlinkSync(base, here('folder'))
  symlinkSync('/proc/self/environ', here('environ'))
  for (const name of ['relative', 'absolute', 'twice', 'folder/outside', 'environ'])
    expect([name, await read(name)]).toEqual([name, out])
  symlinkSync('circle', here('circle'))
  expect(await read('circle')).toBe('unusable: the file cannot be read (ELOOP)')
  symlinkSync('gone', here('dangling'))
  expect(await read('dangling')).toBe('absent: there is no such file')
})

test('a directory beside it whose name begins alike is outside', async () => {
  mkdirSync(`${directory}-old`)
  writeFileSync(`${directory}-old/token`, 'planted-old')
  symlinkSync(`${directory}-old/token`, here('token'))
  expect(await read('token')).toContain('leads out')
  expect(backend.check(`${directory}-old/token`)).toContain('--secret-dir')
})

test('what is the daemon’s own is not read, although it is below the directory', async () => {
  const wide = createFileBackend({ directories: [base], never: [join(base, 'own')] })
  symlinkSync('../own/master.key', here('key'))
  for (const reference of ['own/master.key', 'secrets/key'])
    expect(await read(reference, wide)).toBe('unusable: it belongs to the daemon itself')
  expect(await read('outside', wide)).toBe('planted-outside')
})

test('pipes, folders and devices are no values, and nobody waits for them', async () => {
  expect(spawnSync('mkfifo', [here('pipe')]).status).toBe(0)
  mkdirSync(here('folder'))
  for (const name of ['pipe', 'folder']) expect(await read(name)).toMatch(/^unusable: /)
})

test('of several directories the first that has it; an absolute path is one of them', async () => {
  const [one, two] = [join(base, 'one'), join(base, 'two')]
  mkdirSync(one)
  mkdirSync(two)
  writeFileSync(join(one, 'both'), 'one')
  writeFileSync(join(two, 'both'), 'two')
  writeFileSync(join(two, 'second'), 'second')
  const both = createFileBackend({ directories: [one, two], never: [] })
  expect([await read('both', both), await read('second', both), await read(join(two, 'both'), both)]).toEqual(
    ['one', 'second', 'two'],
  )
  expect(await read('neither', both)).toMatch(/^absent/)
  // The one that is not mounted may have it.
  rmSync(one, { recursive: true })
  expect(await read('neither', both)).toMatch(/^away/)
  expect(await read('second', both)).toBe('second')
  expect((await both.health()).ok).toBe(true)
})

test('without a directory nothing is read, and the message says what to type', async () => {
  const none = createFileBackend({ directories: [], never: [] })
  expect(none.check('token')).toContain('castellan up --secret-dir DIRECTORY')
  expect(await read('/etc/passwd', none)).toMatch(/^absent: .*--secret-dir/)
  expect((await none.health()).ok).toBe(false)
})

test('a second name for a file is that file: what may write there decides what is there', async () => {
  writeFileSync(here('token'), 'value')
  linkSync(here('token'), here('alias'))
  expect(await read('alias')).toBe('value')
})

test('who watches hears of a file that is replaced, and of the exchange of all of them', async () => {
  mountVersion('1', { token: 'one' })
  symlinkSync('..data/token', here('token'))
  const heard = Promise.withResolvers<void>()
  const watch = backend.watch?.('token', () => heard.resolve())
  mountVersion('2', { token: 'two' })
  await heard.promise
  watch?.close()
})
