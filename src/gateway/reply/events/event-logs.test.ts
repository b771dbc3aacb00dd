import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { BootEpoch } from '../../../lib/id.ts'
import { createSseParser } from '../../../protocol/sse.ts'
import type { Session } from '../../classify/session.ts'
import { parseEventId } from './event-id.ts'
import { createEventLogs } from './event-logs.ts'
import type { EventConnection } from './event-stream.ts'

const sessionOf = (id: string, protocolVersion = '2025-06-18') => ({ id, protocolVersion }) as Session
const MINUTE_MS = 60_000

/** A connection that tells what it was given. */
function connect(takes = true) {
  const seen: { id: string | undefined; data: string }[] = []
  const parser = createSseParser(1 << 27, ({ id, data }) => seen.push({ id, data: data.toString() }))
  let ended = false
  const connection: EventConnection = {
    owner: undefined,
    write(text) {
      parser.feed(Buffer.from(text))
      return takes
    },
    end(text) {
      if (text !== undefined) parser.feed(Buffer.from(text))
      ended = true
    },
  }
  return {
    connection,
    seen,
    said: () => seen.map(({ data }) => data).filter((data) => data !== ''),
    lastId: () => parseEventId(seen.at(-1)?.id ?? ''),
    get ended() {
      return ended
    },
    /** The client is gone. */
    drop: () => connection.owner?.closed(false),
    /** All that was written has arrived, and the end with it. */
    finish: () => connection.owner?.closed(true),
  }
}

