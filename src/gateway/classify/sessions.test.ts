import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { silentLog } from '../../lib/log.ts'
import { Project } from '../../kinds/project.ts'
import type { ProjectView } from '../snapshot.ts'
import type { Session, SessionRecord, SessionStore } from './session.ts'
import { createSessions } from './sessions.ts'

const WEEK_MS = 7 * 24 * 3600 * 1000
const ABOUT = {
  principal: 'token:a',
  project: 'demo',
  server: undefined,
  protocolVersion: '2025-06-18',
  client: '{"clientInfo":{"name":"c","version":"1"},"capabilities":{}}',
}

/** A store in memory that does what the two databases are held to by their contract suite. */
function openStore() {
  const rows = new Map<string, SessionRecord>()
  const asked: string[] = []
  const change = (id: string, to: Partial<SessionRecord>): Promise<void> => {
    const row = rows.get(id)
    if (row !== undefined) rows.set(id, { ...row, ...to })
    return Promise.resolve()
  }
  const store: SessionStore = {
    insert: (record) => Promise.resolve(void rows.set(record.id, record)),
    find(id) {
      asked.push(id)
      return Promise.resolve(rows.get(id))
    },
    update: ({ id, ...to }) => change(id, to),
    touch: async (seen) => {
      for (const [id, seenAtMs] of seen) await change(id, { seenAtMs })
    },
    missing: (ids) => Promise.resolve(ids.filter((id) => !rows.has(id))),
    remove: (id) => Promise.resolve(void rows.delete(id)),
    expired: (beforeMs, limit, { which, names }) =>
      Promise.resolve(
        [...rows.values()]
          .filter((row) => row.seenAtMs < beforeMs)
          .filter((row) => names.includes(row.project) === (which === 'only'))
          .slice(0, limit)
          .map(({ id }) => id),
      ),
  }
  return { rows, asked, store }
}

