import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBalancer, type Balancer } from '../fixtures/balancer.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { startFleet, type Fleet } from './fleet-harness.ts'
import {
  createToken,
  httpServer,
  modernCaller,
  openLegacy,
  project,
  stdioServer,
  until,
  type Access,
  type Answer,
  type Caller,
  type Json,
} from './gateway-harness.ts'
import { createCleanUp } from './system-harness.ts'

/*
 * An edge in front of two daemons on one PostgreSQL, all behind load balancers, under load: each of the three is
 * restarted. There is one edge, so for a moment nobody is there; nothing that it was sent is lost.
 */

const cleanUp = createCleanUp()
const ENV = { CASTELLAN_DRAIN_SECONDS: '1' }
let fleet: Fleet
let balancer: Balancer
let front: Balancer
let open: Upstream
let home: string
let edge: Daemon

beforeAll(async () => {
  open = await startUpstream({ name: 'open', style: 'modern' })
  cleanUp.later(() => open.close())
  fleet = await startFleet({ env: ENV })
  cleanUp.later(() => fleet.end())
  await fleet.a.apply([stdioServer('one'), httpServer('open', open.url), project('main', ['one', 'open'])])
  balancer = await startBalancer([fleet.a.origin, fleet.b.origin])
  cleanUp.later(() => balancer.close())
  home = await makeHome()
  cleanUp.later(() => removeHome(home))
  edge = await startTheEdge(0)
  cleanUp.later(() => edge.stop())
  front = await startBalancer([edge.origin])
  cleanUp.later(() => front.close())
})
afterAll(() => cleanUp.run())

const startTheEdge = (port: number): Promise<Daemon> =>
  startDaemon(home, port, {
    env: { CASTELLAN_ROLE: 'gateway', CASTELLAN_CONTROL_URL: balancer.origin, ...ENV },
  })

async function restartDaemon({ home, origin }: Daemon): Promise<void> {
  const { database, keyFile } = fleet
  const again = await startDaemon(home, Number(new URL(origin).port), { database, keyFile, env: ENV })
  cleanUp.later(() => again.stop())
  await until('it is back', () => balancer.ready().includes(origin))
}

const MIX: readonly (readonly [name: string, args: Json])[] = [
  ['one__slow', { ms: 60 }],
  ['open__echo', { text: 'hi' }],
  ['one__slow', { ms: 1 }],
]

interface Load {
  readonly answered: Map<string, number>
  readonly failed: string[]
  readonly total: () => number
  end(): Promise<void>
}

/** What the balancer could give to nobody, as its empty 503 says, is sent again. */
async function patiently(ask: () => Promise<Answer>): Promise<Answer> {
  for (let tries = 0; ; tries++) {
    const answer = await ask()
    if (answer.status !== 503 || answer.text !== '' || tries > 200) return answer
    await sleep(50)
  }
}

function startLoad(callers: readonly Caller[]): Load {
  const answered = new Map<string, number>()
  const failed: string[] = []
  const over = new AbortController()
  const drive = async (caller: Caller, from: number): Promise<void> => {
    for (let i = from; !over.signal.aborted; i++) {
      const [name, args] = MIX[i % MIX.length]!
      try {
        const { status, text, reply } = await patiently(() =>
          caller.ask('tools/call', { name, arguments: args }),
        )
        if (status !== 200 || !('result' in reply)) failed.push(`${name}: ${status} ${text}`)
        else answered.set(name, (answered.get(name) ?? 0) + 1)
      } catch (error) {
        failed.push(`${name}: ${String(error)}`)
      }
    }
  }
  const driving = callers.map(drive)
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

test('a restart of each under load: no call fails, and sessions go on', async () => {
  const access = async (name: string): Promise<Access> => ({
    url: `${front.origin}/projects/main/mcp`,
    token: await createToken(fleet.a, 'main', name),
  })
  const [first, second] = [await access('first'), await access('second')]
  await until('both are known', async () => (await modernCaller(second).ask('tools/list')).status === 200)
  const load = startLoad([
    await openLegacy(first),
    await openLegacy(second),
    modernCaller(first),
    modernCaller(second),
  ])
  const more = async (what: string): Promise<void> => {
    const before = load.total()
    await until(what, () => load.failed.length > 0 || load.total() > before + 40)
  }
  await more('some calls')
  for (const daemon of [fleet.a, fleet.b]) {
    await daemon.stop()
    await more('calls while one is away')
    await restartDaemon(daemon)
    await more('calls at both')
  }
  const { origin } = edge
  await edge.stop()
  edge = await startTheEdge(Number(new URL(origin).port))
  await until('the edge is back', () => front.ready().includes(origin))
  await more('calls at the edge that was restarted')
  await load.end()
  expect(load.failed).toEqual([])
  for (const [name] of MIX) expect(load.answered.get(name)).toBeGreaterThan(10)
}, 120_000)
