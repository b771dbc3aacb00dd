import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { recordEach } from './audit-fixture.ts'
import type { Places, RecordPlace } from './audit-places.ts'

export const SEGMENTS = 9
const IDS = Array.from({ length: SEGMENTS }, (_, i) => `boot-${i + 1}`)
/** All columns of a segment but its number. */
export const ALL = 'count, first_at_ms, last_at_ms, mac, body'

type Damage = (at: RecordPlace) => unknown

/** Fills an empty place with nine segments, anchored after the fourth and after the ninth. */
export async function fillPlace(at: RecordPlace): Promise<void> {
  const recorder = await at.open()
  await recordEach(recorder, IDS.slice(0, 4))
  await recorder.flush()
  await recordEach(recorder, IDS.slice(4))
  await recorder.close()
}

const anchorsOf = ({ folder }: RecordPlace): string => join(folder, 'audit-anchors.jsonl')

function editAnchors(at: RecordPlace, edit: (lines: string[]) => string[]): void {
  const lines = readFileSync(anchorsOf(at), 'utf8').split('\n').slice(0, -1)
  writeFileSync(
    anchorsOf(at),
    edit(lines)
      .map((line) => `${line}\n`)
      .join(''),
  )
}

const swap = (a: number, b: number, columns: string): string => `
  CREATE TEMP TABLE other AS SELECT * FROM segments WHERE seq = ${a};
  UPDATE segments SET (${columns}) = (SELECT ${columns} FROM segments WHERE seq = ${b}) WHERE seq = ${a};
  UPDATE segments SET (${columns}) = (SELECT ${columns} FROM other) WHERE seq = ${b};`

