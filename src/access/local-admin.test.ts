import { hash } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLocalAdmin } from './local-admin.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-admin-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

test('makes a 0600 credential once and finds it again', async () => {
  const [first, second] = await Promise.all([openLocalAdmin(home), openLocalAdmin(home)])
  const text = (await readFile(first.path, 'utf8')).trim()
  expect(text).toMatch(/^csa_[A-Za-z0-9_-]{43}$/)
  expect((await stat(first.path)).mode & 0o777).toBe(0o600)
  expect(first.digest).toEqual(hash('sha256', text, 'buffer'))
  expect(second.digest).toEqual(first.digest)
})

test('refuses a credential that others may read, and says what to run', async () => {
  const { path } = await openLocalAdmin(home)
  await chmod(path, 0o644)
  await expect(openLocalAdmin(home)).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('chmod 600'),
  })
})

test('refuses a damaged file without showing it', async () => {
  await writeFile(join(home, 'admin-credential'), 'half-a-secret', { mode: 0o600 })
  const refused = await openLocalAdmin(home).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'unavailable' })
  expect(JSON.stringify(refused)).not.toContain('half-a-secret')
})

test('a home that is not there is a clear refusal', async () => {
  await expect(openLocalAdmin(join(home, 'gone'))).rejects.toMatchObject({ code: 'unavailable' })
})
