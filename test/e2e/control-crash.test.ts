import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { makeHome, openControl } from './control-harness.ts'

const WRITER = new URL('control-crash-writer.ts', import.meta.url).pathname

/** Kills a process that applies without end, and returns the last apply that it acknowledged. */
async function killWhileApplying(home: string, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, home], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await once(child.stdout, 'data')
  setTimeout(() => child.kill('SIGKILL'), afterMs)
  await once(child, 'close')
  return Number(said.trim().split('\n').at(-1))
}

test('kill -9 during apply: what was acknowledged is there, and every apply is all or nothing', async () => {
  for (const afterMs of [0, 37, 111]) {
    const home = await makeHome()
    const acknowledged = await killWhileApplying(home, afterMs)
    const control = await openControl(home)
    try {
      const names = (await control.call('GET', '/api/v1/names/secrets')).text.trim().split('\n')
      expect(names.length % 3).toBe(0)
      const applied = names.length / 3
      // At most the one that was under way when it died.
      expect([acknowledged + 1, acknowledged + 2]).toContain(applied)
      for (let i = 0; i < applied; i++) {
        for (const letter of ['a', 'b', 'c']) {
          expect(control.snapshot.secretValue(`s${i}-${letter}`, 'token')?.reveal()).toBe(
            `value-${i}-${letter}`,
          )
        }
      }
      expect((await control.call('DELETE', '/api/v1/secrets/s0-a')).status).toBe(200)
    } finally {
      await control.close()
      await rm(home, { recursive: true, force: true })
    }
  }
})
