import { createHash } from 'node:crypto'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { VerifyReport } from '../../src/audit/verify.ts'
import { isHomeLocked } from '../../src/main/home-lock.ts'
import { startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { createScanner } from './canary-scan.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  createToken,
  endpoint,
  httpServer,
  modernCaller,
  project,
  until,
  type Access,
} from './gateway-harness.ts'
import { castellan, createCleanUp, freshFolder, ok, processesWith, removeFolder } from './system-harness.ts'

/* The record of two daemons on one PostgreSQL, and the master key that both have. */

const cleanUp = createCleanUp()
let fleet: Fleet
let upstream: Upstream
let access: { readonly atA: Access; readonly atB: Access }
let shared: { readonly CASTELLAN_DATABASE: string; readonly CASTELLAN_KEY_FILE: string }

beforeAll(async () => {
  upstream = await startUpstream({ style: 'modern' })
  fleet = await startFleet()
  shared = { CASTELLAN_DATABASE: fleet.database, CASTELLAN_KEY_FILE: fleet.keyFile }
  await fleet.a.apply([httpServer('up', upstream.url), project('demo', ['up'])])
  access = await accessAtBoth(fleet, 'demo')
  await until(
    'the token is known at the other',
    async () => (await modernCaller(access.atB).ask('tools/list')).status === 200,
  )
})
afterAll(async () => {
  await cleanUp.run()
  await fleet?.end()
  await upstream?.close()
})

const echo = async (at: Access): Promise<number> =>
  (await modernCaller(at).ask('tools/call', { name: 'up__echo', arguments: { message: 'x' } })).status

/** Eight callers at each daemon. @returns calls that were answered */
async function load(atMost: number, ats: readonly Access[]): Promise<number> {
  let answered = 0
  const caller = async (at: Access): Promise<void> => {
    for (let i = 0; i < atMost; i++) if ((await echo(at)) === 200) answered++
  }
  await Promise.all(ats.flatMap((at) => Array.from({ length: 8 }, () => caller(at))))
  return answered
}

/** Calls on the record as one daemon lists them. */
async function recorded(daemon: Daemon): Promise<number> {
  const query = '/api/v1/audit?tool=up__echo&limit=10000'
  const { items } = (await daemon.call('GET', query)) as { items: { event: string; status?: string }[] }
  return items.filter(({ event, status }) => event === 'tools/call' && status === 'ok').length
}

interface Verified {
  readonly ok: boolean
  readonly chains: readonly Pick<VerifyReport, 'ok' | 'chain' | 'entries' | 'seen'>[]
}

const chainOf = (home: string): string => readFileSync(join(home, 'audit-postgres/chain'), 'utf8').trim()

async function verify(home: string): Promise<Verified> {
  const said = await castellan(['audit', 'verify', '-o', 'json'], { home, env: shared })
  if (said.stderr !== '') throw new Error(said.stderr)
  return JSON.parse(said.stdout) as Verified
}

test('both record under load: either lists all of it, and both chains verify from either home', async () => {
  const answered = await load(25, [access.atA, access.atB])
  expect(answered).toBe(400)
  for (const daemon of [fleet.a, fleet.b])
    await until('its listing has all calls', async () => (await recorded(daemon)) === answered)
  const listed = await ok(['audit', '--tool', 'up__echo', '--limit', '1000'], { home: fleet.b.home })
  expect(listed.split('\n').filter((line) => line.includes('tools/call'))).toHaveLength(answered)
  const chains = [chainOf(fleet.a.home), chainOf(fleet.b.home)].sort()
  for (const { home } of [fleet.a, fleet.b]) {
    const { ok: whole, chains: reports } = await verify(home)
    expect([whole, reports.map(({ chain }) => chain)]).toEqual([true, chains])
    for (const { entries } of reports) expect(entries).toBeGreaterThan(200)
  }
})

