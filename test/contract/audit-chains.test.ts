import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createChain } from '../../src/audit/chain.ts'
import type { Tips } from '../../src/audit/entry.ts'
import { chainFolder, readChainName } from '../../src/audit/postgres/chain-folder.ts'
import { verifyDatabase, type VerifyDatabaseOptions } from '../../src/audit/postgres/verify-database.ts'
import type { AuditRecorder, RecorderOptions } from '../../src/audit/recorder.ts'
import { createSigner } from '../../src/audit/signer.ts'
import { makeTips, tipsIn } from '../../src/audit/tips.ts'
import type { VerifyReport } from '../../src/audit/verify.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { freshHome, keys, openTest, recordEach } from './audit-fixture.ts'

/* How the chains of one database are joined: what each says of the others, and what that proves. */

let postgres: TestPostgres
let name = ''
let databases = 0
beforeAll(async () => {
  postgres = await startPostgres(await findEmbeddedPostgres())
})
afterAll(() => postgres.close())
beforeEach(async () => {
  name = `chains_${databases++}`
  await postgres.createDatabase(name)
})

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
  const recorder = await openTest(at, { database: { url: postgres.url(name), environment: {} }, ...options })
  open.push(recorder)
  return recorder
}

async function stop(recorder: AuditRecorder): Promise<void> {
  open.splice(open.indexOf(recorder), 1)
  await recorder.close()
}

const verify = (at: string, more: Partial<VerifyDatabaseOptions> = {}): Promise<VerifyReport[]> =>
  verifyDatabase({ databaseUrl: postgres.url(name), home: at, ...keys, ...more })

const sql = <Row>(text: string): Promise<Row[]> => postgres.query(name, text) as Promise<Row[]>

/** What is wrong, by chain. */
async function wrong(at: string, more: Partial<VerifyDatabaseOptions> = {}): Promise<object> {
  const failed = (await verify(at, more)).filter(({ ok }) => !ok)
  return Object.fromEntries(failed.map(({ chain, findings }) => [chain, findings]))
}

/** The entries of a chain that tell of others, oldest first. */
async function said(chain: string): Promise<Tips[]> {
  const rows = await sql<{ body: string }>(
    `SELECT body FROM audit_segments WHERE chain = '${chain}' ORDER BY seq`,
  )
  return rows.flatMap(({ body }) => tipsIn(body))
}

interface Pair {
  readonly atA: string
  readonly atB: string
  readonly chainA: string
  readonly chainB: string
}

/** A wrote four segments and ended; B began after the second, wrote one, and ended last. */
async function pair(): Promise<Pair> {
  const [atA, atB] = [home(), home()]
  const a = await start(atA)
  await recordEach(a, ['a-1', 'a-2'])
  await a.flush()
  const b = await start(atB)
  await recordEach(b, ['b-1'])
  await recordEach(a, ['a-3', 'a-4'])
  await stop(a)
  await stop(b)
  const [chainA, chainB] = [readChainName(atA) ?? '', readChainName(atB) ?? '']
  return { atA, atB, chainA, chainB }
}

const removeChain = (chain: string): Promise<unknown[]> =>
  sql(`
    DELETE FROM audit_segments WHERE chain = '${chain}'; DELETE FROM audit_checkpoints WHERE chain = '${chain}';
    DELETE FROM audit_chains WHERE name = '${chain}'`)

/** As one cuts who knows that the newest anchor lies beside: an older one of the same chain is put in its place. */
async function cut(at: string, chain: string, after: number): Promise<void> {
  const lines = readFileSync(join(chainFolder(at), 'audit-anchors.jsonl'), 'utf8')
    .trim()
    .split('\n')
  const older = lines.findLast((line) => (JSON.parse(line) as { seq: number }).seq <= after) ?? ''
  await sql(`
    DELETE FROM audit_segments WHERE chain = '${chain}' AND seq > ${after};
    UPDATE audit_chains SET anchor = nullif('${older}', '') WHERE name = '${chain}'`)
}

