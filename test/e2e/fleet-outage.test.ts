import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { migrate } from '../../src/store/migrations/migrate.ts'
import { CONTROL_MIGRATIONS, STATE_MIGRATIONS } from '../../src/store/migrations/migrations.ts'
import type { ControlTables, StateTables } from '../../src/store/tables.ts'
import { startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startTcpProxy, type TcpProxy } from '../fixtures/tcp-proxy.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  at,
  httpServer,
  modernCaller,
  openLegacy,
  project,
  until,
  type Access,
  type Answer,
  type Json,
} from './gateway-harness.ts'
import {
  castellan,
  createCleanUp,
  freshFolder,
  mountSmallDisk,
  removeFolder,
  unmount,
} from './system-harness.ts'

/*
 * The database of two daemons is killed, slow, cut off, or full. What is in memory goes on; what could not be recorded
 * is refused before it is forwarded; and it all comes back without a restart.
 */

const cleanUp = createCleanUp()
let fleet: Fleet
let upstream: Upstream
let atA: Access
let atB: Access

beforeAll(async () => {
  upstream = await startUpstream({ style: 'modern' })
  cleanUp.later(() => upstream.close())
  fleet = await startFleet()
  cleanUp.later(() => fleet.end())
  await fleet.a.apply([httpServer('up', upstream.url), project('demo', ['up'])])
  ;({ atA, atB } = await accessAtBoth(fleet, 'demo'))
  await until('both know the token', async () => (await echo(atB)).status === 200)
  await until('both know the token', async () => (await echo(atA)).status === 200)
})
afterAll(() => cleanUp.run())

const ECHO = { name: 'up__echo', arguments: { message: 'hi' } }
const echo = (access: Access): Promise<Answer> => modernCaller(access).ask('tools/call', ECHO)
const works = async (access: Access): Promise<boolean> => (await echo(access)).status === 200

/** What a daemon says of its record. */
async function auditOf(daemon: Daemon): Promise<string> {
  const status = (await daemon.call('GET', '/api/v1/status')) as { audit: string }
  return status.audit
}
const untilRefusing = (daemons: readonly Daemon[]): Promise<unknown> =>
  Promise.all(
    daemons.map((daemon) =>
      until('it says that nothing can be recorded', async () =>
        (await auditOf(daemon)).startsWith('failing'),
      ),
    ),
  )
const untilWorking = (...ats: readonly Access[]): Promise<unknown> =>
  Promise.all(ats.map((access) => until('calls are taken again', () => works(access))))

interface Load {
  readonly answers: { readonly status: number; readonly code: unknown }[]
  readonly count: (status: number) => number
  end(): Promise<void>
}

function startLoad(ats: readonly Access[], callers = 4): Load {
  const answers: Load['answers'] = []
  const over = new AbortController()
  const drive = async (access: Access): Promise<void> => {
    while (!over.signal.aborted) {
      const { status, reply } = await echo(access)
      answers.push({ status, code: at(reply, 'error.data.code') ?? at(reply, 'error.code') })
      if (status !== 200) await sleep(10)
    }
  }
  const driving = ats.flatMap((access) => Array.from({ length: callers }, () => drive(access)))
  return {
    answers,
    count: (status) => answers.filter((answer) => answer.status === status).length,
    async end() {
      over.abort()
      await Promise.all(driving)
    },
  }
}

test('killed in a quiet moment: the first call after it is refused, and nothing was forwarded', async () => {
  await fleet.postgres.kill()
  await untilRefusing([fleet.a, fleet.b])
  const before = upstream.count('tools/call')
  for (const access of [atA, atB]) {
    const { status, headers } = await echo(access)
    expect([status, headers['retry-after']]).toEqual([503, '1'])
  }
  expect(upstream.count('tools/call')).toBe(before)
  // What is in memory, and no act: the configuration.
  expect(await fleet.a.call('GET', '/api/v1/projects/demo')).toMatchObject({ kind: 'Project' })
  await fleet.postgres.begin()
  await untilWorking(atA, atB)
})

