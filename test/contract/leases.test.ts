import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { createLeases, type Leases } from '../../src/main/leases/leases.ts'
import { runJobs } from '../../src/main/leases/jobs.ts'
import { listLeases } from '../../src/store/leases.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { until } from '../e2e/gateway-harness.ts'

/* Work that one of several daemons does: here they are in one process, on one store. */

const BEAT_MS = 20
let home: string
let store: Store
let opened: Leases[]
/** Who is at work, in order of beginning; those that have stopped are no longer here. */
let working: string[]

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-leases-'))
  store = await openStore({ home }, silentLog)
  opened = []
  working = []
})
afterEach(async () => {
  await Promise.all(opened.map((leases) => leases.close()))
  await store.close()
  await rm(home, { recursive: true, force: true })
})

interface Broken {
  /** Its statements fail: it cannot reach the database, and lives. */
  away: boolean
}

function open(self: string, { shared = true } = {}): { leases: Leases; net: Broken } {
  const net = { away: false }
  const db = new Proxy(store.state, {
    get(target, name) {
      if (net.away) throw new Error('away')
      const found: unknown = Reflect.get(target, name)
      return typeof found === 'function' ? found.bind(target) : found
    },
  })
  const { tickMs } = systemClock
  const leases = createLeases({ db, self, shared, log: silentLog, tickMs, beatMs: BEAT_MS })
  opened.push(leases)
  return { leases, net }
}

const work =
  (self: string) =>
  async (signal: AbortSignal): Promise<void> => {
    working.push(self)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    working.splice(working.indexOf(self), 1)
  }

test('of several daemons one does it, and another goes on when that one ends', async () => {
  const daemons = ['a', 'b', 'c'].map((self) => ({ self, leases: open(self).leases }))
  for (const { self, leases } of daemons) {
    leases.withLease('job', work(self))
    leases.begin()
  }
  await until('one is at work', () => working.length > 0)
  const [first] = working
  await sleep(10 * BEAT_MS)
  expect(working).toEqual([first])
  await daemons.find(({ self }) => self === first)?.leases.close()
  expect(working).toEqual([])
  await until('another is at work', () => working.length > 0)
  expect(working).not.toContain(first)
  await sleep(10 * BEAT_MS)
  expect(working).toHaveLength(1)
})

test('who cannot reach the database is told to stop before another begins, and is one of many when it is back', async () => {
  const a = open('a')
  a.leases.withLease('job', work('a'))
  a.leases.begin()
  await until('a is at work', () => working.length > 0)
  const b = open('b')
  let overlapped = false
  b.leases.withLease('job', async (signal) => {
    overlapped ||= working.includes('a')
    await work('b')(signal)
  })
  b.leases.begin()
  a.net.away = true
  await until('b has taken over', () => working.includes('b'))
  expect([overlapped, working]).toEqual([false, ['b']])
  a.net.away = false
  await sleep(10 * BEAT_MS)
  expect(working).toEqual(['b'])
  await b.leases.close()
  await until('a is back at work', () => working.includes('a'))
})

test('work that ends or fails is begun again by the daemon that has the lease', async () => {
  const { leases } = open('a')
  let begun = 0
  leases.withLease('job', () => {
    begun++
    return begun === 1 ? Promise.reject(new Error('failed')) : Promise.resolve()
  })
  leases.begin()
  await until('it was begun three times', () => begun >= 3)
  expect(await listLeases(store.state)).toMatchObject([{ name: 'job', holder: 'a' }])
})

test('where nobody else works on the database everything is ours, and nothing is written', async () => {
  const { leases } = open('alone', { shared: false })
  let runs = 0
  runJobs(leases, silentLog, [{ name: 'job', everyMs: 5, run: () => Promise.resolve(runs++) }])
  leases.begin()
  await until('it has run three times', () => runs >= 3)
  expect(await listLeases(store.state)).toEqual([])
  await leases.close()
  const before = runs
  await sleep(30)
  expect(runs).toBe(before)
})
