import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SecretValue } from '../lib/secret-value.ts'
import { deriveKey } from './derive-key.ts'
import type { MasterKey } from './keys/key.ts'
import { loadMasterKey as load, type MasterKeyOptions } from './master-key.ts'

const loadMasterKey = async (options: MasterKeyOptions): Promise<MasterKey> => (await load(options)).master

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-key-'))
})
afterEach(() => rm(home, { recursive: true }))

const keyPath = (): string => join(home, 'master.key')

test('the first start makes a key that only its owner can read, and the next one loads it', async () => {
  const made = await loadMasterKey({ home, usedWith: [] })
  const loaded = await loadMasterKey({ home, usedWith: [made.id] })
  expect(loaded.id).toBe(made.id)
  expect(loaded.key.equals(made.key)).toBe(true)
  expect((await stat(keyPath())).mode & 0o777).toBe(0o600)
  expect(await readdir(home)).toEqual(['master.key'])
})

test('several starts at once agree on one key', async () => {
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadMasterKey({ home, usedWith: [] })))
  expect(new Set(keys.map(({ id }) => id)).size).toBe(1)
  expect(await readdir(home)).toEqual(['master.key'])
})

test('no key is made for a store that is used with one', async () => {
  await expect(loadMasterKey({ home, usedWith: ['mk_0123456789abcdef'] })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('mk_0123456789abcdef'),
  })
  expect(await readdir(home)).toEqual([])
})

test('another key than the one of the store is refused, naming both', async () => {
  const { id } = await loadMasterKey({ home, usedWith: [] })
  await expect(loadMasterKey({ home, usedWith: [id, 'mk_0123456789abcdef'] })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringMatching(new RegExp(`mk_0123456789abcdef.*${id}`)),
  })
})

test.each([0o640, 0o604, 0o660])('a key file of mode %o is refused with the command to run', async (mode) => {
  await loadMasterKey({ home, usedWith: [] })
  await chmod(keyPath(), mode)
  await expect(loadMasterKey({ home, usedWith: [] })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining(`chmod 600 ${keyPath()}`),
  })
})

test('a damaged key file is refused, and not one byte of it is quoted', async () => {
  await loadMasterKey({ home, usedWith: [] })
  const text = await readFile(keyPath(), 'utf8')
  const last = text.at(-3) === 'A' ? 'B' : 'A'
  for (const damaged of [
    '',
    text.slice(0, 30),
    `${text.slice(0, -3)}${last}${text.slice(-2)}`,
    'x'.repeat(4096),
  ]) {
    await writeFile(keyPath(), damaged)
    const refused = loadMasterKey({ home, usedWith: [] })
    await expect(refused).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('damaged'),
    })
    await expect(refused).rejects.not.toMatchObject({ hint: expect.stringContaining(text.slice(40, 60)) })
  }
})

test('the key file can be elsewhere', async () => {
  const keyFile = join(home, 'elsewhere.key')
  const made = await loadMasterKey({ home, keyFile, usedWith: [] })
  expect(await readdir(home)).toEqual(['elsewhere.key'])
  expect((await loadMasterKey({ home: '/nowhere', keyFile, usedWith: [made.id] })).id).toBe(made.id)
})

test('a key that is given needs no file and makes none, and a damaged one is not quoted', async () => {
  const made = await loadMasterKey({ home, usedWith: [] })
  const text = await readFile(keyPath(), 'utf8')
  await rm(keyPath())
  const given = await load({ home, given: new SecretValue(text.trim()), usedWith: [made.id] })
  expect(given).toMatchObject({ master: { id: made.id }, madeAt: undefined })
  expect(await readdir(home)).toEqual([])
  const refused = load({ home, given: new SecretValue(text.replace('-1 ', '-2 ')), usedWith: [] })
  await expect(refused).rejects.toMatchObject({ hint: expect.stringContaining('CASTELLAN_MASTER_KEY') })
  await expect(refused).rejects.not.toMatchObject({ hint: expect.stringContaining(text.slice(40, 60)) })
})

test('a directory that does not exist is refused with what to check', async () => {
  await expect(loadMasterKey({ home: join(home, 'missing'), usedWith: [] })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('writable'),
  })
})

test('derived keys are the same each time, differ by purpose, and are not the master key', async () => {
  const master = await loadMasterKey({ home, usedWith: [] })
  expect(deriveKey(master, 'audit-mac')).toEqual(deriveKey(master, 'audit-mac'))
  expect(deriveKey(master, 'audit-mac')).not.toEqual(deriveKey(master, 'audit-sign'))
  expect(deriveKey(master, 'audit-mac')).not.toEqual(master.key.export())
  expect(deriveKey(master, 'audit-mac')).toHaveLength(32)
})
