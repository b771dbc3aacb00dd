import { dirname } from 'node:path'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SecretValue } from '../../src/lib/secret-value.ts'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/authorization-server.ts'
import type { Daemon } from '../fixtures/daemon.ts'
import { startTcpProxy, type TcpProxy } from '../fixtures/tcp-proxy.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { migrate } from '../../src/store/migrations/migrate.ts'
import { CONTROL_MIGRATIONS } from '../../src/store/migrations/migrations.ts'
import type { ControlTables } from '../../src/store/tables.ts'
import { loadMasterKey } from '../../src/secrets/master-key.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { openRenewer } from './credentials-renewer.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  at,
  httpServer,
  modernCaller,
  project,
  until,
  type Access,
  type Answer,
  type Json,
} from './gateway-harness.ts'
import { createCleanUp } from './system-harness.ts'

/*
 * Daemons on one PostgreSQL, one of them over a connection that gets worse. What one is given, the others send; what
 * one takes back, none of them sends any more; and who cannot see the database sends nothing.
 */

const cleanUp = createCleanUp()
let upstream: Upstream
let authorization: AuthorizationServer
let fleet: Fleet
let proxy: TcpProxy
let far: Daemon
let near: Access
let there: Access

beforeAll(async () => {
  upstream = await startUpstream({ style: 'modern' })
  cleanUp.later(() => upstream.close())
  authorization = await startAuthorizationServer({ behind: upstream.url })
  cleanUp.later(() => authorization.close())
  fleet = await startFleet()
  cleanUp.later(() => fleet.end())
  const url = new URL(fleet.database)
  proxy = await startTcpProxy(Number(url.port))
  cleanUp.later(() => proxy.close())
  url.port = String(proxy.port)
  far = await fleet.another({ database: url.href })
  await fleet.a.apply([
    httpServer('up', upstream.url, { auth: { grant: 'mcp:up', header: 'x-key' } }),
    httpServer('notes', authorization.url, { auth: { grant: 'oauth:notes' } }),
    project('demo', ['up', 'notes']),
  ])
  ;({ atA: near } = await accessAtBoth(fleet, 'demo'))
  there = { ...near, url: near.url.replace(fleet.a.origin, far.origin) }
  for (const access of [near, there])
    await until('they know the token', async () => (await call(access, 'up')).status === 200)
})
afterAll(() => cleanUp.run())

const call = (access: Access, server: string): Promise<Answer> =>
  modernCaller(access).ask('tools/call', { name: `${server}__echo`, arguments: { message: 'hi' } })
const works = async (access: Access, server = 'up'): Promise<boolean> =>
  at((await call(access, server)).reply, 'result.content.0.text') === 'Echo: hi'
const sentKey = (): unknown => upstream.last('tools/call')?.headers['x-key']
const give = (daemon: Daemon, token: string): Promise<unknown> =>
  daemon.call('PUT', '/api/v1/grants/mcp:up', { values: { token }, server: 'up' })
const revoke = (daemon: Daemon): Promise<unknown> => daemon.call('DELETE', '/api/v1/grants/mcp:up')

/** The others know of a change within two seconds, since they look twice a second; a machine may be busy. */
const SOON_MS = 5000

/** Not sent, and not forwarded without it either. */
async function isWithheld(access: Access, server = 'up'): Promise<boolean> {
  const before = upstream.count('tools/call')
  return !(await works(access, server)) && upstream.count('tools/call') === before
}

async function stateAt(daemon: Daemon, name: string): Promise<unknown> {
  const { items } = (await daemon.call('GET', '/api/v1/grants')) as { readonly items: readonly Json[] }
  return items.find((one) => one['name'] === name)?.['state']
}

test('given, replaced, bound elsewhere and taken back at one: so it is at the other', async () => {
  expect(await isWithheld(there)).toBe(true)
  await give(fleet.a, 'first-key')
  await until('it is sent', () => works(there), SOON_MS)
  expect([sentKey(), await stateAt(far, 'mcp:up')]).toEqual(['first-key', 'ready'])
  await give(fleet.a, 'second-key')
  await until('the other is sent', async () => (await works(there)) && sentKey() === 'second-key', SOON_MS)
  await fleet.a.call('POST', '/api/v1/grants/mcp:up/bind', { origins: ['https://elsewhere.example'] })
  await until('it is not for this server', () => isWithheld(there), SOON_MS)
  expect((await call(there, 'up')).text).toContain('castellan grant bind mcp:up')
  await give(far, 'third-key')
  await until('it is again', async () => (await works(near)) && sentKey() === 'third-key', SOON_MS)
  expect(await works(there)).toBe(true)
  await revoke(far)
  expect(await isWithheld(there)).toBe(true)
  await until('it is taken back', () => isWithheld(near), SOON_MS)
  expect(await stateAt(fleet.a, 'mcp:up')).toBeUndefined()
})

interface Started {
  readonly attempt: string
  readonly authorizeUrl: string
}

test('an authorization that starts at one, comes back to the other, and is waited for at the first', async () => {
  const { attempt, authorizeUrl } = (await fleet.a.call('POST', '/api/v1/grants', {
    name: 'notes',
    server: 'notes',
  })) as Started
  const waiting = fleet.a.call('GET', `/api/v1/grants/attempts/${attempt}?waitSeconds=20`)
  const redirect = await fetch(authorizeUrl, { redirect: 'manual' })
  const back = new URL(redirect.headers.get('location') ?? '')
  expect(back.origin).toBe(fleet.a.origin)
  const page = await fetch(`${far.origin}${back.pathname}${back.search}`)
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('is authorized')])
  expect(await waiting).toEqual({ state: 'done' })
  for (const access of [near, there]) await until('it is used', () => works(access, 'notes'), SOON_MS)
})

