import { appendFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runVerify } from '../../src/audit/command-verify.ts'
import { freshHome, openTest, recordEach, verifyTest } from './audit-fixture.ts'

const SEGMENTS = 9
const ids = Array.from({ length: SEGMENTS }, (_, i) => `boot-${i + 1}`)

/** A record of nine segments, anchored after the fourth and after the ninth; each test damages a copy. */
let original: string
beforeAll(async () => {
  original = freshHome()
  const recorder = await openTest(original)
  await recordEach(recorder, ids.slice(0, 4))
  await recorder.flush()
  await recordEach(recorder, ids.slice(4))
  await recorder.close()
})

const homes: string[] = []
afterAll(() => {
  for (const home of [original, ...homes]) rmSync(home, { recursive: true, force: true })
})

function copy(): string {
  const home = freshHome()
  homes.push(home)
  cpSync(original, home, { recursive: true })
  return home
}

function sql(home: string, text: string): void {
  const db = new DatabaseSync(join(home, 'audit.db'))
  db.exec(text)
  db.close()
}

const anchorsOf = (home: string): string => join(home, 'audit-anchors.jsonl')

function editAnchors(home: string, edit: (lines: string[]) => string[]): void {
  const lines = readFileSync(anchorsOf(home), 'utf8').split('\n').slice(0, -1)
  writeFileSync(
    anchorsOf(home),
    edit(lines)
      .map((line) => `${line}\n`)
      .join(''),
  )
}

const swap = (a: number, b: number, columns: string): string => `
  CREATE TEMP TABLE other AS SELECT * FROM segments WHERE seq = ${a};
  UPDATE segments SET (${columns}) = (SELECT ${columns} FROM segments WHERE seq = ${b}) WHERE seq = ${a};
  UPDATE segments SET (${columns}) = (SELECT ${columns} FROM other) WHERE seq = ${b};`

const ALL = 'count, first_at_ms, last_at_ms, mac, body'

describe('verify finds', () => {
  // oxfmt-ignore
  const rows: readonly (readonly [what: string, damage: (home: string) => void, finding: object])[] = [
    ['an edited entry', (home) => sql(home, `UPDATE segments SET body = replace(body, 'echo', 'evil') WHERE seq = 3`), { what: 'changed', segment: 3 }],
    ['an edited count', (home) => sql(home, 'UPDATE segments SET count = 2 WHERE seq = 5'), { what: 'changed', segment: 5 }],
    ['an edited time', (home) => sql(home, 'UPDATE segments SET first_at_ms = first_at_ms - 1 WHERE seq = 5'), { what: 'changed', segment: 5 }],
    ['a removed first segment', (home) => sql(home, 'DELETE FROM segments WHERE seq = 1'), { what: 'missing', segment: 1, to: 1 }],
    ['a removed segment in the middle', (home) => sql(home, 'DELETE FROM segments WHERE seq = 6'), { what: 'missing', segment: 6, to: 6 }],
    ['a removed last segment', (home) => sql(home, 'DELETE FROM segments WHERE seq = 9'), { what: 'cut off', segment: 9, to: 9 }],
    ['a removed range', (home) => sql(home, 'DELETE FROM segments WHERE seq BETWEEN 2 AND 8'), { what: 'missing', segment: 2, to: 8 }],
    ['a removed segment whose place is closed up', (home) => sql(home, 'DELETE FROM segments WHERE seq = 6; UPDATE segments SET seq = seq - 1 WHERE seq > 6'), { what: 'changed', segment: 6 }],
    ['two segments swapped', (home) => sql(home, swap(3, 4, ALL)), { what: 'changed', segment: 3 }],
    ['two bodies swapped', (home) => sql(home, swap(7, 8, 'body')), { what: 'changed', segment: 7 }],
    ['a forged MAC', (home) => sql(home, `UPDATE segments SET mac = zeroblob(32) WHERE seq = 2`), { what: 'changed', segment: 2 }],
    ['a MAC of another width', (home) => sql(home, `UPDATE segments SET mac = x'00' WHERE seq = 2`), { what: 'changed', segment: 2 }],
    ['everything removed', (home) => sql(home, 'DELETE FROM segments'), { what: 'cut off', segment: 1, to: 9 }],
    ['an added segment', (home) => sql(home, `INSERT INTO segments SELECT 10, ${ALL} FROM segments WHERE seq = 9`), { what: 'changed', segment: 10 }],
    ['a table without its constraints', (home) => sql(home, `CREATE TABLE other AS SELECT seq, 'x' AS count, first_at_ms, last_at_ms, mac, body FROM segments; DROP TABLE segments; ALTER TABLE other RENAME TO segments`), { what: 'changed', segment: 1 }],
    ['a file that is no database', (home) => writeFileSync(join(home, 'audit.db'), 'x'.repeat(9000)), { what: 'unreadable' }],
    ['no file at all', (home) => rmSync(join(home, 'audit.db')), { what: 'missing' }],
    ['an edited anchor', (home) => editAnchors(home, (lines) => lines.map((line) => line.replace('"seq":4', '"seq":3'))), { what: 'anchor' }],
    ['an anchor that is not JSON', (home) => editAnchors(home, (lines) => ['{', ...lines]), { what: 'anchor' }],
    ['anchors in another order', (home) => editAnchors(home, (lines) => [...lines].reverse()), { what: 'anchor', segment: 4 }],
    ['an old anchor file beside a record that was cut further', (home) => { editAnchors(home, (lines) => lines.slice(0, 1)); sql(home, 'DELETE FROM segments WHERE seq > 3') }, { what: 'cut off', segment: 4, to: 4 }],
  ]
  test.each(rows)('%s', async (_, damage, finding) => {
    const home = copy()
    expect(await verifyTest(home)).toMatchObject({
      ok: true,
      segments: SEGMENTS,
      entries: SEGMENTS,
      findings: [],
    })
    damage(home)
    const report = await verifyTest(home)
    expect(report.ok).toBe(false)
    expect(report.findings).toContainEqual(expect.objectContaining(finding))
  })

  test('any single byte of a body or a MAC', async () => {
    const home = copy()
    const db = new DatabaseSync(join(home, 'audit.db'))
    const read = db.prepare('SELECT CAST(body AS BLOB) AS body, mac FROM segments WHERE seq = ?')
    const write = db.prepare('UPDATE segments SET body = CAST(? AS TEXT), mac = ? WHERE seq = ?')
    const place = fc.record({
      seq: fc.integer({ min: 1, max: SEGMENTS }),
      column: fc.constantFrom('body' as const, 'mac' as const),
      at: fc.nat(),
      bits: fc.integer({ min: 1, max: 127 }),
    })
    await fc.assert(
      fc.asyncProperty(place, async ({ seq, column, at, bits }) => {
        const row = read.get(seq) as { body: Uint8Array; mac: Uint8Array }
        const changed = { body: Uint8Array.from(row.body), mac: Uint8Array.from(row.mac) }
        changed[column][at % changed[column].length]! ^= bits
        write.run(changed.body, changed.mac, seq)
        expect((await verifyTest(home)).ok).toBe(false)
        write.run(row.body, row.mac, seq)
        expect((await verifyTest(home)).ok).toBe(true)
      }),
      { numRuns: 60 },
    )
    db.close()
  })

  test('a segment of another history of the same chain', async () => {
    const other = freshHome()
    homes.push(other)
    const recorder = await openTest(other)
    await recordEach(recorder, ids)
    await recorder.close()
    const home = copy()
    sql(
      home,
      `ATTACH '${join(other, 'audit.db')}' AS other;
      UPDATE segments SET (${ALL}) = (SELECT ${ALL} FROM other.segments WHERE seq = 3) WHERE seq = 3`,
    )
    expect((await verifyTest(home)).findings).toContainEqual(
      expect.objectContaining({ what: 'changed', segment: 3 }),
    )
  })

  test('a record whose chain was made with another key, or under another name', async () => {
    expect((await verifyTest(original, { macKey: new Uint8Array(32) })).ok).toBe(false)
    expect((await verifyTest(original, { signKey: new Uint8Array(32) })).ok).toBe(false)
    expect((await verifyTest(original, { chain: 'edge' })).ok).toBe(false)
  })
})

