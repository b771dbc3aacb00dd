import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, removeHome } from '../fixtures/daemon.ts'

/* kill -9 while a master key takes the place of another. */

const WRITER = new URL('keys-crash-writer.ts', import.meta.url).pathname
const KILLS = 20

let home: string
beforeAll(async () => {
  home = await makeHome()
})
afterAll(() => removeHome(home))

interface Life {
  /** The key that the record and the peers depend on, as hexadecimal digits. */
  readonly storeKey: string
  /** Rotations that came to their end. */
  readonly done: number
}

/** Starts a process that replaces the key again and again, and kills it so long after it has opened the store. */
async function live(afterMs: number): Promise<Life> {
  const child = spawn(process.execPath, [WRITER, home], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = once(child, 'close')
  let storeKey = ''
  let done = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, value = ''] = line.split(' ', 2)
    if (word === 'done') done += 1
    if (word !== 'open') continue
    storeKey = value
    void sleep(afterMs).then(() => child.kill('SIGKILL'))
  }
  await ended
  if (storeKey === '') throw new Error(said)
  return { storeKey, done }
}

test('kill -9 at 20 points: each value opens with a key that is there, the next life goes on, and no key is left over', async () => {
  const first = await live(1500)
  let done = first.done
  expect(done).toBeGreaterThan(0)
  const takesMs = 1500 / done
  for (let i = 0; i < KILLS; i++) {
    const life = await live(Math.random() * 1.5 * takesMs)
    expect(life.storeKey).toBe(first.storeKey)
    done += life.done
  }
  const last = await live(2 * takesMs + 500)
  expect(last.storeKey).toBe(first.storeKey)
  // At most the one that was on its way when the last life ended.
  const files = readdirSync(home).filter((name) => name.startsWith('master.key'))
  expect(files).toContain('master.key')
  expect(files.filter((name) => name.startsWith('master.key.mk_')).length).toBeLessThanOrEqual(1)
}, 240_000)