test('what one renews, the other has, and asks for no more', async () => {
  const before = authorization.count('refresh')
  authorization.expire()
  const both = await Promise.all([near, there, near, there].map((access) => works(access, 'notes')))
  expect(both).toEqual([true, true, true, true])
  expect(authorization.count('refresh')).toBe(before + 1)
  expect(await works(there, 'notes')).toBe(true)
})

test('a slow database makes calls slow, and no more', async () => {
  await give(fleet.a, 'slow-key')
  proxy.slowBy(100)
  await until('it has heard of it', () => works(there), 20_000)
  const answers = await Promise.all(Array.from({ length: 10 }, () => works(there)))
  proxy.slowBy(0)
  expect(answers).toEqual(answers.map(() => true))
  expect(sentKey()).toBe('slow-key')
})

test('a thousand that change at one time: none is missed', async () => {
  const third = await openRenewer(dirname(fleet.keyFile), fleet.database)
  cleanUp.later(() => third.close())
  const { grants } = third
  const value = (text: string) => ({ token: new SecretValue(text) })
  const about = { server: 'up', settings: {}, expiresAtMs: undefined, source: 'cli' } as const
  const origins = [new URL(upstream.url).origin]
  const shared = { profile: 'default', holder: '', name: 'mcp:up' }
  const people = Array.from({ length: 1000 }, (_, i) => ({ ...shared, holder: `user:usr_${i}` }))
  let given = 0
  const work = async (): Promise<void> => {
    for (let i = given++; i < people.length; i = given++)
      await grants.give({ key: people[i]!, values: value(`of-${i}`), origins, ...about })
  }
  const many = Promise.all(Array.from({ length: 16 }, work))
  await until('in the middle of it', () => given > 500)
  await grants.give({ key: shared, values: value('amid-many'), origins, ...about })
  await until('both have heard of it', async () => {
    const keys = []
    for (const access of [near, there]) keys.push((await works(access)) && sentKey())
    return keys.every((key) => key === 'amid-many')
  })
  await many
  await grants.revoke(shared)
  for (const access of [near, there]) await until('it is taken back', () => isWithheld(access))
}, 90_000)

test('who cannot see the database sends nothing: also not when it is back, if it was taken back meanwhile', async () => {
  await give(fleet.a, 'last-key')
  await until('it is sent', async () => (await works(there)) && sentKey() === 'last-key')
  proxy.freeze()
  await revoke(fleet.a)
  await until('nothing is sent', () => isWithheld(there))
  const before = upstream.count('tools/call')
  const stop = performance.now() + 8000
  while (performance.now() < stop) expect(await works(there)).toBe(false)
  expect(upstream.count('tools/call')).toBe(before)
  proxy.thaw()
  await until('calls are taken again', async () => (await call(there, 'up')).status === 200, 60_000)
  expect(await isWithheld(there)).toBe(true)
  expect((await call(there, 'up')).text).toContain('castellan grant mcp up')
  await give(fleet.a, 'key-after')
  await until('it is sent', async () => (await works(there)) && sentKey() === 'key-after')
  expect(await works(there, 'notes')).toBe(true)
}, 120_000)

/** A grant as it was kept before grants had holders. */
async function keepOldGrant(database: string): Promise<void> {
  const db = new Kysely<ControlTables>({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: database }) }),
  })
  const before = CONTROL_MIGRATIONS.findIndex(({ name }) => name === 'grant-holders')
  const migrations = CONTROL_MIGRATIONS.slice(0, before)
  await migrate(db, { part: 'control', migrations, dialect: 'postgres' })
  const { issuer, url } = authorization
  const state = JSON.stringify({
    resource: { identifier: url, scopes: [] },
    authorizationServer: { issuer, token_endpoint: `${issuer}/token`, scopes_supported: [] },
    clients: {},
    requested: [],
    granted: [],
    tokens: { obtainedAtMs: 1 },
    demanded: [],
  })
  const { origin } = new URL(url)
  await sql`insert into grants (uid, name, server, origin, state, version, updated_at_ms)
    values ('grt_old', 'oauth:notes', 'notes', ${origin}, ${state}, 1, 1)`.execute(db)
  const { master } = await loadMasterKey({ home: dirname(fleet.keyFile), usedWith: [] })
  const at = { uid: 'grt_old', field: 'access_token' }
  const sealed = createSealer(master).seal({ kind: 'Grant', ...at }, new SecretValue('token-of-before'))
  await db
    .insertInto('grant_secrets')
    .values({ ...at, ...sealed })
    .execute()
  await db.destroy()
}

test('a grant of before grants had holders is still there, and says how it is given again: what it was bound to was not sealed', async () => {
  const database = await fleet.postgres.createDatabase('older')
  await keepOldGrant(database)
  const daemon = await fleet.another({ database })
  await daemon.apply([
    httpServer('notes', authorization.url, { auth: { grant: 'oauth:notes' } }),
    project('demo', ['notes']),
  ])
  expect(await daemon.call('GET', '/api/v1/grants/oauth:notes')).toMatchObject({
    name: 'oauth:notes',
    profile: 'default',
    origins: [authorization.issuer],
  })
  const access = { url: `${daemon.origin}/projects/demo/mcp`, token: await daemon.createToken('demo') }
  expect((await call(access, 'notes')).text).toContain('castellan grant oauth notes --server notes')
})