function setUp() {
  let nowMs = 0
  const away: string[] = []
  const logs = createEventLogs(
    'epoch' as BootEpoch,
    () => nowMs,
    ({ id }) => away.push(id),
  )
  const pass = async (ms: number) => {
    nowMs += ms
    await vi.advanceTimersByTimeAsync(ms)
  }
  return { logs, away, pass }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('a stream whose connection was lost goes on from the event that the client has', () => {
  const { logs } = setUp()
  const session = sessionOf('s')
  const log = logs.open(session, '7')
  const first = connect()
  log.attach(first.connection, undefined)
  log.send('"a"')
  const has = first.lastId()
  log.send('"b"')
  first.drop()
  log.send('"c"')
  log.end('"d"')
  const second = connect()
  expect(logs.find(session, has!)).toBe(log)
  expect(log.attach(second.connection, has?.n as number)).toBe(true)
  expect([first.said(), second.said(), second.ended]).toEqual([['"a"', '"b"'], ['"b"', '"c"', '"d"'], true])
  expect(second.lastId()).toMatchObject({ n: 'end', request: '7' })
})

test('no stream is found from another session, another life of the daemon, or after its end was delivered', async () => {
  const { logs, pass } = setUp()
  const session = sessionOf('s')
  const log = logs.open(session, '7')
  const client = connect()
  log.attach(client.connection, undefined)
  log.send('1')
  const id = client.lastId()!
  expect(logs.find(sessionOf('other'), id)).toBeUndefined()
  expect(logs.find(session, { ...id, epoch: 'before' })).toBeUndefined()
  log.end('2')
  client.finish()
  await pass(10_000)
  expect(logs.find(session, id)).toBe(log)
  await pass(10_000)
  expect(logs.find(session, id)).toBeUndefined()
  expect(logs.size()).toEqual({ sessions: 0, events: 0, chars: 0 })
})

test('an answer that nobody took is kept for minutes, not for ever', async () => {
  const { logs, pass } = setUp()
  const session = sessionOf('s')
  const log = logs.open(session, '7')
  const client = connect()
  log.attach(client.connection, undefined)
  log.send('1')
  const id = client.lastId()!
  client.drop()
  // While the call runs its stream stays.
  await pass(30 * MINUTE_MS)
  expect(logs.find(session, id)).toBe(log)
  log.end('2')
  await pass(4 * MINUTE_MS)
  expect(logs.find(session, id)).toBe(log)
  await pass(2 * MINUTE_MS)
  expect(logs.find(session, id)).toBeUndefined()
  expect(logs.size()).toEqual({ sessions: 0, events: 0, chars: 0 })
})

test('what is said to a session without a stream waits for the first, and is said once', () => {
  const { logs } = setUp()
  const session = sessionOf('s')
  logs.own(session).send('"early"')
  const [first, second] = [connect(), connect()]
  expect(logs.own(session).attach(first.connection, undefined)).toBe(true)
  first.drop()
  logs.own(session).send('"between"')
  logs.own(session).attach(second.connection, undefined)
  expect([first.said(), second.said()]).toEqual([['"early"'], ['"between"']])
})

test('nobody comes back to the own stream of a session: it is told, and all is released', async () => {
  const { logs, away, pass } = setUp()
  const session = sessionOf('s')
  const client = connect()
  const log = logs.own(session)
  log.attach(client.connection, undefined)
  await pass(60 * MINUTE_MS)
  expect(away).toEqual([])
  log.send('1')
  client.drop()
  await pass(6 * MINUTE_MS)
  expect([away, logs.ownIfAny(session)]).toEqual([['s'], undefined])
  expect(logs.size()).toEqual({ sessions: 0, events: 0, chars: 0 })
})

test('a newer connection takes the place of the older, which hears that nothing follows', () => {
  const { logs } = setUp()
  const log = logs.own(sessionOf('s', '2025-11-25'))
  const [older, newer] = [connect(), connect()]
  log.attach(older.connection, undefined)
  log.attach(newer.connection, undefined)
  log.send('1')
  expect([older.said(), newer.said(), older.ended, newer.ended]).toEqual([[], ['1'], true, false])
  expect(older.lastId()?.n).toBe('end')
  // Its end is no news any more.
  older.finish()
  expect(log.connected).toBe(true)
})

// oxfmt-ignore
test.each([
  ['2024-11-05', [[undefined, '1']]],
  ['2025-03-26', [['epoch.1.1', '1']]],
  ['2025-06-18', [['epoch.1.1', '1']]],
  // The empty event says where to resume before anything was said; to older clients it would be a broken message.
  ['2025-11-25', [['epoch.1.0', ''], ['epoch.1.1', '1']]],
])('%s: events as clients of that revision can take them', (version, expected) => {
  const { logs } = setUp()
  const client = connect()
  const log = logs.own(sessionOf('s', version))
  log.attach(client.connection, undefined)
  log.send('1')
  expect(client.seen.map(({ id, data }) => [id, data])).toEqual(expected)
})

test('of a stream the newest thousand events are kept, and whoever needs older ones is told so', () => {
  const { logs } = setUp()
  const session = sessionOf('s')
  const log = logs.own(session)
  for (let i = 0; i < 1500; i++) log.send(String(i))
  const client = connect()
  expect(log.attach(client.connection, 100)).toBe(false)
  expect([client.said().length, client.said()[0], log.takeLost(), log.takeLost()]).toEqual([
    1000,
    '500',
    true,
    false,
  ])
})

test('all sessions together keep a bounded amount, and the newest message of whatever size', () => {
  const { logs } = setUp()
  const big = `"${'x'.repeat(3 * 1024 * 1024)}"`
  for (let i = 0; i < 100; i++) logs.own(sessionOf(`s${i}`)).send(big)
  const { chars, events } = logs.size()
  expect(chars).toBeLessThanOrEqual(64 * 1024 * 1024)
  expect(events).toBeGreaterThan(15)
  const huge = `"${'x'.repeat(70 * 1024 * 1024)}"`
  const log = logs.own(sessionOf('huge'))
  log.send(huge)
  expect(logs.size().events).toBe(1)
  const client = connect()
  log.attach(client.connection, undefined)
  expect(client.said()[0]?.length).toBe(huge.length)
})

test('the end of a session releases everything, also of calls that still run', () => {
  const { logs } = setUp()
  const session = sessionOf('s')
  logs.own(session).send('1')
  const running = logs.open(session, '1')
  running.send('2')
  logs.endSession(session)
  expect(logs.size()).toEqual({ sessions: 0, events: 0, chars: 0 })
  running.end('3')
})

test('a client that does not keep up is reported, and so is its catching up, or its leaving', () => {
  const { logs } = setUp()
  for (const how of ['drained', 'dropped'] as const) {
    const log = logs.open(sessionOf('s'), '1')
    const slow = connect(false)
    log.attach(slow.connection, undefined)
    const told: string[] = []
    expect(log.send('1')).toBe(false)
    log.onDrain(() => told.push(how))
    expect(told).toEqual([])
    if (how === 'drained') slow.connection.owner?.drained()
    else slow.drop()
    expect(told).toEqual([how])
    log.onDrain(() => told.push('at once'))
    expect(told).toEqual([how, 'at once'])
  }
})
