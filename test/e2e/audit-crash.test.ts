import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { verifyDatabase } from '../../src/audit/postgres/verify-database.ts'
import type { AuditRecorder } from '../../src/audit/recorder.ts'
import type { VerifyReport } from '../../src/audit/verify.ts'
import {
  freshHome,
  intent,
  keys,
  openTest,
  outcome,
  recordEach,
  verifyTest,
} from '../contract/audit-fixture.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'

const WRITER = fileURLToPath(new URL('audit-crash-writer.ts', import.meta.url))

const cleanUp: (() => void)[] = []
afterEach(() => {
  for (const undo of cleanUp.splice(0).reverse()) undo()
})

function home(): string {
  const made = freshHome()
  cleanUp.push(() => rmSync(made, { recursive: true, force: true }))
  return made
}

interface Place {
  readonly home: string
  /** Argument of the writer, if any. */
  readonly database: readonly string[]
  open(): Promise<AuditRecorder>
  verify(): Promise<VerifyReport | undefined>
}

function inHome(): Place {
  const at = home()
  return { home: at, database: [], open: () => openTest(at), verify: () => verifyTest(at) }
}

let postgres: TestPostgres | undefined
let databases = 0
afterAll(() => postgres?.close())

async function inDatabase(): Promise<Place> {
  postgres ??= await startPostgres(await findEmbeddedPostgres())
  const url = await postgres.createDatabase(`crash_${databases++}`)
  const at = home()
  return {
    home: at,
    database: [url],
    open: () => openTest(at, { database: { url, environment: {} } }),
    verify: async () => (await verifyDatabase({ databaseUrl: url, home: at, ...keys }))[0],
  }
}

/** Lets a child record calls `first` to `last` and kills it, as soon as `enough` says so. @returns what it was told */
async function crash(at: Place, range: readonly [number, number], enough: (told: string[]) => boolean) {
  const child = spawn(process.execPath, [WRITER, at.home, ...range.map(String), ...at.database], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanUp.push(() => child.kill('SIGKILL'))
  const told: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    told.push(line)
    if (enough(told)) child.kill('SIGKILL')
  }
  return told.filter((line) => /^boot-\d+$/.test(line))
}

async function recorded(at: Place): Promise<Set<string>> {
  const recorder = await at.open()
  const rows = await recorder.query({ limit: 10_000 })
  await recorder.close()
  return new Set(rows.map((row) => row.id))
}

describe.each(['SQLite', 'PostgreSQL'])('kill -9 of the writer, on %s', (where) => {
  const fresh = (): Promise<Place> => (where === 'SQLite' ? Promise.resolve(inHome()) : inDatabase())

  test('after 10,000 calls: the record verifies and holds every one', async () => {
    const at = await fresh()
    const told = await crash(at, [1, 10_000], (lines) => lines.at(-1) === 'done')
    expect(told).toHaveLength(10_000)
    expect(await at.verify()).toMatchObject({ ok: true, findings: [] })
    const there = await recorded(at)
    expect(told.filter((id) => !there.has(id))).toEqual([])
    expect(await at.verify()).toMatchObject({ ok: true, findings: [] })
  })

  test('in the middle, again and again: nothing that was called durable is missing', async () => {
    const at = await fresh()
    const told: string[] = []
    for (const [i, count] of [1, 60, 500, 1_500].entries())
      told.push(...(await crash(at, [i * 100_000 + 1, (i + 1) * 100_000], (lines) => lines.length >= count)))
    expect(told.length).toBeGreaterThan(2_000)
    expect(await at.verify()).toMatchObject({ ok: true, findings: [] })
    const there = await recorded(at)
    // The listing is bounded, so only the newest of many can be asked for.
    expect(told.slice(-5_000).filter((id) => !there.has(id))).toEqual([])
  })
})

/** A file system of its own with 2 MiB. @returns whether this user may mount one */
const mountSmallDisk = (at: string): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', at]).status === 0

function mayMount(): boolean {
  const at = freshHome()
  const may = mountSmallDisk(at)
  if (may) spawnSync('umount', [at])
  rmSync(at, { recursive: true })
  return may
}

function smallDisk(): string {
  const at = join(home(), 'disk')
  mkdirSync(at)
  expect(mountSmallDisk(at)).toBe(true)
  cleanUp.push(() => spawnSync('umount', [at]))
  return at
}

const FULL = 'a full disk: calls are refused, nothing already acknowledged is lost, and it recovers'

test.runIf(mayMount())(FULL, async () => {
  const at = smallDisk()
  // No anchor before the disk is full, so that there is one that cannot be written.
  const recorder = await openTest(at, { maxQueuedEntries: 500, anchorEveryMs: 1_000 })
  await recordEach(recorder, ['b-1', 'b-2', 'b-3'])
  const filler = join(at, 'filler')
  const free = statfsSync(at)
  writeFileSync(filler, Buffer.alloc((free.bavail - 2) * free.bsize))
  const acknowledged: string[] = []
  for (let i = 4; recorder.accepts(); i++) {
    const told = await recorder.intent(intent(`b-${i}`, { target: 'x'.repeat(500) })).durable
    if (told) acknowledged.push(`b-${i}`)
    recorder.outcome(outcome(`b-${i}`))
  }
  expect(recorder.stats().failing?.reason).toMatch(/full|disk/i)
  const rest = join(at, 'rest')
  expect(() => {
    for (;;) appendFileSync(rest, Buffer.alloc(4_096))
  }).toThrow(/ENOSPC/)
  // Answers of calls that were on their way: more than the queue holds.
  for (let i = 0; i < 1_000; i++) recorder.outcome(outcome(`late-${i}`))
  await expect.poll(() => recorder.stats().anchorProblem, { timeout: 5_000 }).toMatch(/ENOSPC/)
  for (const file of [filler, rest]) rmSync(file)
  await expect.poll(() => recorder.accepts(), { timeout: 5_000 }).toBe(true)
  await recorder.flush()
  const { lostEntries } = recorder.stats()
  expect(lostEntries).toBeGreaterThan(300)
  const rows = await recorder.query({ limit: 1_000 })
  expect(rows.find((row) => row.event === 'gap')).toMatchObject({ count: lostEntries })
  const there = new Set(rows.map((row) => row.id))
  expect(acknowledged.filter((id) => !there.has(id))).toEqual([])
  expect(recorder.stats()).toMatchObject({ anchorProblem: undefined, queuedEntries: 0 })
  await recorder.close()
  expect(await verifyTest(at)).toMatchObject({ ok: true, findings: [] })
})