test('one is killed under load: what it answered is listed by the other, and it goes on with its own chain', async () => {
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  const third = await startDaemon(home, 0, { database: fleet.database, keyFile: fleet.keyFile })
  cleanUp.later(() => third.stop())
  const at = { ...access.atA, url: access.atA.url.replace(fleet.a.origin, third.origin) }
  const before = await recorded(fleet.b)
  let answered = 0
  const callers = Array.from({ length: 8 }, async () => {
    while ((await echo(at).catch(() => 0)) === 200) answered++
  })
  await until('it has answered some', () => answered > 100)
  process.kill(third.pid, 'SIGKILL')
  await Promise.all(callers)
  const query = '/api/v1/audit?tool=up__echo&limit=10000'
  const { items } = (await fleet.b.call('GET', query)) as { items: { event: string }[] }
  const there = items.filter(({ event }) => event === 'tools/call').length - before
  // Each caller has one call under way, so at most one more than it has seen answered.
  expect(there).toBeGreaterThanOrEqual(answered)
  expect(there).toBeLessThanOrEqual(answered + 8)
  await until('the home is free again', () => !isHomeLocked(home))
  const chain = chainOf(home)
  const again = await startDaemon(home, 0, { database: fleet.database, keyFile: fleet.keyFile })
  cleanUp.later(() => again.stop())
  expect(await echo({ ...at, url: at.url.replace(third.origin, again.origin) })).toBe(200)
  expect(chainOf(home)).toBe(chain)
  expect(await verify(home)).toMatchObject({ ok: true, chains: { length: 3 } })

  // A copy of a home that is in use would be a second writer of its chain.
  const copy = freshFolder()
  cleanUp.later(() => removeFolder(copy))
  cpSync(home, copy, { recursive: true, filter: (path) => !path.endsWith('.lock') })
  const refused = await castellan(['up', '--port', '0'], { home: copy, env: shared })
  expect(refused.status).toBe(1)
  expect(refused.stderr).toContain('another daemon writes this chain')
})

test('the database is restarted under load: refused meanwhile, nothing answered is missing, and it recovers by itself', async () => {
  const before = await recorded(fleet.a)
  let answered = 0
  const ends = new AbortController()
  const callers = [access.atA, access.atB].map(async (at) => {
    while (!ends.signal.aborted) {
      const status = await echo(at)
      if (status === 200) answered++
      else expect(status).toBe(503)
    }
  })
  try {
    await until('calls are answered', () => answered > 30)
    await fleet.postgres.restart()
    const then = answered
    await until('calls are answered again', () => answered > then + 100)
  } finally {
    ends.abort()
  }
  await Promise.all(callers)
  await until('the listing has all calls', async () => (await recorded(fleet.b)) >= before + answered)
  expect(await verify(fleet.a.home)).toMatchObject({ ok: true })
})