describe('what the chains say of each other', () => {
  test('is said at the start, when one moved and at the end, and is no line of the listing', async () => {
    const { chainA, chainB, atA } = await pair()
    const told = (await said(chainB)).map(({ tips }) => tips.map(({ chain, seq }) => [chain, seq]))
    expect(told.at(-1)).toEqual([[chainA, expect.any(Number)]])
    const reports = await verify(atA)
    expect(reports.map(({ ok }) => ok)).toEqual([true, true])
    expect(reports.find(({ chain }) => chain === chainA)).toMatchObject({ seen: { by: 1 } })
    const seen = reports.find(({ chain }) => chain === chainA)?.seen?.seq
    expect(seen).toBe(reports.find(({ chain }) => chain === chainA)?.tip?.seq)
    const third = await start(home())
    const ids = (await third.query({ limit: 50 })).map(({ id }) => id)
    expect(ids.sort()).toEqual(['a-1', 'a-2', 'a-3', 'a-4', 'b-1'])
    expect((await said(chainA)).length + (await said(chainB)).length).toBeLessThan(6)
  })

  test('follows those that move, and two that are idle do not answer each other for ever', async () => {
    const [atA, atB] = [home(), home()]
    const [a, b] = [await start(atA, { anchorEveryMs: 10 }), await start(atB, { anchorEveryMs: 10 })]
    const [chainA, chainB] = [readChainName(atA) ?? '', readChainName(atB) ?? '']
    await recordEach(a, ['a-1'])
    const newest = async (): Promise<number> =>
      (await said(chainB)).flatMap(({ tips }) => tips).findLast(({ chain }) => chain === chainA)?.seq ?? 0
    for (let round = 0; round < 3; round++) {
      await recordEach(a, [`a-2-${round}`])
      const { tipSeq } = a.stats()
      await expect.poll(newest, { timeout: 10_000 }).toBeGreaterThanOrEqual(tipSeq)
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
    const before = [a.stats().tipSeq, b.stats().tipSeq]
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect([a.stats().tipSeq, b.stats().tipSeq]).toEqual(before)
  })

  test('holds beside writers that go on', async () => {
    const [atA, atB] = [home(), home()]
    const both = [await start(atA, { anchorEveryMs: 5 }), await start(atB, { anchorEveryMs: 5 })]
    for (let round = 0; round < 12; round++) {
      await Promise.all(both.map((recorder, i) => recordEach(recorder, [`${i}-${round}`, `${i}+${round}`])))
      expect(await wrong(round % 2 === 0 ? atA : atB)).toEqual({})
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    expect((await verify(atA)).every(({ seen }) => seen !== undefined)).toBe(true)
  })

  test('holds for what was archived since', async () => {
    const [atA, atB] = [home(), home()]
    const a = await start(atA)
    await recordEach(a, ['a-1', 'a-2', 'a-3'], Date.now() - 100 * 86_400_000)
    await a.flush()
    await stop(await start(atB))
    await recordEach(a, ['a-4'])
    expect(await a.retain()).toBe(3)
    expect((await said(readChainName(atB) ?? '')).length).toBeGreaterThan(0)
    for (const at of [atA, atB]) expect(await wrong(at)).toEqual({})
  })

  test('is not believed of an anchor that nobody signed', async () => {
    const { atA, chainA, chainB } = await pair()
    await sql(`
      UPDATE audit_chains SET anchor = regexp_replace(anchor, '"seq":[0-9]+', '"seq":900') WHERE name = '${chainA}'`)
    const third = home()
    await stop(await start(third))
    const tips = (await said(readChainName(third) ?? '')).flatMap((entry) => entry.tips)
    expect(tips.map(({ chain }) => chain)).toEqual([chainB])
    expect(await wrong(atA)).toMatchObject({ [chainA]: [{ what: 'anchor' }] })
  })
})

describe('verify finds, from any home of the fleet or none,', () => {
  test('a chain that was removed with all that belongs to it', async () => {
    const { atB, chainA } = await pair()
    await removeChain(chainA)
    for (const at of [atB, home()]) {
      const found = await wrong(at)
      expect(Object.keys(found)).toEqual([chainA])
      expect(found).toMatchObject({
        [chainA]: [
          { what: 'missing', segment: 1, message: expect.stringContaining('whole chain') as string },
        ],
      })
    }
  })

  test('a chain whose end was cut off together with its anchor', async () => {
    const { atB, chainA, atA } = await pair()
    await cut(atA, chainA, 2)
    for (const at of [atB, home()])
      expect(await wrong(at)).toMatchObject({ [chainA]: [{ what: 'cut off', segment: 3 }] })
    // Its own anchors say the same once.
    expect(await wrong(atA)).toMatchObject({ [chainA]: { length: 1 } })
  })

  test('a chain of which another history was put in its place', async () => {
    const { atA, atB, chainA } = await pair()
    const copy = home()
    cpSync(atA, copy, { recursive: true })
    rmSync(join(chainFolder(copy), 'audit-anchors.jsonl'))
    await sql(`
      DELETE FROM audit_segments WHERE chain = '${chainA}'; UPDATE audit_chains SET anchor = NULL WHERE name = '${chainA}'`)
    const other = await start(copy)
    await recordEach(other, ['x-1', 'x-2', 'x-3', 'x-4', 'x-5', 'x-6', 'x-7', 'x-8'])
    await stop(other)
    expect(await wrong(atB)).toMatchObject({ [chainA]: [{ what: 'changed' }] })
  })

  test('that what was said of a chain was cut off, too', async () => {
    const { atA, atB, chainA, chainB } = await pair()
    await removeChain(chainA)
    await cut(atB, chainB, 0)
    expect(await wrong(atB)).toMatchObject({ [chainB]: [{ what: 'cut off' }] })
    expect(await wrong(atA)).toMatchObject({ [chainA]: [{ what: 'cut off' }] })
  })

  test('a removed chain of which anchors are kept elsewhere', async () => {
    const atA = home()
    const a = await start(atA)
    await recordEach(a, ['a-1', 'a-2'])
    await stop(a)
    const witness = readFileSync(join(chainFolder(atA), 'audit-anchors.jsonl'), 'utf8')
    const chain = readChainName(atA) ?? ''
    await removeChain(chain)
    expect(await wrong(home())).toEqual({})
    expect(await wrong(home(), { witness })).toMatchObject({ [chain]: [{ what: 'cut off', segment: 1 }] })
  })

  // oxfmt-ignore
  const forgeries = [
    ['moved back',  (body: string) => body.replaceAll(/"seq":\d+/g, '"seq":1')],
    ['made of another chain', (body: string) => body.replaceAll(/"chain":"daemon-/g, '"chain":"demon-')],
    ['left out',    () => JSON.stringify({ type: 'gap', atMs: 1, sinceMs: 1, entriesLost: 0 })],
  ] as const
  test.each(forgeries)('an entry about the others that was %s', async (_, forge) => {
    const { atA, chainB } = await pair()
    const rows = await sql<{ seq: string; body: string }>(
      `SELECT seq, body FROM audit_segments WHERE chain = '${chainB}' AND body LIKE '{"type":"tips"%' ORDER BY seq`,
    )
    const { seq, body } = rows[0] ?? { seq: '0', body: '' }
    await sql(`UPDATE audit_segments SET body = '${forge(body)}' WHERE chain = '${chainB}' AND seq = ${seq}`)
    expect(await wrong(atA)).toMatchObject({ [chainB]: [{ what: 'changed', segment: Number(seq) }] })
  })

  test('an entry about the others with a MAC and without a signature', async () => {
    const { atA, atB, chainA, chainB } = await pair()
    const [tip] = await sql<{ seq: string; mac: Buffer }>(
      `SELECT seq, mac FROM audit_segments WHERE chain = '${chainB}' ORDER BY seq DESC LIMIT 1`,
    )
    const [seq, other] = [Number(tip?.seq) + 1, createSigner(new Uint8Array(32).fill(7))]
    const entry = makeTips(chainB, 5, [{ chain: chainA, seq: 99, mac: 'x'.repeat(43) }], other)
    const content = { seq, count: 1, firstAtMs: 5, lastAtMs: 5, body: JSON.stringify(entry) }
    const mac = createChain(chainB, keys.macKey).mac(content, tip?.mac ?? new Uint8Array())
    await sql(`INSERT INTO audit_segments (chain, seq, count, first_at_ms, last_at_ms, mac, body)
      VALUES ('${chainB}', ${seq}, 1, 5, 5, '\\x${Buffer.from(mac).toString('hex')}', '${content.body}')`)
    for (const at of [atA, atB])
      expect(await wrong(at)).toMatchObject({
        [chainB]: [
          { what: 'changed', segment: seq, message: expect.stringContaining('not signed') as string },
        ],
      })
  })
})
