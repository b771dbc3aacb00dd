import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { runVerify } from '../../src/audit/command-verify.ts'
import { verifyTest } from './audit-fixture.ts'
import { postgresPlaces, sqlitePlaces, type RecordPlace } from './audit-places.ts'
import { ALL, fillPlace, SEGMENTS, tamperContract } from './audit-tamper.ts'

const files = sqlitePlaces()

describe.each([files, postgresPlaces()])('on $name', tamperContract)

/* What only the files of a home can meet. */

let original: RecordPlace
beforeAll(async () => {
  original = await files.fresh()
  await fillPlace(original)
})

const record = ({ home }: RecordPlace): string => join(home, 'audit.db')

describe('of a file verify finds', () => {
  // oxfmt-ignore
  const rows: readonly (readonly [what: string, damage: (at: RecordPlace) => unknown, finding: object])[] = [
    ['a table without its constraints', (at) => at.sql(`CREATE TABLE other AS SELECT seq, 'x' AS count, first_at_ms, last_at_ms, mac, body FROM segments; DROP TABLE segments; ALTER TABLE other RENAME TO segments`), { what: 'changed', segment: 1 }],
    ['that it is no database', (at) => writeFileSync(record(at), 'x'.repeat(9000)), { what: 'unreadable' }],
    ['that it is not there', (at) => rmSync(record(at)), { what: 'missing' }],
  ]
  test.each(rows)('%s', async (_, damage, finding) => {
    const at = await original.copy()
    await damage(at)
    const report = await at.verify()
    expect(report.ok).toBe(false)
    expect(report.findings).toContainEqual(expect.objectContaining(finding))
  })

  test('any single byte of a body or a MAC', async () => {
    const at = await original.copy()
    const db = new DatabaseSync(record(at))
    const read = db.prepare('SELECT CAST(body AS BLOB) AS body, mac FROM segments WHERE seq = ?')
    const write = db.prepare('UPDATE segments SET body = CAST(? AS TEXT), mac = ? WHERE seq = ?')
    const place = fc.record({
      seq: fc.integer({ min: 1, max: SEGMENTS }),
      column: fc.constantFrom('body' as const, 'mac' as const),
      at: fc.nat(),
      bits: fc.integer({ min: 1, max: 127 }),
    })
    await fc.assert(
      fc.asyncProperty(place, async ({ seq, column, at: byte, bits }) => {
        const row = read.get(seq) as { body: Uint8Array; mac: Uint8Array }
        const changed = { body: Uint8Array.from(row.body), mac: Uint8Array.from(row.mac) }
        changed[column][byte % changed[column].length]! ^= bits
        write.run(changed.body, changed.mac, seq)
        expect((await at.verify()).ok).toBe(false)
        write.run(row.body, row.mac, seq)
        expect((await at.verify()).ok).toBe(true)
      }),
      { numRuns: 60 },
    )
    db.close()
  })

  test('a segment of another history of the same chain', async () => {
    const other = await files.fresh()
    await fillPlace(other)
    const at = await original.copy()
    await at.sql(
      `ATTACH '${record(other)}' AS other;
      UPDATE segments SET (${ALL}) = (SELECT ${ALL} FROM other.segments WHERE seq = 3) WHERE seq = 3`,
    )
    expect((await at.verify()).findings).toContainEqual(
      expect.objectContaining({ what: 'changed', segment: 3 }),
    )
  })

  test('a chain under another name', async () => {
    expect((await verifyTest(original.home, { chain: 'edge' })).ok).toBe(false)
  })
})

test('the command says what it checked, what is wrong and where, and exits 0 or 1', async () => {
  const at = await original.copy()
  let text = ''
  const verify = async () => [await at.verify()]
  const run = (): Promise<number> => runVerify({ verify, write: (more) => (text += more) })
  expect(await run()).toBe(0)
  expect(text).toMatch(/9 segments with 9 entries[\s\S]*ok {8}nothing was changed/)
  await at.sql('DELETE FROM segments WHERE seq = 6')
  text = ''
  expect(await run()).toBe(1)
  expect(text).toMatch(/FAILED {4}missing at segment 6, about 20\d\d-/)
})

test.each([
  ['without its file', (at: RecordPlace) => rmSync(record(at))],
  ['on a file that is no database', (at: RecordPlace) => writeFileSync(record(at), 'x'.repeat(9000))],
])('a daemon does not start %s', async (_, damage) => {
  const at = await original.copy()
  damage(at)
  await expect(at.open()).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('castellan audit verify') as string,
  })
})