function setUp(kept = openStore()) {
  const time = { nowMs: 1_000_000_000_000 }
  const ended: string[] = []
  const rested: string[] = []
  const projects: ProjectView[] = []
  const told: string[] = []
  const active = new Set(['token:a', 'token:b'])
  const sessions = createSessions({
    store: kept.store,
    others: {
      ended: (id) => Promise.resolve(void told.push(`ended ${id}`)),
      changed: (id) => Promise.resolve(void told.push(`changed ${id}`)),
      found: ({ id }) => Promise.resolve(void told.push(`found ${id}`)),
    },
    clock: { nowMs: () => time.nowMs, tickMs: () => time.nowMs },
    log: silentLog,
    onEnd: (session) => ended.push(session.id),
    isActive: (principal) => active.has(principal),
    onRest: ({ id }) => rested.push(id),
    projects: () => ({
      project: (name) => projects.find((project) => project.name === name),
      projects: () => projects,
    }),
  })
  return { ...kept, sessions, time, ended, rested, projects, told, active }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('a session is in the store before it is given out', async () => {
  const { sessions, rows } = setUp()
  const session = await sessions.open(ABOUT)
  expect(rows.get(session.id)).toMatchObject({ ...ABOUT, subscriptions: [], logLevel: undefined })
  expect(sessions.peek(session.id)).toBe(session)
  expect(session.restored).toBe(false)
  expect(session.clientInfo).toBe('{"name":"c","version":"1"}')
  expect(session.digest).toMatch(/^[0-9a-f]{16}$/)
  await sessions.close()
})

test('when the store takes nothing, there is no session', async () => {
  const kept = openStore()
  kept.store.insert = () => Promise.reject(new Error('disk full'))
  const { sessions } = setUp(kept)
  await expect(sessions.open(ABOUT)).rejects.toThrow('disk full')
  expect([...sessions.all()]).toEqual([])
  await sessions.close()
})

test('after a restart it goes on as it was, and knows that servers have forgotten it', async () => {
  const before = setUp()
  const session = await before.sessions.open(ABOUT)
  session.logLevel = 'debug'
  session.subscriptions.set('a://x', 'one')
  await before.sessions.save(session)
  await before.sessions.close()

  const { sessions, asked } = setUp(before)
  expect(sessions.peek(session.id)).toBeUndefined()
  const [found, again] = await Promise.all([sessions.find(session.id), sessions.find(session.id)])
  expect(found).toMatchObject({ ...session, restored: true, calls: new Map(), stream: undefined })
  expect(again).toBe(found)
  expect(await sessions.find(session.id)).toBe(found)
  expect(asked).toEqual([session.id])
  await sessions.close()
})

// oxfmt-ignore
test.each([
  ['a session that nobody knows',       0,              'unknown', undefined],
  ['one that was seen a week ago',      WEEK_MS,        'known',   'found'],
  ['one that was seen longer ago',      WEEK_MS + 1,    'known',   undefined],
])('%s', async (...row) => {
  const [, laterMs, which, expected] = row
  const before = setUp()
  const session = await before.sessions.open(ABOUT)
  await before.sessions.close()
  const { sessions, time } = setUp(before)
  time.nowMs += laterMs
  const found = await sessions.find(which === 'known' ? session.id : 'unknown')
  expect(found === undefined ? undefined : 'found').toBe(expected)
  await sessions.close()
})

const streamOf = (session: Session): { closed: boolean } => {
  const seen = { closed: false }
  session.stream = { send() {}, close: () => void (seen.closed = true) }
  return seen
}

test('the end of a session closes its stream, stops its calls, leaves the store and is told', async () => {
  const { sessions, rows, ended } = setUp()
  const session = await sessions.open(ABOUT)
  const stream = streamOf(session)
  const cancelled: string[] = []
  session.calls.set('1', () => cancelled.push('1'))
  await sessions.end(session.id)
  expect([stream.closed, cancelled, rows.size, ended]).toEqual([true, ['1'], 0, [session.id]])
  expect(await sessions.find(session.id)).toBeUndefined()
  await sessions.end(session.id)
  expect(ended).toHaveLength(1)
  await sessions.close()
})

test('when it was seen is written once a minute, and at the end', async () => {
  const { sessions, rows, time } = setUp()
  const session = await sessions.open(ABOUT)
  const openedMs = time.nowMs
  const seenAt = (): number | undefined => rows.get(session.id)?.seenAtMs
  time.nowMs += 10_000
  sessions.seen(session)
  await vi.advanceTimersByTimeAsync(59_999)
  expect(seenAt()).toBe(openedMs)
  await vi.advanceTimersByTimeAsync(1)
  expect(seenAt()).toBe(openedMs + 10_000)
  time.nowMs += 5000
  sessions.seen(session)
  await sessions.close()
  expect(seenAt()).toBe(openedMs + 15_000)
})

test('sessions not seen for a week end, also those of an earlier life', async () => {
  const { sessions, rows, time, ended } = setUp()
  const old = await sessions.open(ABOUT)
  time.nowMs += WEEK_MS + 1
  const young = await sessions.open(ABOUT)
  await vi.advanceTimersByTimeAsync(60_000)
  expect([ended, [...rows.keys()]]).toEqual([[old.id], [young.id]])
  await sessions.close()
})

test('a store that fails for a while is tried again, and nothing that was seen is forgotten', async () => {
  const kept = openStore()
  const { sessions, rows, time } = setUp(kept)
  const session = await sessions.open(ABOUT)
  const { touch } = { touch: kept.store.touch.bind(kept.store) }
  kept.store.touch = () => Promise.reject(new Error('locked'))
  time.nowMs += 1000
  sessions.seen(session)
  await vi.advanceTimersByTimeAsync(60_000)
  kept.store.touch = touch
  await vi.advanceTimersByTimeAsync(60_000)
  expect(rows.get(session.id)?.seenAtMs).toBe(time.nowMs)
  await sessions.close()
})

test('a principal that may no longer be here loses its stream and its calls; the session is left to the next request', async () => {
  const { sessions, active } = setUp()
  const revoked = await sessions.open(ABOUT)
  const other = await sessions.open({ ...ABOUT, principal: 'token:b' })
  const streams = [streamOf(revoked), streamOf(other)]
  active.delete('token:a')
  sessions.endInactive()
  expect(streams).toEqual([{ closed: true }, { closed: false }])
  await sessions.close()
})

const projectView = (name: string, sessionIdleHours: number): ProjectView => ({
  uid: name,
  name,
  spec: Project.spec.parse({ sessionIdleHours }),
  servers: [],
})

test('a project says how long its idle sessions live, in memory and on disk', async () => {
  const before = setUp()
  before.projects.push(projectView('short', 1), projectView('also-short', 1), projectView('long', 1000))
  const open = (project: string) => before.sessions.open({ ...ABOUT, project })
  const [short, alsoShort, long, usual] = [
    await open('short'),
    await open('also-short'),
    await open('long'),
    await open('demo'),
  ]
  before.time.nowMs += 2 * 3600 * 1000
  // Another process has it in memory no more than this one will.
  const other = setUp(before)
  other.projects.push(...before.projects)
  other.time.nowMs = before.time.nowMs
  expect(await other.sessions.find(short.id)).toBeUndefined()
  await other.sessions.close()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(before.ended).toEqual([short.id, alsoShort.id])
  before.time.nowMs += WEEK_MS
  await vi.advanceTimersByTimeAsync(60_000)
  expect(before.ended).toEqual([short.id, alsoShort.id, usual.id])
  expect([...before.rows.keys()]).toEqual([long.id])
  await before.sessions.close()
})

test('a principal that opens ever more sessions loses those that it has left behind, and nobody else any', async () => {
  const { sessions, time, ended } = setUp()
  const other = await sessions.open({ ...ABOUT, principal: 'token:b' })
  const [used, listening, left] = [
    await sessions.open(ABOUT),
    await sessions.open(ABOUT),
    await sessions.open(ABOUT),
  ]
  streamOf(listening)
  for (let i = 3; i < 1000; i++) await sessions.open(ABOUT)
  time.nowMs += 1000
  sessions.seen(used)
  expect(ended).toEqual([])
  await sessions.open(ABOUT)
  expect(ended).toEqual([left.id])
  for (let i = 0; i < 100; i++) await sessions.open(ABOUT)
  expect(ended).toHaveLength(101)
  for (const session of [other, used, listening]) expect(ended).not.toContain(session.id)
  await sessions.close()
})

test('the one that makes room is the longest unused, not one that was opened just now or is used again after a rest', async () => {
  const { sessions, time, ended } = setUp()
  const opened: Session[] = []
  for (let i = 0; i < 999; i++) opened.push(await sessions.open(ABOUT))
  const [first, second] = opened
  for (const session of [...opened.slice(1), ...opened.slice(0, 1)]) {
    time.nowMs += 1
    sessions.seen(session)
  }
  const justNow = await sessions.open(ABOUT)
  for (let i = 0; i < 998; i++) await sessions.open(ABOUT)
  expect(ended[0]).toBe(second?.id)
  expect(ended).toHaveLength(998)
  for (const session of [first, justNow]) expect(ended).not.toContain(session?.id)
  await sessions.close()
})

test('many sessions that are opened at once do not make one session end in the place of many', async () => {
  const { sessions, ended } = setUp()
  for (let i = 0; i < 1000; i++) await sessions.open(ABOUT)
  await Promise.all(Array.from({ length: 100 }, () => sessions.open(ABOUT)))
  expect(sessions.size).toBe(1000)
  expect(new Set(ended).size).toBe(100)
  await sessions.close()
})

test('sessions that look left behind let go of their servers, until they are used again', async () => {
  const { sessions, rested } = setUp()
  const [first, listening, calling, subscribed] = [
    await sessions.open(ABOUT),
    await sessions.open(ABOUT),
    await sessions.open(ABOUT),
    await sessions.open(ABOUT),
  ]
  streamOf(listening)
  calling.calls.set('1', () => {})
  subscribed.subscriptions.set('a://x', 'one')
  for (let i = 4; i < 64; i++) await sessions.open(ABOUT)
  expect(rested).toEqual([])
  const second = await sessions.open(ABOUT)
  expect(rested).toEqual([first.id])
  sessions.seen(first)
  for (let i = 0; i < 200; i++) await sessions.open(ABOUT)
  expect(rested.filter((id) => id === first.id)).toHaveLength(2)
  expect(rested).toContain(second.id)
  for (const session of [listening, calling, subscribed]) expect(rested).not.toContain(session.id)
  await sessions.close()
})

test('sessions are counted by project', async () => {
  const { sessions } = setUp()
  await sessions.open(ABOUT)
  await sessions.open(ABOUT)
  await sessions.open({ ...ABOUT, project: 'other' })
  expect(['demo', 'other', 'none'].map((project) => sessions.count(project))).toEqual([2, 1, 0])
  await sessions.close()
})

test('other processes are told of what is found, changed and ended here, after the store', async () => {
  const before = setUp()
  const { id } = await before.sessions.open(ABOUT)
  const { sessions, told, rows } = setUp(before)
  const session = await sessions.find(id)
  if (session === undefined) throw new Error('it is in the store')
  await sessions.save(session)
  await sessions.end(id)
  expect(told).toEqual([`found ${id}`, `changed ${id}`, `ended ${id}`])
  expect(rows.size).toBe(0)
  await before.sessions.close()
  await sessions.close()
})

test('what another process has changed is read again; what it has ended is over here, and the store is not asked', async () => {
  const before = setUp()
  const { id } = await before.sessions.open(ABOUT)
  const { sessions, told, ended } = setUp(before)
  const here = await sessions.find(id)
  const there = before.sessions.peek(id)
  if (here === undefined || there === undefined) throw new Error('both know it')
  there.logLevel = 'error'
  there.subscriptions.set('a://x', 'one')
  await before.sessions.save(there)
  expect(await sessions.reload(id)).toBe(here)
  expect([here.logLevel, [...here.subscriptions]]).toEqual(['error', [['a://x', 'one']]])
  expect(await sessions.reload('unknown')).toBeUndefined()
  const stream = streamOf(here)
  sessions.forget(id)
  sessions.forget('unknown')
  expect([stream.closed, ended, sessions.peek(id)]).toEqual([true, [id], undefined])
  expect(told).toEqual([`found ${id}`])
  await before.sessions.close()
  await sessions.close()
})

test('a session that another process has ended, without being able to say so, is over within a minute of its use', async () => {
  const { sessions, rows, ended } = setUp()
  const kept = await sessions.open(ABOUT)
  const { id } = await sessions.open(ABOUT)
  rows.delete(id)
  for (const one of [kept.id, id]) {
    const session = sessions.peek(one)
    if (session !== undefined) sessions.seen(session)
  }
  await vi.advanceTimersByTimeAsync(60_000)
  expect([ended, sessions.peek(id), sessions.peek(kept.id)]).toEqual([[id], undefined, kept])
  await sessions.close()
})
