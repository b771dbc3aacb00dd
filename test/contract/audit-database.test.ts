import { once } from 'node:events'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { chainFolder, readChainName } from '../../src/audit/postgres/chain-folder.ts'
import { verifyDatabase } from '../../src/audit/postgres/verify-database.ts'
import type { AuditRecorder, RecorderOptions } from '../../src/audit/recorder.ts'
import { setAside } from '../../src/audit/set-aside.ts'
import type { VerifyReport } from '../../src/audit/verify.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { freshHome, intent, keys, openTest, outcome, recordEach } from './audit-fixture.ts'

/* What only a record in a database can meet: other chains beside it, lost sessions, a server that ends. */

let postgres: TestPostgres
let name = ''
let databases = 0
beforeAll(async () => {
  postgres = await startPostgres(await findEmbeddedPostgres())
})
afterAll(() => postgres.close())
beforeEach(async () => {
  name = `audit_${databases++}`
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

const verify = (at: string): Promise<VerifyReport[]> =>
  verifyDatabase({ databaseUrl: postgres.url(name), home: at, ...keys })
const sql = (text: string): Promise<unknown[]> => postgres.query(name, text)
const idsOf = async (recorder: AuditRecorder): Promise<string[]> =>
  (await recorder.query({ limit: 10_000 })).map((row) => row.id)

/** The writers' sessions end as by a firewall that forgets them, one after the other. */
const cutSessions = (): Promise<unknown[]> =>
  sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'castellan audit' AND pid <> pg_backend_pid()`,
  )

describe('two daemons', () => {
  test('have a chain each; both show and verify all, also what one wrote that has ended', async () => {
    const [atA, atB] = [home(), home()]
    const a = await start(atA)
    const b = await start(atB)
    await recordEach(a, ['a-1', 'a-2'])
    await recordEach(b, ['b-1'])
    a.outcome(outcome('a-2', { code: 'x' }))
    await a.flush()
    expect((await idsOf(b)).sort()).toEqual(['a-1', 'a-2', 'b-1'])
    expect(await idsOf(a)).toEqual(await idsOf(b))
    await recordEach(a, ['a-3'])
    await stop(a)
    expect((await b.query({ limit: 9 })).find((row) => row.id === 'a-2')).toMatchObject({ code: 'x' })
    expect(await idsOf(b)).toContain('a-3')
    const chains = [readChainName(atA) ?? '', readChainName(atB) ?? ''].sort()
    for (const at of [atA, atB])
      expect((await verify(at)).map(({ ok, chain }) => [ok, chain])).toEqual(
        chains.map((name) => [true, name]),
      )
  })

  test('on one home, or on a copy of it, are one too many', async () => {
    const at = home()
    const first = await start(at)
    await recordEach(first, ['a-1'])
    await expect(start(at)).rejects.toMatchObject({
      hint: expect.stringContaining('castellan down') as string,
    })
    const copy = home()
    cpSync(at, copy, { recursive: true })
    await expect(start(copy)).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('home of its own') as string,
    })
    await recordEach(first, ['a-2'])
    await stop(first)
    const again = await start(at)
    await recordEach(again, ['a-3'])
    expect(await verify(at)).toMatchObject([{ ok: true, segments: 3 }])
  })

  test('a cut chain is found from the home of the other, and a removed one from its own', async () => {
    const [atA, atB] = [home(), home()]
    for (const [at, id] of [
      [atA, 'a'],
      [atB, 'b'],
    ] as const) {
      const recorder = await start(at)
      await recordEach(recorder, [`${id}-1`, `${id}-2`])
      await stop(recorder)
    }
    const chain = readChainName(atA) ?? ''
    const failed = async (at: string): Promise<unknown> =>
      (await verify(at)).filter(({ ok }) => !ok).map((report) => [report.chain, report.findings[0]?.what])
    await sql(`DELETE FROM audit_segments WHERE chain = '${chain}' AND seq = 2`)
    expect(await failed(atB)).toEqual([[chain, 'cut off']])
    await sql(
      `DELETE FROM audit_segments WHERE chain = '${chain}'; DELETE FROM audit_chains WHERE name = '${chain}'`,
    )
    expect(await failed(atB)).toEqual([[chain, 'missing']])
    expect(await failed(atA)).toEqual([[chain, 'cut off']])
    const witness = readFileSync(join(chainFolder(atA), 'audit-anchors.jsonl'), 'utf8')
    expect(witness).toContain(chain)
  })

  test('what one has archived, the other verifies by the signed checkpoints', async () => {
    const [atA, atB] = [home(), home()]
    const a = await start(atA)
    await recordEach(a, ['a-1', 'a-2', 'a-3'], Date.now() - 100 * 86_400_000)
    await recordEach(a, ['a-4'])
    expect(await a.retain()).toBe(3)
    await start(atB)
    expect((await verify(atB)).find(({ chain }) => chain === readChainName(atA))).toMatchObject({
      ok: true,
      segments: 1,
      archives: 0,
    })
    expect((await verify(atA)).find(({ chain }) => chain === readChainName(atA))).toMatchObject({
      ok: true,
      segments: 4,
      archives: 1,
    })
  })
})

/** Callers that go on whatever happens; what they were told is durable is in the list. */
function keepCalling(recorder: AuditRecorder, prefix: string): { told: string[]; end(): Promise<void> } {
  const told: string[] = []
  const ending = new AbortController()
  let next = 0
  async function caller(): Promise<void> {
    while (!ending.signal.aborted) {
      const id = `${prefix}-${next++}`
      if (recorder.accepts() && (await recorder.intent(intent(id)).durable)) told.push(id)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  const callers = Promise.all(Array.from({ length: 8 }, caller))
  return {
    told,
    async end() {
      ending.abort()
      await callers
    },
  }
}

describe('under load', () => {
  test('sessions that are cut again and again cost nothing that was acknowledged, and nothing is written twice', async () => {
    const at = home()
    const recorder = await start(at)
    const calls = keepCalling(recorder, 'a')
    for (let cut = 1; cut <= 8; cut++) {
      const enough = calls.told.length + 40
      await expect.poll(() => calls.told.length, { timeout: 10_000 }).toBeGreaterThan(enough)
      await cutSessions()
    }
    await expect.poll(() => recorder.accepts(), { timeout: 10_000 }).toBe(true)
    await calls.end()
    await recorder.flush()
    const there = await idsOf(recorder)
    expect(calls.told.filter((id) => !there.includes(id))).toEqual([])
    expect(new Set(there).size).toBe(there.length)
    const { committedEntries, lostEntries } = recorder.stats()
    expect(await verify(at)).toMatchObject([{ ok: true, entries: committedEntries }])
    expect([there.length, lostEntries]).toEqual([committedEntries, 0])
  })

  test('a server that is started again is found again; meanwhile calls are refused', async () => {
    const at = home()
    const recorder = await start(at)
    const calls = keepCalling(recorder, 'a')
    let refused = false
    const watch = setInterval(() => (refused ||= !recorder.accepts()), 5)
    for (let i = 0; i < 2; i++) {
      const enough = calls.told.length + 40
      await expect.poll(() => calls.told.length, { timeout: 10_000 }).toBeGreaterThan(enough)
      await postgres.restart()
      await expect.poll(() => recorder.accepts(), { timeout: 15_000 }).toBe(true)
    }
    clearInterval(watch)
    await calls.end()
    await recorder.flush()
    expect(refused).toBe(true)
    const there = await idsOf(recorder)
    expect(calls.told.filter((id) => !there.includes(id))).toEqual([])
    expect(await verify(at)).toMatchObject([{ ok: true, entries: recorder.stats().committedEntries }])
  })
})

/**
 * A network between a daemon and the server. Once armed, the next commit reaches the server and its answer reaches
 * nobody: the daemon's end breaks, the server's lives on.
 */
async function startNetwork(): Promise<{ url: string; arm(): void; close(): Promise<void> }> {
  const { port } = new URL(postgres.url(name))
  let armed = false
  const ends = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(port), '127.0.0.1')
    for (const end of [client, upstream]) ends.add(end.on('error', () => undefined))
    upstream.pipe(client, { end: false })
    client.on('data', (chunk: Buffer) => {
      upstream.write(chunk)
      if (!armed || !chunk.includes('INSERT INTO audit_segments')) return
      armed = false
      upstream.unpipe(client)
      client.destroy()
    })
    client.on('end', () => upstream.end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = new URL(postgres.url(name))
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    arm: () => (armed = true),
    async close() {
      for (const end of ends) end.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

test('a commit that was done although its answer never came is read back, not written again', async () => {
  const at = home()
  const network = await startNetwork()
  const recorder = await start(at, { database: { url: network.url, environment: {} } })
  await recordEach(recorder, ['a-1'])
  network.arm()
  expect(await recorder.intent(intent('a-2')).durable).toBe(false)
  expect(recorder.accepts()).toBe(false)
  await expect.poll(() => recorder.accepts(), { timeout: 10_000 }).toBe(true)
  await recordEach(recorder, ['a-3'])
  expect(await idsOf(recorder)).toEqual(['a-1', 'a-2', 'a-3'])
  await stop(recorder)
  await network.close()
  expect(await verify(at)).toMatchObject([{ ok: true, segments: 3, entries: 3 }])
})

test('a chain that was set aside stays in the database; the next start begins another, which names the folder', async () => {
  const at = home()
  const first = await start(at)
  await recordEach(first, ['a-1', 'a-2'])
  expect(() => setAside(at, Date.now(), 'database')).toThrow(expect.objectContaining({ code: 'conflict' }))
  await stop(first)
  await sql('DELETE FROM audit_segments WHERE seq = 2')
  await expect(start(at)).rejects.toMatchObject({ hint: expect.stringContaining('set-aside') as string })
  const chain = readChainName(at)
  const folder = setAside(at, Date.now(), 'database')
  const second = await start(at)
  await second.flush()
  expect((await second.query({ limit: 9 })).at(-1)).toMatchObject({
    event: 'set-aside audit',
    target: folder,
  })
  expect(readChainName(at)).not.toBe(chain)
  expect(readChainName(join(at, folder))).toBe(chain)
  const wrong = (await verify(at)).filter(({ ok }) => !ok)
  expect(wrong).toMatchObject([{ chain, findings: [{ what: 'cut off' }] }])
})

test('a chain that somebody else has written is not gone on with: calls are refused', async () => {
  const at = home()
  const recorder = await start(at)
  await recordEach(recorder, ['a-1'])
  await sql(
    `INSERT INTO audit_segments SELECT chain, 2, count, first_at_ms, last_at_ms, mac, body FROM audit_segments`,
  )
  expect(await recorder.intent(intent('a-2')).durable).toBe(false)
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(recorder.accepts()).toBe(false)
  expect(recorder.stats().failing?.reason).toContain('another daemon has written this chain')
  expect(await verify(at)).toMatchObject([{ ok: false }])
})

const OLDER = [
  [1, 'DROP TABLE audit_calls, audit_callers'],
  [2, 'DROP TABLE audit_calls'],
] as const

test.each(OLDER)(
  'the listing of version %i is made again from the record, which stays as it is',
  async (version, drop) => {
    const at = home()
    const first = await start(at)
    await recordEach(first, ['a-1', 'a-2'])
    expect(await idsOf(first)).toHaveLength(2)
    await sql(`
    ${drop};
    CREATE TABLE audit_calls (chain text, n bigint, id text, PRIMARY KEY (chain, n));
    INSERT INTO audit_calls VALUES ('${readChainName(at)}', 1, 'old');
    UPDATE audit_schema SET version = ${version}`)
    const second = await start(home())
    await recordEach(first, ['a-3'])
    for (const recorder of [second, first]) {
      expect(await idsOf(recorder)).toEqual(['a-1', 'a-2', 'a-3'])
      expect(await recorder.query({ limit: 9, kind: 'tool_call' })).toHaveLength(3)
    }
    expect((await verify(at)).map(({ ok }) => ok)).toEqual([true, true])
  },
)

test('a database of a newer version, and one without a record, are refused', async () => {
  await expect(verify(home())).rejects.toMatchObject({
    hint: expect.stringContaining('no audit record') as string,
  })
  await stop(await start(home()))
  await sql('UPDATE audit_schema SET version = 999')
  await expect(start(home())).rejects.toMatchObject({ code: 'unavailable' })
})
