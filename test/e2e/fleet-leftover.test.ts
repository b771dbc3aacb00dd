import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  httpServer,
  modernCaller,
  openLegacy,
  project,
  until,
  type Access,
  type LegacyCaller,
} from './gateway-harness.ts'

/* What a daemon that is killed has open at servers, another one on its database ends; what others have stays. */

let fleet: Fleet
let upstream: Upstream
let atA: Access
let atB: Access

beforeAll(async () => {
  upstream = await startUpstream()
  fleet = await startFleet()
  await fleet.a.apply([httpServer('far', upstream.url), project('main', ['far'])])
  ;({ atA, atB } = await accessAtBoth(fleet, 'main'))
  await until('both know the token', async () => (await modernCaller(atB).ask('tools/list')).status === 200)
})
afterAll(async () => {
  await fleet?.end()
  await upstream?.close()
})

const echo = async (session: LegacyCaller): Promise<number> =>
  (await session.ask('tools/call', { name: 'far__echo', arguments: { message: 'hi' } })).status

const open = (access: Access, count: number): Promise<LegacyCaller[]> =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const session = await openLegacy(access)
      expect(await echo(session)).toBe(200)
      return session
    }),
  )

const noted = async (): Promise<readonly { readonly node: string }[]> =>
  (await fleet.postgres.query('fleet', 'select * from upstream_sessions')) as { readonly node: string }[]

test('the sessions of a killed daemon are ended by the other, which keeps its own', async () => {
  const own = await open(atB, 5)
  const ofB = upstream.sessionIds()
  await open(atA, 12)
  const ofA = upstream.sessionIds().filter((id) => !ofB.includes(id))
  expect(ofA.length).toBeGreaterThanOrEqual(12)
  await until('all are noted', async () => (await noted()).length === ofA.length + ofB.length)
  // Their ids are sealed: half a credential is no text in a database.
  const text = JSON.stringify(await noted())
  expect([...ofA, ...ofB].filter((id) => text.includes(id))).toEqual([])

  process.kill(fleet.a.pid, 'SIGKILL')
  await until(
    'the sessions of the killed one are ended',
    () => !upstream.sessionIds().some((id) => ofA.includes(id)),
    40_000,
  )
  expect(upstream.sessionIds()).toEqual(expect.arrayContaining([...ofB]))
  const initialized = upstream.count('initialize')
  for (const session of own) expect(await echo(session)).toBe(200)
  expect(upstream.count('initialize')).toBe(initialized)
  await until('they are forgotten', async () => (await noted()).length === ofB.length)

  // Who ends as it should leaves nothing to anybody.
  await fleet.b.stop()
  expect({ open: upstream.sessions(), noted: await noted() }).toEqual({ open: 0, noted: [] })
}, 120_000)
