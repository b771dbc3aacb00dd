import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { deriveKey } from './derive-key.ts'
import { loadMasterKey } from './master-key.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-key-'))
})
afterEach(() => rm(home, { recursive: true }))

const keyPath = (): string => join(home, 'master.key')

test('the first start makes a key that only its owner can read, and the next one loads it', async () => {
  const made = await loadMasterKey({ home, sealedWith: [] })
  const loaded = await loadMasterKey({ home, sealedWith: [made.id] })
  expect(loaded.id).toBe(made.id)
  expect(loaded.key.equals(made.key)).toBe(true)
  expect((await stat(keyPath())).mode & 0o777).toBe(0o600)
  expect(await readdir(home)).toEqual(['master.key'])
})

test('several starts at once agree on one key', async () => {
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadMasterKey({ home, sealedWith: [] })))
  expect(new Set(keys.map(({ id }) => id)).size).toBe(1)
  expect(await readdir(home)).toEqual(['master.key'])
})

test('no key is made while something is sealed', async () => {
  await expect(loadMasterKey({ home, sealedWith: ['mk_0123456789abcdef'] })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('mk_0123456789abcdef'),
  })
  expect(await readdir(home)).toEqual([])
})

test('another key than the one that sealed is refused, naming both', async () => {
  const { id } = await loadMasterKey({ home, sealedWith: [] })
  await expect(loadMasterKey({ home, sealedWith: [id, 'mk_0123456789abcdef'] })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringMatching(new RegExp(`mk_0123456789abcdef.*${id}`)),
  })
})

test.each([0o640, 0o604, 0o660])('a key file of mode %o is refused with the command to run', async (mode) => {
  await loadMasterKey({ home, sealedWith: [] })
  await chmod(keyPath(), mode)
  await expect(loadMasterKey({ home, sealedWith: [] })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining(`chmod 600 ${keyPath()}`),
  })
})

test('a damaged key file is refused, and not one byte of it is quoted', async () => {
  await loadMasterKey({ home, sealedWith: [] })
  const text = await readFile(keyPath(), 'utf8')
  const last = text.at(-3) === 'A' ? 'B' : 'A'
  for (const damaged of [
    '',
    text.slice(0, 30),
    `${text.slice(0, -3)}${last}${text.slice(-2)}`,
    'x'.repeat(4096),
  ]) {
    await writeFile(keyPath(), damaged)
    const refused = loadMasterKey({ home, sealedWith: [] })
    await expect(refused).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('damaged'),
    })
    await expect(refused).rejects.not.toMatchObject({ hint: expect.stringContaining(text.slice(40, 60)) })
  }
})

test('the key file can be elsewhere', async () => {
  const keyFile = join(home, 'elsewhere.key')
  const made = await loadMasterKey({ home, keyFile, sealedWith: [] })
  expect(await readdir(home)).toEqual(['elsewhere.key'])
  expect((await loadMasterKey({ home: '/nowhere', keyFile, sealedWith: [made.id] })).id).toBe(made.id)
})

test('a directory that does not exist is refused with what to check', async () => {
  await expect(loadMasterKey({ home: join(home, 'missing'), sealedWith: [] })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('writable'),
  })
})

test('derived keys are the same each time, differ by purpose, and are not the master key', async () => {
  const master = await loadMasterKey({ home, sealedWith: [] })
  expect(deriveKey(master, 'audit-mac')).toEqual(deriveKey(master, 'audit-mac'))
  expect(deriveKey(master, 'audit-mac')).not.toEqual(deriveKey(master, 'audit-sign'))
  expect(deriveKey(master, 'audit-mac')).not.toEqual(master.key.export())
  expect(deriveKey(master, 'audit-mac')).toHaveLength(32)
})
