import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { homeFailure, isHomeLocked, lockHome } from '../../src/main/home-lock.ts'

const folder = () => mkdtempSync(join(tmpdir(), 'castellan-lock-'))
const lockModule = new URL('../../src/main/home-lock.ts', import.meta.url).href

const stop: (() => void)[] = []
afterEach(() => {
  for (const kill of stop.splice(0)) kill()
})

/** Another process that takes the lock of a home and keeps it. */
async function holder(home: string) {
  const script = `const { lockHome } = await import(${JSON.stringify(lockModule)})
globalThis.lock = lockHome(${JSON.stringify(home)})
process.stdout.write(globalThis.lock === undefined ? 'refused' : 'held')
setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  stop.push(() => child.kill('SIGKILL'))
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    said: said.toString(),
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

test('a lock is held against other processes and ends with kill -9', async () => {
  const home = join(folder(), 'new/home')
  const first = await holder(home)
  expect(first.said).toBe('held')
  expect(isHomeLocked(home)).toBe(true)
  expect(lockHome(home)).toBeUndefined()
  const second = await holder(home)
  expect(second.said).toBe('refused')
  await second.kill()
  expect(isHomeLocked(home)).toBe(true)
  await first.kill()
  expect(isHomeLocked(home)).toBe(false)
  const mine = lockHome(home)
  expect(mine).toBeDefined()
  mine?.release()
  expect(isHomeLocked(home)).toBe(false)
})

test('home and lock file are for their owner only', () => {
  const home = join(folder(), 'home')
  lockHome(home)?.release()
  expect(statSync(home).mode & 0o777).toBe(0o700)
  expect(statSync(join(home, 'daemon.lock')).mode & 0o777).toBe(0o600)
})

test('asking whether a home is locked leaves nothing behind', () => {
  const home = join(folder(), 'never')
  expect(isHomeLocked(home)).toBe(false)
  expect(existsSync(home)).toBe(false)
})

test('a home below a file is refused in words', () => {
  const file = join(folder(), 'file')
  writeFileSync(file, '')
  expect(() => lockHome(join(file, 'home'))).toThrow('a part of the path is a file')
})

test.each([
  ['EROFS', 'read-only'],
  ['ENOSPC', 'the disk is full'],
  ['EACCES', 'you may not write there'],
])('%s is said in words', (code, says) => {
  expect(homeFailure('/h', Object.assign(new Error('x'), { code })).message).toContain(says)
})