describe('verify accepts', () => {
  test('a tip that is newer than its anchor', async () => {
    const home = copy()
    editAnchors(home, (lines) => lines.slice(0, 1))
    expect(await verifyTest(home)).toMatchObject({ ok: true, tip: { seq: 9 }, lastAnchor: { seq: 4 } })
  })

  test('an anchor whose writing was interrupted, before and after the next start', async () => {
    const home = copy()
    appendFileSync(anchorsOf(home), '{"chain":"daemon","seq":')
    expect((await verifyTest(home)).ok).toBe(true)
    const recorder = await openTest(home)
    await recordEach(recorder, ['boot-10'])
    await recorder.close()
    expect(await verifyTest(home)).toMatchObject({ ok: true, anchors: 3, lastAnchor: { seq: 10 } })
  })
})

test('a record and its anchors put back to an earlier state are found by an anchor kept elsewhere', async () => {
  const home = copy()
  const witness = readFileSync(anchorsOf(home), 'utf8')
  editAnchors(home, (lines) => lines.slice(0, 1))
  sql(home, 'DELETE FROM segments WHERE seq > 5')
  expect((await verifyTest(home)).ok).toBe(true)
  expect((await verifyTest(home, { witness })).findings).toContainEqual(
    expect.objectContaining({ what: 'cut off', segment: 6, to: 9 }),
  )
})

test('the command says what it checked, what is wrong and where, and exits 0 or 1', async () => {
  const home = copy()
  let text = ''
  const verify = async () => [await verifyTest(home)]
  const run = (): Promise<number> => runVerify({ verify, write: (more) => (text += more) })
  expect(await run()).toBe(0)
  expect(text).toMatch(/9 segments with 9 entries[\s\S]*ok {8}nothing was changed/)
  sql(home, 'DELETE FROM segments WHERE seq = 6')
  text = ''
  expect(await run()).toBe(1)
  expect(text).toMatch(/FAILED {4}missing at segment 6, about 20\d\d-/)
})

describe('a daemon does not start', () => {
  // oxfmt-ignore
  const rows: readonly (readonly [what: string, damage: (home: string) => void])[] = [
    ['on a record that was cut', (home) => sql(home, 'DELETE FROM segments WHERE seq > 7')],
    ['on a record without the anchored segment', (home) => sql(home, 'DELETE FROM segments WHERE seq = 9')],
    ['on an edited tip', (home) => sql(home, `UPDATE segments SET body = '{}' WHERE seq = 9`)],
    ['on a forged newest anchor', (home) => editAnchors(home, (lines) => [...lines, lines[1]!.replace('"seq":9', '"seq":8')])],
    ['without its record', (home) => rmSync(join(home, 'audit.db'))],
    ['on a file that is no database', (home) => writeFileSync(join(home, 'audit.db'), 'x'.repeat(9000))],
  ]
  test.each(rows)('%s', async (_, damage) => {
    const home = copy()
    damage(home)
    const refused = openTest(home)
    await expect(refused).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('castellan audit verify') as string,
    })
  })

  test('with another key', async () => {
    await expect(openTest(copy(), { signKey: new Uint8Array(32) })).rejects.toMatchObject({
      code: 'unavailable',
    })
  })
})
