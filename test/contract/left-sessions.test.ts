import { randomBytes, createSecretKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createDial, type Dial } from '../../src/gateway/forward/dial/dial.ts'
import { createEndLeftSessions } from '../../src/gateway/forward/http/left-sessions.ts'
import { createWireIds } from '../../src/gateway/forward/wire-id.ts'
import type { GrantSource } from '../../src/gateway/inject/grants.ts'
import type { ServerView } from '../../src/gateway/snapshot.ts'
import { Server as ServerKind } from '../../src/kinds/server.ts'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { mintBootEpoch } from '../../src/lib/id.ts'
import { silentLog } from '../../src/lib/log.ts'
import { err } from '../../src/lib/result.ts'
import { SecretValue } from '../../src/lib/secret-value.ts'
import { createLeftSessions, type LeftSessions } from '../../src/main/left-sessions.ts'
import { createUpstreamSessionLog, type KeptUpstreamSessions } from '../../src/main/upstream-session-log.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { createSealer, type Sealer } from '../../src/secrets/sealing.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import type { UpstreamSessionRow } from '../../src/store/tables.ts'
import { until } from '../e2e/gateway-harness.ts'

/* Sessions that a process has left at servers: who ends them, what goes where, and what becomes of the notes. */

interface Told {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly id: string
  readonly key: string | string[] | undefined
  readonly version: string | string[] | undefined
}

let home: string
let store: Store
let sealer: Sealer
let dial: Dial
let http: Server
let origin: string
let told: Told[]
let status: number
let servers: Map<string, ServerView>
let sweepers: LeftSessions[]

const newSealer = (): Sealer => createSealer({ id: 'k', key: createSecretKey(randomBytes(32)) })
const NO_RUNTIME: Runtime = {
  sandbox: 'reaper',
  start: () => Promise.reject(new Error('nothing is started here')),
  close: () => Promise.resolve(),
}
const NO_GRANTS: GrantSource = {
  current: () => undefined,
  ready: () => Promise.resolve(err({ message: 'there is none', connect: false })),
  refused: () => Promise.resolve(err(undefined)),
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-left-'))
  store = await openStore({ home }, silentLog)
  sealer = newSealer()
  told = []
  status = 200
  http = createServer(({ method, url: path, headers }, response) => {
    const id = String(headers['mcp-session-id'])
    told.push({ method, path, id, key: headers['x-key'], version: headers['mcp-protocol-version'] })
    response.writeHead(status).end()
  })
  await new Promise<void>((resolve) => {
    http.listen(0, '127.0.0.1', resolve)
  })
  origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  servers = new Map()
  sweepers = []
  dial = createDial({
    runtime: NO_RUNTIME,
    openSecret: (_secret, key) => (key === 'there' ? new SecretValue('secret-value') : undefined),
    grants: NO_GRANTS,
    injections: { sent: () => Promise.resolve(true), withheld() {} },
    us: { name: 'castellan', version: '0' },
    ids: createWireIds(mintBootEpoch()),
    clock,
    sessions: { opened: () => () => {} },
  })
})
afterEach(async () => {
  for (const sweeper of sweepers) sweeper.close()
  await dial.close()
  await store.close()
  http.closeAllConnections()
  http.close()
  await rm(home, { recursive: true, force: true })
})

function put(name: string, spec: object): void {
  servers.set(name, { uid: `srv_${name}`, name, spec: ServerKind.spec.parse(spec), fingerprint: '1' })
}
const serve = (name: string, more: object = {}): void =>
  put(name, { transport: 'http', url: `${origin}/${name}`, ...more })

function noteAs(node: string, by: Sealer = sealer): KeptUpstreamSessions {
  return createUpstreamSessionLog({ db: store.state, sealer: by, node, clock, log: silentLog })
}

const sessionAt = (server: string, id: string, url = `${origin}/${server}`) => ({
  server,
  serverUid: `srv_${server}`,
  url,
  protocolVersion: '2025-06-18',
  id: new SecretValue(id),
})

/** As a process that is killed leaves them. */
async function leave(sessions: readonly ReturnType<typeof sessionAt>[], by?: Sealer): Promise<void> {
  const notes = noteAs('gone', by)
  for (const session of sessions) notes.opened(session)
  notes.begin()
  await notes.close()
}

function sweep(self: string): void {
  const sweeper = createLeftSessions({
    db: store.state,
    sealer,
    self,
    goneOf: (nodes) => Promise.resolve(nodes.filter((node) => node === 'gone')),
    end: createEndLeftSessions({ dial, server: (name) => servers.get(name) }),
    log: silentLog,
    againMs: 100,
  })
  sweepers.push(sweeper)
  sweeper.sweep()
}

const rows = (): Promise<UpstreamSessionRow[]> =>
  store.state.selectFrom('upstream_sessions').selectAll().orderBy('uid').execute()