/** What is found of a record that was changed, wherever it lies; each test damages a copy. */
export function tamperContract(places: Places): void {
  let original: RecordPlace
  beforeAll(async () => {
    original = await places.fresh()
    await fillPlace(original)
  })
  const zeros = (bytes: number): string =>
    places.name === 'SQLite' ? `zeroblob(${bytes})` : `decode(repeat('00', ${bytes}), 'hex')`

  describe('verify finds', () => {
    // oxfmt-ignore
    const rows: readonly (readonly [what: string, damage: Damage, finding: object])[] = [
      ['an edited entry', (at) => at.sql(`UPDATE segments SET body = replace(body, 'echo', 'evil') WHERE seq = 3`), { what: 'changed', segment: 3 }],
      ['an edited count', (at) => at.sql('UPDATE segments SET count = 2 WHERE seq = 5'), { what: 'changed', segment: 5 }],
      ['an edited time', (at) => at.sql('UPDATE segments SET first_at_ms = first_at_ms - 1 WHERE seq = 5'), { what: 'changed', segment: 5 }],
      ['a removed first segment', (at) => at.sql('DELETE FROM segments WHERE seq = 1'), { what: 'missing', segment: 1, to: 1 }],
      ['a removed segment in the middle', (at) => at.sql('DELETE FROM segments WHERE seq = 6'), { what: 'missing', segment: 6, to: 6 }],
      ['a removed last segment', (at) => at.sql('DELETE FROM segments WHERE seq = 9'), { what: 'cut off', segment: 9, to: 9 }],
      ['a removed range', (at) => at.sql('DELETE FROM segments WHERE seq BETWEEN 2 AND 8'), { what: 'missing', segment: 2, to: 8 }],
      ['a removed segment whose place is closed up', (at) => at.sql('DELETE FROM segments WHERE seq = 6; UPDATE segments SET seq = seq - 1 WHERE seq > 6'), { what: 'changed', segment: 6 }],
      ['two segments swapped', (at) => at.sql(swap(3, 4, ALL)), { what: 'changed', segment: 3 }],
      ['two bodies swapped', (at) => at.sql(swap(7, 8, 'body')), { what: 'changed', segment: 7 }],
      ['a forged MAC', (at) => at.sql(`UPDATE segments SET mac = ${zeros(32)} WHERE seq = 2`), { what: 'changed', segment: 2 }],
      ['a MAC of another width', (at) => at.sql(`UPDATE segments SET mac = ${zeros(1)} WHERE seq = 2`), { what: 'changed', segment: 2 }],
      ['everything removed', (at) => at.sql('DELETE FROM segments'), { what: 'cut off', segment: 1, to: 9 }],
      ['an added segment', (at) => at.sql(`INSERT INTO segments (seq, ${ALL}) SELECT 10, ${ALL} FROM segments WHERE seq = 9`), { what: 'changed', segment: 10 }],
      ['an edited anchor', (at) => editAnchors(at, (lines) => lines.map((line) => line.replace('"seq":4', '"seq":3'))), { what: 'anchor' }],
      ['an anchor that is not JSON', (at) => editAnchors(at, (lines) => ['{', ...lines]), { what: 'anchor' }],
      ['anchors in another order', (at) => editAnchors(at, (lines) => [...lines].reverse()), { what: 'anchor', segment: 4 }],
      ['an old anchor file beside a record that was cut further', async (at) => { editAnchors(at, (lines) => lines.slice(0, 1)); await at.sql('DELETE FROM segments WHERE seq > 3') }, { what: 'cut off', segment: 4 }],
    ]
    test.each(rows)('%s', async (_, damage, finding) => {
      const at = await original.copy()
      expect(await at.verify()).toMatchObject({
        ok: true,
        segments: SEGMENTS,
        entries: SEGMENTS,
        findings: [],
      })
      await damage(at)
      const report = await at.verify()
      expect(report.ok).toBe(false)
      expect(report.findings).toContainEqual(expect.objectContaining(finding))
    })

    test('a record whose chain was made with another key', async () => {
      expect((await original.verify({ macKey: new Uint8Array(32) })).ok).toBe(false)
      expect((await original.verify({ signKey: new Uint8Array(32) })).ok).toBe(false)
    })
  })

  describe('verify accepts', () => {
    test('a tip that is newer than its anchor', async () => {
      const at = await original.copy()
      await at.sql(FORGET_ANCHOR[places.name] ?? '')
      editAnchors(at, (lines) => lines.slice(0, 1))
      expect(await at.verify()).toMatchObject({ ok: true, tip: { seq: 9 }, lastAnchor: { seq: 4 } })
    })

    test('an anchor whose writing was interrupted, before and after the next start', async () => {
      const at = await original.copy()
      appendFileSync(anchorsOf(at), '{"chain":"daemon","seq":')
      expect((await at.verify()).ok).toBe(true)
      const recorder = await at.open()
      await recordEach(recorder, ['boot-10'])
      await recorder.close()
      expect(await at.verify()).toMatchObject({ ok: true, lastAnchor: { seq: 10 } })
    })
  })

  test('a record put back to an earlier state with all its anchors is found by an anchor kept elsewhere', async () => {
    const at = await original.copy()
    const witness = readFileSync(anchorsOf(at), 'utf8')
    await at.sql(`DELETE FROM segments WHERE seq > 5; ${FORGET_ANCHOR[places.name]}`)
    editAnchors(at, (lines) => lines.slice(0, 1))
    expect((await at.verify()).ok).toBe(true)
    expect((await at.verify({ witness })).findings).toContainEqual(
      expect.objectContaining({ what: 'cut off', segment: 6, to: 9 }),
    )
  })

  describe('a daemon does not start', () => {
    // oxfmt-ignore
    const rows: readonly (readonly [what: string, damage: Damage])[] = [
      ['on a record that was cut', (at) => at.sql('DELETE FROM segments WHERE seq > 7')],
      ['on a record without the anchored segment', (at) => at.sql('DELETE FROM segments WHERE seq = 9')],
      ['on an edited tip', (at) => at.sql(`UPDATE segments SET body = '{}' WHERE seq = 9`)],
      ['on a forged newest anchor', (at) => editAnchors(at, (lines) => [...lines, (lines[1] ?? '').replace('"seq":9', '"seq":8')])],
    ]
    test.each(rows)('%s', async (_, damage) => {
      const at = await original.copy()
      await damage(at)
      await expect(at.open()).rejects.toMatchObject({
        code: 'unavailable',
        hint: expect.stringContaining('castellan audit verify') as string,
      })
    })

    test('with another key', async () => {
      const at = await original.copy()
      await expect(at.open({ signKey: new Uint8Array(32) })).rejects.toMatchObject({ code: 'unavailable' })
    })
  })
}

/** A database has a copy of the newest anchor, a file has none. */
const FORGET_ANCHOR: Readonly<Record<string, string>> = {
  SQLite: '',
  PostgreSQL: 'UPDATE audit_chains SET anchor = NULL',
}