test('who called is found at either: by person, token, digest, kind and decision, and in which session', async () => {
  const { a, b } = fleet
  await a.apply([
    { kind: 'User', metadata: { name: 'ada' }, spec: {} },
    {
      kind: 'RoleBinding',
      metadata: { name: 'ada' },
      spec: { subjects: [{ kind: 'User', name: 'ada' }], bindings: [{ role: 'run', resource: 'projects' }] },
    },
  ])
  const secret = await createToken(a, 'demo', 'hers', { owner: { kind: 'User', name: 'ada' } })
  const check = (tool: string) =>
    castellan(['test', 'mcp', endpoint(b, 'demo'), '--tool', tool, '--args', '{"message":"x"}'], {
      home: b.home,
      env: { CASTELLAN_TOKEN: secret },
    })
  await until('the token is known at the other', async () => (await check('up__echo')).status === 0)
  expect((await check('up__nothing')).status).toBe(2)
  const sha = createHash('sha256').update(secret).digest('hex')
  const listed = async (...filter: string[]): Promise<readonly Record<string, unknown>[]> => {
    const text = await ok(['audit', ...filter, '--limit', '1000', '-o', 'json'], { home: a.home })
    return (JSON.parse(text) as { items: Record<string, unknown>[] }).items
  }
  const calls = await listed('--user', 'ada', '--kind', 'tool_call')
  expect(calls).toMatchObject([
    { token: 'hers', tokenSha: sha, target: 'up__echo', decision: 'allow', status: 'ok' },
    { token: 'hers', decision: 'deny' },
  ])
  expect(await listed('--token', sha.slice(0, 8), '--kind', 'tool_call')).toEqual(calls)
  expect(await listed('--token', 'hers', '--decision', 'deny')).toEqual(calls.slice(1))
  expect(await listed('--user', 'ada', '--kind', 'session_bind')).toMatchObject([{}, {}])
  expect(await listed('--kind', 'token', '--since', '1h')).toMatchObject([
    { target: 'both' },
    { target: 'hers' },
  ])
  expect(await listed('sessions', '--user', 'ada', '-p', 'demo')).toMatchObject([
    { session: calls[0]?.['session'], token: 'hers', calls: 1, denied: 0, requests: 3 },
    { session: calls[1]?.['session'], user: 'ada', calls: 1, denied: 1, requests: 3 },
  ])
  const table = await ok(['audit', 'sessions', '--token', 'hers'], { home: a.home })
  expect(table.split('\n')[0]).toMatch(
    /^SESSION +PROJECT +USER +TOKEN +PRINCIPAL +FIRST +LAST +CALLS +DENIED$/,
  )
  const wrong = await castellan(['audit', '--kind', 'calls'], { home: a.home })
  expect(wrong.stderr).toContain('kind: must be one of tool_call, session_bind')
})

test('the record of one project is for whoever may view it; everything else is refused, with what to type', async () => {
  const { a } = fleet
  await a.apply([
    { kind: 'User', metadata: { name: 'ben' }, spec: {} },
    {
      kind: 'RoleBinding',
      metadata: { name: 'ben' },
      spec: {
        subjects: [{ kind: 'User', name: 'ben' }],
        bindings: [{ role: 'view', resource: 'audit', project: 'demo' }],
      },
    },
  ])
  const asked = (user: string, ...more: string[]) =>
    castellan(['audit', ...more, '--as', `User:${user}`, '-o', 'json'], { home: a.home })
  const listed = await asked('ben', '-p', 'demo', '--limit', '1000')
  const { items } = JSON.parse(listed.stdout) as { items: { project?: string }[] }
  expect(new Set(items.map(({ project }) => project))).toEqual(new Set(['demo']))
  expect((await asked('ben', 'sessions', '-p', 'demo')).status).toBe(0)
  expect((await asked('ben')).stderr).toContain('-p PROJECT')
  expect((await asked('ben', '-p', 'other')).stderr).toContain('you have no right to view audit')
  expect((await asked('nobody', '-p', 'demo')).status).toBe(1)
  const denials = await ok(['audit', '--kind', 'access_decision', '--principal', 'ben', '-o', 'json'], {
    home: a.home,
  })
  expect((JSON.parse(denials) as { items: unknown[] }).items).toMatchObject([
    { event: 'view audit', user: 'ben', actor: 'local-admin', decision: 'deny' },
    { event: 'view audit', project: 'other' },
  ])
})

test('a chain that is removed is missed by the others, whoever looks', async () => {
  const third = await fleet.another()
  const chain = chainOf(third.home)
  expect(await echo({ ...access.atA, url: endpoint(third, 'demo') })).toBe(200)
  await third.stop()
  const seen = async (): Promise<boolean> =>
    (await verify(fleet.a.home)).chains.some((report) => report.chain === chain && report.seen !== undefined)
  await until('its end was seen', seen, 30_000)
  const held = await fleet.postgres.query('fleet', `SELECT * FROM audit_segments WHERE chain = '${chain}'`)
  expect(held.length).toBeGreaterThan(0)
  await fleet.postgres.query(
    'fleet',
    `CREATE TABLE kept AS SELECT * FROM audit_segments WHERE chain = '${chain}';
     DELETE FROM audit_segments WHERE chain = '${chain}'; DELETE FROM audit_chains WHERE name = '${chain}'`,
  )
  const said = await castellan(['audit', 'verify'], { home: fleet.b.home, env: shared })
  expect(said.status).toBe(1)
  expect(said.stdout).toMatch(
    /FAILED {4}missing at segments? 1.*: the whole chain is missing: daemon-\w+ has seen it/,
  )
  await fleet.postgres.query('fleet', 'INSERT INTO audit_segments SELECT * FROM kept')
  expect(await verify(fleet.b.home)).toMatchObject({ ok: true })
})