const noneLeft = (): Promise<boolean> =>
  until('no note is left', async () => (await rows()).every(({ node }) => node === 'alive'))

test('each is ended once, at its server, with what that server wants, whoever else looks', async () => {
  const valueFrom = { secretRef: { name: 'any', key: 'there' } }
  serve('one', { headers: [{ name: 'X-Key', valueFrom }] })
  serve('two')
  const ids = Array.from({ length: 60 }, (_, i) => `id-${i}`)
  await leave(ids.map((id, i) => sessionAt(i % 2 === 0 ? 'one' : 'two', id)))
  const alive = noteAs('alive')
  alive.opened(sessionAt('one', 'in-use'))
  alive.begin()
  await alive.close()
  for (const self of ['a', 'b', 'c']) sweep(self)
  await noneLeft()
  expect(told.map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
  const expected = { method: 'DELETE', version: '2025-06-18' }
  expect(told.find(({ id }) => id === 'id-0')).toEqual({
    ...expected,
    path: '/one',
    id: 'id-0',
    key: 'secret-value',
  })
  expect(told.find(({ id }) => id === 'id-1')).toEqual({
    ...expected,
    path: '/two',
    id: 'id-1',
    key: undefined,
  })
  expect((await rows()).map(({ node }) => node)).toEqual(['alive'])
})

test('what is not where it was is told nothing, and neither is anybody else', async () => {
  serve('moved')
  serve('again')
  put('piped', { transport: 'stdio', command: 'true' })
  await leave([
    sessionAt('moved', 'a', 'http://127.0.0.1:1/moved'),
    { ...sessionAt('again', 'b'), serverUid: 'srv_older' },
    sessionAt('piped', 'c'),
    sessionAt('missing', 'd'),
  ])
  sweep('a')
  await noneLeft()
  expect(told).toEqual([])
})

test('one that another key has sealed is given up, the others are ended', async () => {
  serve('one')
  await leave([sessionAt('one', 'strange')], newSealer())
  await leave([sessionAt('one', 'known')])
  sweep('a')
  await noneLeft()
  expect(told.map(({ id }) => id)).toEqual(['known'])
})

test('a server that does not answer is asked a few times, and once more later; then it is left alone', async () => {
  status = 503
  serve('one')
  serve('locked', { headers: [{ name: 'X-Key', valueFrom: { secretRef: { name: 'any', key: 'missing' } } }] })
  await leave(Array.from({ length: 40 }, (_, i) => sessionAt('one', `id-${i}`)))
  await leave([sessionAt('locked', 'l')])
  sweep('a')
  await until('the first look is over', () => told.length > 0)
  // Ours by now: should we end before we try again, whoever comes next does.
  expect(new Set((await rows()).map(({ node }) => node))).toEqual(new Set(['a']))
  await noneLeft()
  expect(told.length).toBeGreaterThan(1)
  expect(told.length).toBeLessThan(20)
})

test('one that answers when it is asked again has ended them all', async () => {
  status = 503
  serve('one')
  await leave(Array.from({ length: 30 }, (_, i) => sessionAt('one', `id-${i}`)))
  sweep('a')
  await until('it is asked', () => told.length > 0)
  const first = told.length
  status = 404
  await noneLeft()
  expect(new Set(told.slice(first).map(({ id }) => id)).size).toBeGreaterThanOrEqual(26)
})

test('notes are made from the beginning on, unless they are forgotten before', async () => {
  const notes = noteAs('n')
  const forget = notes.opened(sessionAt('one', 'early'))
  notes.opened(sessionAt('one', 'stays'))
  forget()
  forget()
  expect(await rows()).toEqual([])
  notes.begin()
  await until('it is written', async () => (await rows()).length === 1)
  const more = Array.from({ length: 600 }, (_, i) => notes.opened(sessionAt('one', `id-${i}`)))
  await until('all are', async () => (await rows()).length === 601)
  const [row] = await rows()
  expect(JSON.stringify(row)).not.toContain('stays')
  for (const one of more) one()
  await notes.close()
  expect(await rows()).toHaveLength(1)
})

test('what cannot be written is written when it can be, and costs nobody anything', async () => {
  const notes = noteAs('n')
  notes.begin()
  await sql`pragma query_only = 1`.execute(store.state)
  notes.opened(sessionAt('one', 'a'))
  notes.opened(sessionAt('one', 'b'))()
  for (let i = 0; i < 10; i++) expect(await rows()).toEqual([])
  await sql`pragma query_only = 0`.execute(store.state)
  await until('it is written', async () => (await rows()).length === 1)
  await sql`pragma query_only = 1`.execute(store.state)
  notes.opened(sessionAt('one', 'c'))
  await notes.close()
  expect(await rows()).toHaveLength(1)
})
