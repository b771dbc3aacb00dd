import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Daemon } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  at,
  createToken,
  endpoint,
  httpServer,
  modernCaller,
  openLegacy,
  project,
  resumeLegacy,
  send,
  stdioServer,
  until,
  type Access,
  type Json,
} from './gateway-harness.ts'
import { castellan } from './system-harness.ts'

/* Daemons of one database on hosts whose clocks are more than an hour apart: the time of the database counts. */

const APART_MS = 61 * 60_000
const NOTE = 'stdio://note'
let fleet: Fleet
let reference: ReferenceServer
let ahead: Daemon
let atA: Access
let atAhead: Access

beforeAll(async () => {
  reference = await startReferenceServer({ modern: false })
  fleet = await startFleet()
  const shift = new URL('../fixtures/shift-clock.js', import.meta.url)
  ahead = await fleet.another({ env: { NODE_OPTIONS: `--import=${shift.href}?ms=${APART_MS}` } })
  await fleet.a.apply([
    stdioServer('one'),
    httpServer('ref', reference.url),
    project('main', ['one', 'ref'], { sessionIdleHours: 1 }),
  ])
  ;({ atA } = await accessAtBoth(fleet, 'main'))
  atAhead = { ...atA, url: endpoint(ahead, 'main') }
  await knows(atAhead)
})
afterAll(async () => {
  await fleet?.end()
  await reference?.close()
})

const knows = (access: Access): Promise<boolean> =>
  until('it knows the token', async () => (await modernCaller(access).ask('tools/list')).status === 200)

test('its clock is wrong, and it says so', () => {
  const lines = readFileSync(join(ahead.home, 'logs/daemon.log'), 'utf8')
  expect(lines).toContain('the clock of this host is not that of the database')
  expect(lines).toContain(`"apartSeconds":${APART_MS / 1000}`)
})

test('a session that is used at one is not idle for the other, and what is said at either reaches its stream', async () => {
  const here = await openLegacy(atA)
  const there = resumeLegacy(atAhead, here.session)
  const stream = await there.listen()
  await here.ask('resources/subscribe', { uri: NOTE })
  await until('an update of the copy at A', async () => {
    await here.ask('tools/call', { name: 'one__touch', arguments: { uri: NOTE } })
    return stream.messages.some(({ method }) => method === 'notifications/resources/updated')
  })
  stream.hangUp()
  // Ended at one, at once at the other: they take each other's word.
  expect((await send(atAhead, { method: 'DELETE', headers: there.headers })).status).toBe(200)
  expect((await here.ask('ping')).status).toBe(404)
})

test('a call that is parked at one is answered at the other, either way round', async () => {
  const _meta = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } }
  const call = { name: 'ref__test_elicitation', arguments: { message: 'Who?' }, _meta }
  const answer = { action: 'accept', content: { username: 'ada', email: 'ada@example.com' } }
  for (const [first, second] of [
    [atA, atAhead],
    [atAhead, atA],
  ] as const) {
    const { reply } = await modernCaller(first).ask('tools/call', call)
    const keys = Object.keys(at(reply, 'result.inputRequests') as Json)
    const inputResponses = Object.fromEntries(keys.map((key) => [key, answer]))
    const requestState = at(reply, 'result.requestState')
    const retried = await modernCaller(second).ask('tools/call', { ...call, inputResponses, requestState })
    expect(JSON.stringify(retried.reply['result'])).toContain('ada')
  }
})

test('a token lives as long at one as at the other', async () => {
  const token = await createToken(ahead, 'main', 'short', { ttl: '30m' })
  await knows({ ...atA, token })
  await knows({ ...atAhead, token })
  const other = await createToken(fleet.a, 'main', 'short-too', { ttl: '30m' })
  await knows({ ...atAhead, token: other })
})

test('the record is in order, and whole', async () => {
  for (const [i, access] of [atA, atAhead, atA, atAhead].entries()) {
    const call = { name: 'one__about', arguments: { names: [`turn-${i}`] } }
    expect((await modernCaller(access).ask('tools/call', call, `turn-${i}`)).status).toBe(200)
  }
  const list = async (): Promise<Json[]> => {
    const query = '/api/v1/audit?tool=one__about&limit=100'
    return ((await fleet.a.call('GET', query)) as { items: Json[] }).items
  }
  await until('all are listed', async () => (await list()).length >= 4)
  const chains = (await list()).slice(-4).map((item) => String(item['id']).split('-')[0])
  expect(chains).toEqual([chains[0], chains[1], chains[0], chains[1]])
  expect(chains[0]).not.toBe(chains[1])
  const { database, keyFile } = fleet
  const env = { CASTELLAN_DATABASE: database, CASTELLAN_KEY_FILE: keyFile }
  const verified = await castellan(['audit', 'verify'], { home: ahead.home, env })
  expect([verified.stderr, verified.status]).toEqual(['', 0])
})