test('a change of what one daemon wrote is found from the home of the other', async () => {
  const chain = chainOf(fleet.a.home)
  const change = (by: string): Promise<unknown[]> =>
    fleet.postgres.query(
      'fleet',
      `UPDATE audit_segments SET first_at_ms = first_at_ms ${by} WHERE chain = '${chain}' AND seq = 2`,
    )
  await change('- 1')
  const said = await castellan(['audit', 'verify'], { home: fleet.b.home, env: shared })
  expect(said.status).toBe(1)
  expect(said.stdout).toMatch(/FAILED {4}changed at segment 2/)
  await change('+ 1')
  expect(await verify(fleet.b.home)).toMatchObject({ ok: true })
})

test('another master key is refused before anything is written, with what to do; without one none is made', async () => {
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  const alone = await startDaemon(home)
  await alone.stop()
  const chains = (): Promise<unknown[]> =>
    fleet.postgres.query('fleet', 'SELECT name FROM audit_chains ORDER BY name')
  const before = await chains()
  const env = { CASTELLAN_DATABASE: fleet.database }
  const foreign = await castellan(['up', '--port', '0'], { home, env })
  expect(foreign.status).toBe(1)
  expect(foreign.stderr).toMatch(
    /used with master key mk_[0-9a-f]{16}, and .*holds mk_[0-9a-f]{16}.*--key-file/,
  )
  rmSync(join(home, 'master.key'))
  const none = await castellan(['up', '--port', '0'], { home, env })
  expect(none.status).toBe(1)
  expect(none.stderr).toMatch(/used with master key mk_[0-9a-f]{16}; put its file at .*--key-file/)
  expect(await chains()).toEqual(before)
})

test('the key itself may come in the environment: nobody finds it anywhere afterwards', async () => {
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  const text = readFileSync(fleet.keyFile, 'utf8').trim()
  const scanner = createScanner()
  scanner.plant('master key', text.split(' ')[2] ?? '')
  const env = { CASTELLAN_DATABASE: fleet.database, CASTELLAN_MASTER_KEY: text }
  const daemon = await startDaemon(home, 0, { env })
  cleanUp.later(() => daemon.stop())
  await daemon.apply([
    {
      kind: 'Server',
      metadata: { name: 'local' },
      spec: { transport: 'stdio', command: 'mcp-server-everything', args: ['stdio'] },
    },
    project('local', ['local']),
  ])
  const token = await daemon.createToken('local')
  const caller = modernCaller({ url: `${daemon.origin}/projects/local/mcp`, token })
  await until('its server is there', async () =>
    (await caller.ask('tools/list')).text.includes('local__echo'),
  )
  const children = processesWith('mcp-server-everything').filter((pid) => pid !== daemon.pid)
  expect(children.length).toBeGreaterThan(0)
  for (const pid of children) {
    const environment = readFileSync(`/proc/${pid}/environ`)
    expect(environment.includes('CASTELLAN_MASTER_KEY')).toBe(false)
    expect(scanner.look('a child', environment)).toEqual([])
  }
  const said = await castellan(['audit', 'verify'], { home, env })
  expect(said.status).toBe(0)
  expect(scanner.look('', said.stdout + said.stderr)).toEqual([])
  expect(scanner.lookBelow(home, [])).toEqual([])
})
