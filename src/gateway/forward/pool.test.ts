import { describe, expect, test, vi } from 'vitest'
import { createScriptedServers, scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { NO_OFFER, readOffer } from '../../protocol/client-offer.ts'
import { createPool, type Scope } from './pool.ts'

function setUp() {
  const servers = createScriptedServers()
  const time = { nowMs: 0 }
  const heard: string[] = []
  const pool = createPool({
    isCurrent: () => true,
    dial: servers.dial,
    nowMs: () => 0,
    tickMs: () => time.nowMs,
    events: {
      changed: (server, sharer, what) => heard.push(`${server.name} ${sharer} changed ${what}`),
      notified: () => heard.push('notified'),
      asked() {},
      withdrawn() {},
      reopened: (server, sharer) => heard.push(`${server.name} ${sharer} reopened`),
      lost() {},
    },
  })
  return { servers, pool, time, heard }
}

const scope = (principal: string, session?: string): Scope => ({ principal, session })
const A1 = scope('token:a', 's1')
const A2 = scope('token:a', 's2')
const B1 = scope('token:b', 's3')
const AWAY = { kind: 'unreachable', message: 'nothing listens at its address' } as const

describe('who shares a connection', () => {
  // oxfmt-ignore
  test.each([
    // server                                             A in session 1, A in session 2, B, A without a session
    ['stdio, shared',          { instances: 'shared' },        {},                   ['', '', '', '']],
    ['stdio, per principal',   { instances: 'per-principal' }, {},                   ['token:a', 'token:a', 'token:b', 'token:a']],
    ['stdio, per session',     { instances: 'per-session' },   {},                   ['session:s1', 'session:s2', 'session:s3', 'token:a']],
    ['http with sessions',     {},                             { stateful: true },   ['session:s1', 'session:s2', 'session:s3', `token:a ${NO_OFFER.key}`]],
    ['http without sessions',  {},                             { stateful: false },  ['', '', '', '']],
    ['http of the modern era', {},                             { era: 'modern' as const }, ['', '', '', '']],
  ])('%s', async (_, spec, script, expected) => {
    const { servers, pool } = setUp()
    Object.assign(servers.script('srv'), script)
    const server = scriptedView('srv', spec)
    const sharers: (string | undefined)[] = []
    for (const one of [A1, A2, B1, scope('token:a')]) {
      const leased = await pool.lease(server, one)
      sharers.push(leased.ok ? leased.value.sharer : undefined)
    }
    expect(sharers).toEqual(expected)
    // The first connection to an HTTP server that turns out to keep sessions stays, for its lists.
    const first = expected[0] !== '' && !('instances' in spec) ? [''] : []
    expect(servers.connections('srv').map(({ sharer }) => sharer)).toEqual([...first, ...new Set(expected)])
    await pool.close()
  })
})

test('callers that come while a connection is being made wait for that one', async () => {
  const { servers, pool } = setUp()
  const server = scriptedView('srv', { instances: 'shared' })
  expect(pool.leaseNow(server, A1)).toBeUndefined()
  const leased = await Promise.all([pool.lease(server, A1), pool.lease(server, B1), pool.lease(server, A2)])
  expect(leased.every(({ ok }) => ok)).toBe(true)
  expect(servers.connections('srv')).toHaveLength(1)
  expect(pool.leaseNow(server, B1)).toBeDefined()
  await pool.close()
})

test('a server that is away is asked after 1, 2, 5, 15, 30, 30 seconds; in between callers are told at once', async () => {
  const { servers, pool, time } = setUp()
  const server = scriptedView('srv')
  servers.script('srv').down = AWAY
  const attempts = (): number => servers.attempts('srv')
  await pool.lease(server, A1)
  for (const pauseMs of [1000, 2000, 5000, 15_000, 30_000, 30_000]) {
    const before = attempts()
    time.nowMs += pauseMs - 1
    expect(await pool.lease(server, A1)).toEqual({ ok: false, error: AWAY })
    expect(attempts(), `${pauseMs} ms are not over`).toBe(before)
    time.nowMs += 1
    await pool.lease(server, A1)
    expect(attempts(), `after ${pauseMs} ms`).toBe(before + 1)
  }
  expect(pool.health(server)).toMatchObject({ info: undefined, failure: AWAY, connections: 0 })
  servers.script('srv').down = undefined
  time.nowMs += 30_000
  expect((await pool.lease(server, A1)).ok).toBe(true)
  expect(pool.health(server).failure).toBeUndefined()
  await pool.close()
})

test('a server that had been steady is opened again at once when it is lost, and that is told', async () => {
  const { servers, pool, time, heard } = setUp()
  const server = scriptedView('srv', { instances: 'shared' })
  await pool.lease(server, A1)
  time.nowMs = 60_000
  servers.connections('srv')[0]?.lose()
  expect(pool.leaseNow(server, A1)).toBeUndefined()
  expect(pool.health(server)).toMatchObject({ connections: 0, losses: 1, failure: { message: 'it ended' } })
  expect((await pool.lease(server, A1)).ok).toBe(true)
  expect(heard).toEqual(['srv  reopened'])
  expect(pool.health(server)).toMatchObject({ connections: 1, failure: undefined })
  await pool.close()
})

test('a server that ends as soon as it is open is opened again once, then less and less often', async () => {
  const { servers, pool, time } = setUp()
  const server = scriptedView('srv', { instances: 'shared' })
  await pool.lease(server, A1)
  for (const pauseMs of [0, 1000, 2000, 5000]) {
    servers.connections('srv').at(-1)?.lose()
    const made = servers.connections('srv').length
    if (pauseMs > 0) {
      time.nowMs += pauseMs - 1
      expect((await pool.lease(server, A1)).ok).toBe(false)
      expect(servers.connections('srv')).toHaveLength(made)
      time.nowMs += 1
    }
    expect((await pool.lease(server, A1)).ok).toBe(true)
  }
  await pool.close()
})

test('the end of a session ends its connections and no others', async () => {
  const { servers, pool } = setUp()
  const server = scriptedView('srv', { instances: 'per-session' })
  await pool.lease(server, A1)
  await pool.lease(server, B1)
  pool.endSession('s1')
  await new Promise(setImmediate)
  expect(servers.connections('srv').map(({ sharer, closed }) => [sharer, closed])).toEqual([
    ['session:s1', true],
    ['session:s3', false],
  ])
  await pool.close()
})

test('a changed server gets new connections at once; one that is gone keeps none', async () => {
  const { servers, pool } = setUp()
  const old = scriptedView('srv', { instances: 'shared' })
  const changed = scriptedView('srv', { instances: 'shared' }, 'other')
  await pool.lease(old, A1)
  pool.reconcile(() => changed)
  expect(pool.leaseNow(changed, A1)).toBeUndefined()
  await pool.lease(changed, A1)
  expect(servers.connections('srv')).toHaveLength(2)
  pool.reconcile(() => undefined)
  expect(pool.health(changed)).toMatchObject({ info: undefined, connections: 0 })
  await pool.close()
})

test('what a connection hears is passed on with who shares it', async () => {
  const { servers, pool, heard } = setUp()
  await pool.lease(scriptedView('srv', { instances: 'per-principal' }), A1)
  servers.connections('srv')[0]?.events.changed('tools')
  expect(heard).toEqual(['srv token:a changed tools'])
  await pool.close()
})

test('closing closes every connection', async () => {
  const { servers, pool } = setUp()
  await pool.lease(scriptedView('a', { instances: 'per-session' }), A1)
  await pool.lease(scriptedView('a', { instances: 'per-session' }), A2)
  await pool.lease(scriptedView('b', { instances: 'shared' }), B1)
  await pool.close()
  expect([...servers.connections('a'), ...servers.connections('b')].map(({ closed }) => closed)).toEqual([
    true,
    true,
    true,
  ])
})

test('a request that still holds an older view of a server does not bring that configuration back', async () => {
  const servers = createScriptedServers()
  const now = scriptedView('srv', { instances: 'shared' }, 'new')
  const pool = createPool({
    dial: servers.dial,
    nowMs: () => 0,
    tickMs: () => 0,
    isCurrent: (server) => server.fingerprint === 'new',
    events: { changed() {}, notified() {}, asked() {}, withdrawn() {}, reopened() {}, lost() {} },
  })
  expect((await pool.lease(now, A1)).ok).toBe(true)
  const stale = await pool.lease(scriptedView('srv', { instances: 'shared' }, 'old'), A1)
  expect(stale).toMatchObject({ ok: false, error: { kind: 'unreachable' } })
  expect(pool.health(now).connections).toBe(1)
})

test('a connection of an older configuration ends with its last call, not before', async () => {
  const servers = createScriptedServers()
  const connect: typeof servers.dial.connect = (...about) => servers.dial.connect(...about)
  let idle = false
  let closed = false
  const dial: typeof servers.dial = {
    ...servers.dial,
    connect: async (...about) => {
      const upstream = await connect(...about)
      if (!upstream.ok) return upstream
      const { value } = upstream
      const close = (): Promise<void> => {
        closed = true
        return value.close()
      }
      return { ok: true, value: Object.defineProperty({ ...value, close }, 'idle', { get: () => idle }) }
    },
  }
  const events = { changed() {}, notified() {}, asked() {}, withdrawn() {}, reopened() {}, lost() {} }
  const pool = createPool({ dial, nowMs: () => 0, tickMs: () => 0, isCurrent: () => true, events })
  await pool.lease(scriptedView('srv', { instances: 'shared' }, 'old'), A1)
  pool.reconcile(() => undefined)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(closed).toBe(false)
  idle = true
  await expect.poll(() => closed).toBe(true)
})

test('a modern client that varies what it declares has so many connections, the longest unused making room', async () => {
  const { servers, pool } = setUp()
  const server = scriptedView('one')
  servers.script('one').stateful = true
  const open = async (i: number): Promise<string | undefined> => {
    const offer = readOffer(`{"experimental":{"n${i}":{}}}`)
    const leased = await pool.lease(server, { principal: 'token:a', session: undefined, offer })
    return leased.ok ? leased.value.sharer : undefined
  }
  const sharers: (string | undefined)[] = []
  for (let i = 0; i < 20; i++) sharers.push(await open(i))
  expect(new Set(sharers).size).toBe(20)
  const own = servers.connections('one').filter(({ sharer }) => sharer !== '')
  expect(own.filter(({ closed }) => closed)).toHaveLength(12)
  expect(own.slice(-8).every(({ closed }) => !closed)).toBe(true)
})

test('a server with as many connections as it may have lets go of the one that is longest unused', async () => {
  const { servers, pool, time } = setUp()
  servers.script('srv').stateful = true
  const server = scriptedView('srv')
  for (let i = 0; i < 999; i++) {
    time.nowMs++
    await pool.lease(server, scope(`token:${i}`, `s${i}`))
  }
  time.nowMs++
  await pool.lease(server, scope('token:0', 's0'))
  expect(pool.health(server).connections).toBe(1000)
  expect((await pool.lease(server, scope('token:x', 'one-more'))).ok).toBe(true)
  const closed = servers.connections('srv').filter((connection) => connection.closed)
  expect(closed.map(({ sharer }) => sharer)).toEqual(['session:s1'])
  expect(pool.health(server).connections).toBe(1000)
  await pool.close()
})

test('what only one caller uses is closed once they neither call nor hear of it; what everybody shares stays', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    const servers = createScriptedServers()
    const { dial } = servers
    const [time, heard] = [{ ms: 0 }, new Set(['heard'])]
    const events = { changed() {}, notified() {}, asked() {}, withdrawn() {}, reopened() {}, lost() {} }
    const tickMs = (): number => time.ms
    const pool = createPool({
      dial,
      nowMs: () => 0,
      tickMs,
      isCurrent: () => true,
      events,
      heard: () => heard,
    })
    for (const [name, ofOneCaller] of [
      ['shared', false],
      ['heard', true],
      ['left', true],
    ] as const) {
      servers.script(name).era = 'modern'
      await pool.lease({ ...scriptedView(name), uid: name, ofOneCaller }, A1)
    }
    const open = (): string[] =>
      ['shared', 'heard', 'left'].filter((name) => servers.connections(name).some(({ closed }) => !closed))
    time.ms = 59_000
    vi.advanceTimersByTime(60_000)
    expect(open()).toEqual(['shared', 'heard', 'left'])
    time.ms = 61_000
    vi.advanceTimersByTime(60_000)
    expect(open()).toEqual(['shared', 'heard'])
    heard.clear()
    vi.advanceTimersByTime(60_000)
    expect(open()).toEqual(['shared'])
    expect((await pool.lease({ ...scriptedView('left'), uid: 'left', ofOneCaller: true }, A1)).ok).toBe(true)
    await pool.close()
  } finally {
    vi.useRealTimers()
  }
})
