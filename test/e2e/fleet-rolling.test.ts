import { afterAll, beforeAll, expect, test } from 'vitest'
import { isHomeLocked } from '../../src/main/home-lock.ts'
import { startBalancer, type Balancer } from '../fixtures/balancer.ts'
import { startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { connectAll, holdOne, startLoad, type Mix, type RealClient } from './fleet-clients.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  httpServer,
  modernCaller,
  project,
  stdioServer,
  until,
  type Access,
  type Json,
} from './gateway-harness.ts'
import { createCleanUp, daemonOf, freshFolder, ok, removeFolder } from './system-harness.ts'

/*
 * Two daemons on one PostgreSQL behind a load balancer, under load of the official clients of both eras: each is
 * restarted and nobody notices; one is killed, and who notices is told.
 */

const cleanUp = createCleanUp()
const ENV = { CASTELLAN_DRAIN_SECONDS: '1' }
let reference: ReferenceServer
let fleet: Fleet
let balancer: Balancer
let through: Access
let daemons: Daemon[]

beforeAll(async () => {
  reference = await startReferenceServer({ modern: false })
  cleanUp.later(() => reference.close())
  fleet = await startFleet({ env: ENV })
  cleanUp.later(() => fleet.end())
  await fleet.a.apply([stdioServer('one'), httpServer('ref', reference.url), project('main', ['one', 'ref'])])
  const { atA, atB } = await accessAtBoth(fleet, 'main')
  await until('both know the token', async () => (await modernCaller(atB).ask('tools/list')).status === 200)
  daemons = [fleet.a, fleet.b]
  balancer = await startBalancer(daemons.map(({ origin }) => origin))
  cleanUp.later(() => balancer.close())
  through = { url: atA.url.replace(fleet.a.origin, balancer.origin), token: atA.token }
})
afterAll(() => cleanUp.run())

/** The same home and port again. */
async function restart(daemon: Daemon): Promise<Daemon> {
  const { database, keyFile } = fleet
  const again = await startDaemon(daemon.home, Number(new URL(daemon.origin).port), {
    database,
    keyFile,
    env: ENV,
  })
  cleanUp.later(() => again.stop())
  daemons[daemons.indexOf(daemon)] = again
  return again
}

const MIX: Mix = [
  ['ref__test_simple_text', {}],
  ['one__slow', { ms: 120 }],
  ['ref__test_elicitation', { message: 'Who?' }],
  ['one__slow', { ms: 5, logs: ['error'] }],
]

async function connectClients(): Promise<RealClient[]> {
  const clients = await connectAll(through)
  for (const client of clients) cleanUp.later(() => client.close())
  return clients
}

/** Whoever has a stream hears of it, wherever that hangs: each daemon has a copy of the server, and one of them changes. */
async function hearOfChanges(clients: readonly RealClient[]): Promise<void> {
  const told = clients.map((client) => client.told())
  await until('all are told', async () => {
    await clients[0]?.call('one__grow', {})
    return clients.every(({ hasStream, told: times }, i) => !hasStream || times() > (told[i] ?? 0))
  })
}

test('a rolling restart of both under load: no call fails, and streams go on', async () => {
  const clients = await connectClients()
  const load = startLoad(clients, MIX)
  await load.more('some calls')
  for (const daemon of [fleet.a, fleet.b]) {
    const { origin } = daemon
    await daemon.stop()
    expect(balancer.ready()).not.toContain(origin)
    await load.more('calls while one is away')
    await restart(daemon)
    await until('it is back', () => balancer.ready().includes(origin))
    await load.more('calls at both')
  }
  await load.end()
  expect(load.failed).toEqual([])
  await hearOfChanges(clients)
  expect(balancer.broken.filter(({ what }) => what.startsWith('POST'))).toEqual([])
  for (const [name] of MIX) expect(load.answered.get(name)).toBeGreaterThan(10)
}, 120_000)

/** Where the daemon is reached by others that does, for all, one of the things that one does. */
async function holderOfLeases(): Promise<string | undefined> {
  const query = `select url from peers join leases on holder = node and name = 'forget-peers'`
  const [found] = (await fleet.postgres.query('fleet', query)) as { url: string }[]
  return found?.url
}

const peersOf = async (daemon: Daemon): Promise<Json[]> =>
  ((await daemon.call('GET', '/api/v1/status')) as { peers: Json[] }).peers

/** The one that holds the leases, and the other. */
async function byLeases(): Promise<{ victim: Daemon; survivor: Daemon; holder: string }> {
  const holder = await until('one does what one does for all', holderOfLeases)
  const [first, second] = daemons as [Daemon, Daemon]
  const isSecond = (await peersOf(first)).some(({ url }) => url === holder)
  return { holder, ...(isSecond ? { victim: second, survivor: first } : { victim: first, survivor: second }) }
}

test('kill -9 of one under load: the calls that it had are lost, each client is told, and nothing else fails', async () => {
  const holders = [...(await connectClients()), ...(await connectClients())]
  const others = await connectClients()
  const { victim, survivor, holder } = await byLeases()
  const broken = balancer.broken.length
  const held = await holdOne(holders, balancer)
  const load = startLoad(others, [
    ['ref__test_simple_text', {}],
    ['one__slow', { ms: 50 }],
  ])
  await until('some calls', () => load.total() > 20)
  process.kill(victim.pid, 'SIGKILL')
  const ends = await Promise.all(held.map(async ({ origin, outcome }) => ({ origin, end: await outcome })))
  const before = load.total()
  await until('calls without it', () => load.total() > before + 40)
  await load.end()
  for (const { origin, end } of ends) expect(end).toMatch(origin === victim.origin ? /^lost: / : /^answered$/)
  expect(new Set(ends.map(({ origin }) => origin)).size).toBe(2)
  const lost = balancer.broken.slice(broken).filter(({ what }) => what.startsWith('POST'))
  expect(new Set(lost.map(({ origin }) => origin))).toEqual(new Set([victim.origin]))
  const heldThere = ends.filter(({ origin }) => origin === victim.origin).length
  expect(load.failed).toHaveLength(lost.length - heldThere)
  await hearOfChanges(others)
  expect(await peersOf(survivor)).toMatchObject([
    { url: holder, state: expect.stringMatching(/^(?:unreachable|gone)$/) },
  ])
  await until(
    'the other does what one does for all',
    async () => ![undefined, holder].includes(await holderOfLeases()),
    30_000,
  )
}, 120_000)

test('told to end, it says so and takes everything meanwhile, on connections that end with the answer; told again, it ends at once', async () => {
  const { database, keyFile } = fleet
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  const env = { CASTELLAN_DATABASE: database, CASTELLAN_KEY_FILE: keyFile }
  await ok(['up', '-d', '--port', '0', '--drain-seconds', '60'], { home, env })
  const { pid, url } = daemonOf(home)
  const access = { url: `${url}/projects/main/mcp`, token: through.token }
  const list = async (): Promise<[number, string | undefined]> => {
    const { status, headers } = await modernCaller(access).ask('tools/list')
    return [status, headers.connection]
  }
  await until('it knows the token', async () => (await list())[0] === 200)
  process.kill(pid, 'SIGTERM')
  await until('it is not ready', async () => (await fetch(`${url}/readyz`)).status === 503)
  expect(await list()).toEqual([200, 'close'])
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  await until('it has ended', () => {
    // Two that come as one press of Ctrl-C count as one.
    if (isHomeLocked(home)) process.kill(pid, 'SIGTERM')
    return !isHomeLocked(home)
  })
})
