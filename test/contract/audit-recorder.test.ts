import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, test } from 'vitest'
import type { AuditRecorder, RecorderOptions } from '../../src/audit/recorder.ts'
import { setAside } from '../../src/audit/set-aside.ts'
import { freshHome, openTest, recordEach, verifyTest } from './audit-fixture.ts'
import { postgresPlaces, sqlitePlaces } from './audit-places.ts'
import { recordContract } from './audit-record.ts'
import { searchContract } from './audit-search.ts'

describe.each([sqlitePlaces(), postgresPlaces()])('on $name', (places) => {
  recordContract(places)
  searchContract(places)
})

/* What only the files of a home can meet. */

const homes: string[] = []
const open: AuditRecorder[] = []
afterEach(async () => {
  for (const recorder of open.splice(0)) await recorder.close()
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true })
})

function home(): string {
  const made = freshHome()
  homes.push(made)
  return made
}

async function start(at: string, options: Partial<RecorderOptions> = {}): Promise<AuditRecorder> {
  const recorder = await openTest(at, options)
  open.push(recorder)
  return recorder
}

async function stop(recorder: AuditRecorder): Promise<void> {
  open.splice(open.indexOf(recorder), 1)
  await recorder.close()
}

const DAY_MS = 86_400_000

test('is readable by its owner only, and so are its anchors, its index and its archive', async () => {
  const at = home()
  const recorder = await start(at)
  await recordEach(recorder, ['b-1', 'b-2'], Date.now() - 100 * DAY_MS)
  await recorder.retain()
  await recorder.query({ limit: 1 })
  const files = readdirSync(at, { recursive: true, encoding: 'utf8' }).map((name) => [
    name,
    statSync(join(at, name)).mode & 0o077,
  ])
  expect(files.length).toBeGreaterThan(6)
  expect(files.filter(([, open]) => open !== 0)).toEqual([])
})

test('a query answers from an index that was deleted, is not one, or is of an older version', async () => {
  const at = home()
  const first = await start(at)
  await recordEach(first, ['b-1'])
  await first.query({ limit: 1 })
  await stop(first)
  const db = join(at, 'audit-index.db')
  const damages = [
    () => rmSync(db),
    () => writeFileSync(db, 'no database '.repeat(1000)),
    () => makeOlder(db),
  ]
  for (const damage of damages) {
    damage()
    const again = await start(at)
    expect(await again.query({ limit: 5 })).toMatchObject([{ id: 'b-1' }])
    await stop(again)
  }
})

function makeOlder(index: string): void {
  const db = new DatabaseSync(index)
  db.exec('ALTER TABLE calls RENAME COLUMN kind TO other; PRAGMA user_version = 1')
  db.close()
}

test('a record that was set aside is kept whole, and the new one names it', async () => {
  const at = home()
  const first = await start(at)
  await recordEach(first, ['b-1', 'b-2'])
  expect(() => setAside(at, Date.now())).toThrow(expect.objectContaining({ code: 'conflict' }))
  await stop(first)
  const folder = setAside(at, Date.now())
  expect(await verifyTest(join(at, folder))).toMatchObject({ ok: true, segments: 2 })
  expect(() => setAside(at, Date.now())).toThrow(expect.objectContaining({ code: 'not_found' }))
  const second = await start(at)
  await second.flush()
  expect(await second.query({ limit: 5 })).toMatchObject([{ event: 'set-aside audit', target: folder }])
})

test('the listing of a record that was put in the place of another is its own', async () => {
  const at = home()
  for (const id of ['old-1', 'new-1']) {
    const recorder = await start(at)
    await recordEach(recorder, [id])
    expect((await recorder.query({ limit: 5 })).at(-1)).toMatchObject({ id })
    expect(await recorder.query({ limit: 5 })).toHaveLength(1)
    await stop(recorder)
    for (const name of ['audit.db', 'audit-anchors.jsonl']) rmSync(join(at, name))
  }
})

test('a record whose archive is kept elsewhere is verified by its signed checkpoints', async () => {
  const at = home()
  const recorder = await start(at)
  await recordEach(recorder, ['b-1', 'b-2', 'b-3'], Date.now() - 100 * DAY_MS)
  await recordEach(recorder, ['b-4'])
  expect(await recorder.retain()).toBe(3)
  await stop(recorder)
  rmSync(join(at, 'audit-archive'), { recursive: true })
  expect((await verifyTest(at)).findings).toMatchObject([{ what: 'missing', segment: 1, to: 3 }])
  expect(await verifyTest(at, { archives: false })).toMatchObject({ ok: true, segments: 1 })
})
