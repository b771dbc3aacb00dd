import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { setOf, wholeVersion } from './control-crash-set.ts'
import { makeHome, openControl, withControl } from './control-harness.ts'

const WRITER = new URL('control-crash-writer.ts', import.meta.url).pathname
const KILLS = 50
/** Each with a home of its own, side by side. */
const LANES = 2

interface Killed {
  readonly found: number
  readonly begun: number
  /** How long the apply took, where it was acknowledged before the end. */
  readonly doneMs: number | undefined
}

/** Starts a process that applies, and kills it so long after it has begun. */
async function killWhileApplying(home: string, begun: number, afterMs: number): Promise<Killed> {
  const child = spawn(process.execPath, [WRITER, home, String(begun)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = once(child, 'close')
  const told: Record<string, number> = {}
  for await (const line of createInterface({ input: child.stdout })) {
    const [word = '', value] = line.split(' ', 2)
    told[word] = Number(value)
    if (word === 'begin') void sleep(afterMs).then(() => child.kill('SIGKILL'))
  }
  await ended
  if (told['begin'] === undefined) throw new Error(said)
  return { found: told['found'] ?? 0, begun: told['begin'], doneMs: told['done'] }
}

/** Kills that one home goes through: what it holds grows with each. */
const KILLS_OF_ONE = 5
/** How long an apply takes, before one has said so. */
const FIRST_GUESS_MS = 500

test('kill -9 at 50 points of an apply: what is stored is wholly before or wholly after it, and it is done once', async () => {
  let takesMs = FIRST_GUESS_MS
  let kills = 0
  async function goThrough(home: string): Promise<void> {
    let last: Killed = { found: 0, begun: 0, doneMs: undefined }
    for (let i = 0; i < KILLS_OF_ONE; i++) {
      // Somewhat longer than it takes, so that some are acknowledged.
      const next = await killWhileApplying(home, last.begun, Math.random() * 1.2 * takesMs)
      kills += 1
      takesMs = next.doneMs ?? takesMs
      expect(next.begun).toBe(last.begun + 1)
      // The writer has looked at all of it: what it found is there in whole. What was acknowledged is.
      const possible = last.doneMs === undefined ? [last.begun - 1, last.begun, 0] : [last.begun]
      expect(possible).toContain(next.found)
      last = next
    }
    const control = await openControl(home)
    expect([last.begun - 1, last.begun]).toContain(wholeVersion(control))
    await control.close()
  }
  async function lane(): Promise<void> {
    for (let left = KILLS / LANES; left > 0; left -= KILLS_OF_ONE) {
      const home = await makeHome()
      await goThrough(home)
      await rm(home, { recursive: true, force: true })
    }
  }
  await Promise.all(Array.from({ length: LANES }, () => lane()))
  expect(kills).toBe(KILLS)
}, 300_000)

test('of many who apply the same set at once, each finds it whole, and so is what stays', () =>
  withControl(async (control) => {
    const states: string[][] = []
    control.snapshot.subscribe(() => {
      const all = [...control.snapshot.state().byUid.values()]
      states.push([...new Set(all.map(({ resource }) => resource.metadata.labels['version'] ?? 'none'))])
    })
    const all = [1, 2, 3, 4].map((version) => control.call('POST', '/api/v1/apply', setOf(version, 'same')))
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(new Set(states.flat())).toEqual(new Set(['1', '2', '3', '4']))
    for (const versions of states) expect(versions).toHaveLength(1)
  }))
