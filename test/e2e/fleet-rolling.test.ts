import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client'
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isHomeLocked } from '../../src/main/home-lock.ts'
import { startBalancer, type Balancer } from '../fixtures/balancer.ts'
import { startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
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
const ABOUT = { name: 'real-client', version: '1' }
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

interface CallOptions {
  readonly onprogress?: () => void
}
interface RealClient {
  /** Has a stream of its own, and opens it again when it was cut. */
  readonly hasStream: boolean
  readonly call: (name: string, args: Json, options?: CallOptions) => Promise<unknown>
  /** How often it was told that the tools have changed. */
  readonly told: () => number
  close(): Promise<void>
}

const bearer = (): { requestInit: RequestInit } => ({
  requestInit: { headers: { authorization: `Bearer ${through.token}` } },
})
const ANSWER = { action: 'accept' as const, content: { username: 'ada', email: 'ada@example.com' } }

/** With sessions, its own stream, and questions that come on it. */
async function legacyClient(): Promise<RealClient> {
  const client = new Client1(ABOUT, { capabilities: { elicitation: {} } })
  let told = 0
  client.setRequestHandler(ElicitRequestSchema, () => ANSWER)
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void told++)
  await client.connect(new Http1(new URL(through.url), bearer()))
  return {
    hasStream: true,
    call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    told: () => told,
    close: () => client.close(),
  }
}

/** Without sessions; a question to it is parked at the daemon that has the call. */
async function modernClient(): Promise<RealClient> {
  const client = new Client2(ABOUT, {
    versionNegotiation: { mode: 'auto' },
    capabilities: { elicitation: {} },
  })
  client.setRequestHandler('elicitation/create', () => ANSWER)
  await client.connect(new Http2(new URL(through.url), bearer()))
  return {
    hasStream: false,
    call: (name, args, options) => client.callTool({ name, arguments: args }, options),
    told: () => 0,
    close: () => client.close(),
  }
}

interface Load {
  /** Calls that were answered well, by tool. */
  readonly answered: Map<string, number>
  readonly failed: string[]
  readonly total: () => number
  end(): Promise<void>
}

const MIX: readonly (readonly [name: string, args: Json])[] = [
  ['ref__test_simple_text', {}],
  ['one__slow', { ms: 120 }],
  ['ref__test_elicitation', { message: 'Who?' }],
  ['one__slow', { ms: 5, logs: ['error'] }],
]

/** Each client goes round the mix, one call after the other, until the load is ended. */
function startLoad(clients: readonly RealClient[], mix = MIX): Load {
  const answered = new Map<string, number>()
  const failed: string[] = []
  const over = new AbortController()
  const drive = async ({ call }: RealClient, from: number): Promise<void> => {
    for (let i = from; !over.signal.aborted; i++) {
      const [name, args] = mix[i % mix.length]!
      try {
        const result = JSON.stringify(await call(name, args))
        if (result.includes('"isError":true')) failed.push(`${name}: ${result}`)
        else answered.set(name, (answered.get(name) ?? 0) + 1)
      } catch (error) {
        failed.push(`${name}: ${String(error)}`)
      }
    }
  }
  const driving = clients.map(drive)
  return {
    answered,
    failed,
    total: () => [...answered.values()].reduce((sum, n) => sum + n, 0),
    async end() {
      over.abort()
      await Promise.all(driving)
    },
  }
}

async function connectAll(): Promise<RealClient[]> {
  const clients = await Promise.all([legacyClient(), legacyClient(), modernClient(), modernClient()])
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
  const clients = await connectAll()
  const load = startLoad(clients)
  const more = async (what: string): Promise<void> => {
    const before = load.total()
    await until(what, () => load.failed.length > 0 || load.total() > before + 40)
  }
  await more('some calls')
  for (const daemon of [fleet.a, fleet.b]) {
    const { origin } = daemon
    await daemon.stop()
    expect(balancer.ready()).not.toContain(origin)
    await more('calls while one is away')
    await restart(daemon)
    await until('it is back', () => balancer.ready().includes(origin))
    await more('calls at both')
  }
  await load.end()
  expect(load.failed).toEqual([])
  await hearOfChanges(clients)
  expect(balancer.broken.filter(({ what }) => what.startsWith('POST'))).toEqual([])
  for (const [name] of MIX) expect(load.answered.get(name)).toBeGreaterThan(10)
}, 120_000)

/** One call for each client, which is under way when this resolves. */
async function hold(clients: readonly RealClient[]): Promise<{ origin: string; outcome: Promise<string> }[]> {
  const outcomes = clients.map(({ call }, i) =>
    // Half of them with a stream, which the client would go on with elsewhere.
    call('one__slow', { ms: 8000, tag: `held-${i}` }, i % 4 < 2 ? { onprogress() {} } : {}).then(
      (result) => (JSON.stringify(result).includes('done') ? 'answered' : JSON.stringify(result)),
      (error: unknown) => `lost: ${String(error)}`,
    ),
  )
  const holding = (i: number): string | undefined =>
    [...balancer.carried].find(({ body }) => body.includes(`held-${i}"`))?.origin
  await until('all are on their way', () => clients.every((_, i) => holding(i) !== undefined))
  return outcomes.map((outcome, i) => ({ origin: holding(i) ?? '', outcome }))
}

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
  const holders = [...(await connectAll()), ...(await connectAll())]
  const others = await connectAll()
  const { victim, survivor, holder } = await byLeases()
  const broken = balancer.broken.length
  const held = await hold(holders)
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