test('killed and brought back under load: each call is answered or refused before it is forwarded, and both go on as before', async () => {
  const session = await openLegacy(atA)
  const [forwarded, load] = [upstream.count('tools/call'), startLoad([atA, atB])]
  await until('some calls', () => load.count(200) > 50)
  await fleet.postgres.kill()
  await until('calls are refused', () => load.count(503) > 20)
  await sleep(500)
  await fleet.postgres.begin()
  const before = load.count(200)
  await until('calls at both', () => load.count(200) > before + 100)
  await load.end()
  expect(load.answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([])
  // Those that were on their way when it was killed were forwarded and are answered, so that no answer is lost.
  expect(upstream.count('tools/call') - forwarded).toBe(load.count(200))
  // A session of before, at the other daemon; and the others hear of changes again.
  expect((await session.ask('ping')).status).toBe(200)
  await fleet.a.apply([project('later', ['up'])])
  await until('the other has heard of it', () =>
    fleet.b.call('GET', '/api/v1/projects/later').then(
      () => true,
      () => false,
    ),
  )
  const { keyFile, database } = fleet
  const verified = await castellan(['audit', 'verify'], {
    home: fleet.b.home,
    env: { CASTELLAN_DATABASE: database, CASTELLAN_KEY_FILE: keyFile },
  })
  expect([verified.stderr, verified.status]).toEqual(['', 0])
})

test('slow, and then silent: calls wait and are answered; when nothing comes back they are refused, until it does', async () => {
  const url = new URL(fleet.database)
  const proxy: TcpProxy = await startTcpProxy(Number(url.port))
  cleanUp.later(() => proxy.close())
  url.port = String(proxy.port)
  const slow = await fleet.another({ database: url.href })
  const atSlow = { ...atA, url: atA.url.replace(fleet.a.origin, slow.origin) }
  await untilWorking(atSlow)
  proxy.slowBy(150)
  const load = startLoad([atSlow])
  await until('slow calls', () => load.answers.length >= 20)
  await load.end()
  expect(load.count(200)).toBe(load.answers.length)

  proxy.slowBy(0)
  proxy.freeze()
  await untilRefusing([slow])
  const before = upstream.count('tools/call')
  expect((await echo(atSlow)).status).toBe(503)
  expect(upstream.count('tools/call')).toBe(before)
  expect(await works(atB)).toBe(true)
  proxy.thaw()
  await untilWorking(atSlow)
  // What else it needs the database for: connections that nobody answers on are given up too.
  await until('sessions are opened', () => openLegacy(atSlow).catch(() => undefined), 40_000)
  await fleet.a.apply([project('after-silence', ['up'])])
  await until('it hears of changes', () =>
    slow.call('GET', '/api/v1/projects/after-silence').catch(() => undefined),
  )
  await slow.stop()
}, 120_000)

const disk = mountSmallDisk(24)
if (disk !== undefined) cleanUp.later(() => unmount(disk))

/** Ever less at a time, until not even a row has room. */
async function fillDisk(): Promise<void> {
  const query = (statement: string): Promise<unknown> => fleet.postgres.query('narrow', statement)
  await query('create table junk (text text)')
  await query('alter table junk alter column text set storage external')
  for (const [rows, length] of [
    [500, 200],
    [50, 200],
    [5, 200],
    [200, 1],
    [1, 1],
  ]) {
    const fill = `insert into junk select repeat(md5(random()::text), ${length}) from generate_series(1, ${rows})`
    const isFull = (): Promise<boolean> =>
      query(fill).then(
        () => false,
        () => true,
      )
    while (!(await isFull()));
  }
}

test.skipIf(disk === undefined)(
  'full: calls and changes are refused, and are taken again when there is room',
  async () => {
    const { postgres } = fleet
    await postgres.giveTo(disk ?? '')
    await postgres.query('postgres', `create tablespace small location '${disk}'`)
    await postgres.query('postgres', 'create database narrow tablespace small')
    const home = freshFolder()
    cleanUp.later(() => removeFolder(home))
    const daemon = await startDaemon(home, 0, { database: postgres.url('narrow') })
    cleanUp.later(() => daemon.stop())
    await daemon.apply([httpServer('up', upstream.url), project('demo', ['up'])])
    const access = { url: `${daemon.origin}/projects/demo/mcp`, token: await daemon.createToken('demo') }
    // Room that only this test gives back: to drop a table the database needs some.
    const ballast = join(disk ?? '', 'ballast')
    writeFileSync(ballast, Buffer.alloc(2 * 1024 * 1024))
    await fillDisk()
    // The last page of a table has room for a few entries more.
    const load = startLoad([access])
    await until('calls are refused', () => load.count(503) > 20)
    await load.end()
    expect(load.answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([])
    expect(await auditOf(daemon)).toContain('the disk of the database is full')
    const before = upstream.count('tools/call')
    expect((await echo(access)).status).toBe(503)
    expect(upstream.count('tools/call')).toBe(before)
    await expect(daemon.apply([project('more', ['up'])])).rejects.toThrow(/503/)
    rmSync(ballast)
    await postgres.query('narrow', 'drop table junk')
    await untilWorking(access)
    await daemon.apply([project('more', ['up'])])
  },
)

/** The tables as the first releases made them, with a row in each part. */
async function makeOldDatabase(database: string): Promise<void> {
  const db = new Kysely<ControlTables & StateTables>({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: database }) }),
  })
  const options = { dialect: 'postgres' } as const
  await migrate(db, { part: 'control', migrations: CONTROL_MIGRATIONS.slice(0, 1), ...options })
  await migrate(db, { part: 'state', migrations: STATE_MIGRATIONS.slice(0, 1), ...options })
  await sql`insert into resources values (
    'prj_1', 'Project', '', 'old', 1, '{}', '{}', '{"servers":[]}', '{}', 1, 1, 1)`.execute(db)
  await sql`update revision set value = 1`.execute(db)
  await db.destroy()
}

test('two daemons that start at once make the tables once, or bring older ones up to date; newer ones are refused', async () => {
  const { postgres, keyFile } = fleet
  const databases = [await postgres.createDatabase('empty'), await postgres.createDatabase('old')]
  await makeOldDatabase(databases[1] ?? '')
  for (const database of databases) {
    const both = await Promise.all([1, 2].map(() => fleet.another({ database })))
    for (const daemon of both) {
      const { items } = (await daemon.call('GET', '/api/v1/projects')) as { items: Json[] }
      expect(items.map((item) => at(item, 'metadata.name'))).toEqual(database.endsWith('old') ? ['old'] : [])
    }
    for (const daemon of both) await daemon.stop()
  }
  await postgres.query('old', `insert into migrations values ('control', 999, 'from-the-future')`)
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  const env = { CASTELLAN_DATABASE: databases[1] ?? '', CASTELLAN_KEY_FILE: keyFile }
  const refused = await castellan(['up', '--port', '0'], { home, env })
  expect(refused.stderr).toMatch(/newer version of Castellan; run that version/)
  expect(refused.status).toBe(1)
})
