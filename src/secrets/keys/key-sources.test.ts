import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadMasterKey } from '../master-key.ts'
import { keyFromCommand } from './key-command.ts'
import { keyInFile, writeNewKeyFile } from './key-file.ts'
import { newMasterKey, textOfKey } from './key.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'castellan-source-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function program(script: string): string {
  const path = join(dir, 'program')
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o700 })
  return path
}

test('a key in a file is replaced with the old one beside it, again and again, until that is forgotten', async () => {
  const path = join(dir, 'master.key')
  const [old, next] = [newMasterKey(), newMasterKey()]
  expect(await writeNewKeyFile(path, old)).toBe(true)
  expect(await writeNewKeyFile(path, next)).toBe(false)
  const source = keyInFile(path)
  await source.keep?.checkReplace()
  for (let i = 0; i < 2; i++) {
    await source.keep?.replace(next, old)
    expect((await source.read())?.id).toBe(next.id)
    expect(readFileSync(`${path}.${old.id}`, 'utf8')).toBe(textOfKey(old).reveal())
  }
  for (let i = 0; i < 2; i++) await source.keep?.forget(old.id)
  expect(existsSync(`${path}.${old.id}`)).toBe(false)
})

test('a program gets its arguments as they are, and what it says beside the key goes where it is wanted', async () => {
  const master = newMasterKey()
  writeFileSync(join(dir, '$(key) file'), textOfKey(master).reveal(), { mode: 0o600 })
  const said: string[] = []
  const argv = [program('echo "$#" >&2\nexec cat "$1"'), join(dir, '$(key) file')]
  const source = keyFromCommand({ argv, env: { PATH: process.env['PATH'] }, said: (text) => said.push(text) })
  expect((await source.read())?.id).toBe(master.id)
  expect(said).toEqual(['1\n'])
})

test.each([
  ['is not there', undefined, 'cannot be started'],
  ['fails', 'exit 7', 'ended with 7'],
  ['prints nothing', 'true', 'does not hold a master key'],
  ['prints a page', 'head -c 5000 /dev/zero', 'prints more than a key'],
  ['hangs, with children that hold on to its output', 'sleep 60 & sleep 60', 'did not end within 0.3 s'],
])('a program that %s is a refusal that quotes nothing', async (_, script, why) => {
  const argv = [script === undefined ? join(dir, 'nothing') : program(script)]
  const source = keyFromCommand({ argv, env: { PATH: process.env['PATH'] }, patienceMs: 300 })
  await expect(source.read()).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining(why) as string,
  })
})

test.runIf(process.platform === 'linux').each(['absent', 'silent'])(
  'a keychain that is %s is a refusal, and never a second key',
  async (how) => {
    const bus = createServer(() => undefined)
    if (how === 'silent') await new Promise<void>((resolve) => bus.listen(join(dir, 'bus'), resolve))
    const env = { PATH: process.env['PATH'], DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(dir, 'bus')}` }
    const refused = loadMasterKey({ home: dir, keychain: { env, patienceMs: 1000 }, usedWith: [] })
    await expect(refused).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringMatching(/keychain.*--key-file/) as string,
    })
    expect(existsSync(join(dir, 'master.key'))).toBe(false)
    bus.close()
  },
)
