import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  endpoint,
  httpServer,
  modernCaller,
  namesIn,
  openLegacy,
  project,
  secret,
  until,
  type Access,
  type Json,
} from './gateway-harness.ts'

/* What is configured at one daemon is so at the other, whatever becomes of the connection to the database. */

let fleet: Fleet
let upstream: Upstream

beforeAll(async () => {
  upstream = await startUpstream({ style: 'modern' })
  fleet = await startFleet()
  await fleet.a.apply([httpServer('up', upstream.url), project('demo', ['up'])])
})
afterAll(async () => {
  await fleet?.end()
  await upstream?.close()
})

const statusOf = async (access: Access): Promise<number> =>
  (await modernCaller(access).ask('tools/list')).status

test('a token made at one daemon is good at the other, and revoked there when it is revoked here', async () => {
  const { atA, atB } = await accessAtBoth(fleet, 'demo')
  await until('the token is known at the other', async () => (await statusOf(atB)) === 200)
  expect(await statusOf(atA)).toBe(200)
  const stream = await (await openLegacy(atB)).listen()
  await fleet.a.call('DELETE', '/api/v1/tokens/both?project=demo')
  expect(await statusOf(atA)).toBe(401)
  await until('it is refused at the other', async () => (await statusOf(atB)) === 401)
  // The stream that was open there is cut as well.
  await stream.answer.catch(() => 'cut')
})

test('servers, projects and the values of secrets follow, and clients of the other daemon hear of it', async () => {
  const { a, b } = fleet
  const { atB } = await accessAtBoth(fleet, 'demo', 'listener')
  await until('the token is known at the other', async () => (await statusOf(atB)) === 200)
  const stream = await (await openLegacy(atB)).listen()
  const headers = [{ name: 'Authorization', valueFrom: { secretRef: { name: 'keys', key: 'k' } } }]
  await a.apply([
    secret('keys', { k: 'first-value' }),
    httpServer('second', upstream.url, { headers }),
    project('demo', ['up', 'second']),
  ])
  const callAtB = async (): Promise<unknown> => {
    await modernCaller(atB).ask('tools/call', { name: 'second__echo', arguments: { message: 'x' } })
    return upstream.last('tools/call')?.headers['authorization']
  }
  await until('the list has it', async () =>
    namesIn(await modernCaller(atB).ask('tools/list')).includes('second__echo'),
  )
  await until('the client was told', () =>
    stream.messages.some(({ method }) => method === 'notifications/tools/list_changed'),
  )
  expect(await callAtB()).toBe('first-value')
  await a.apply([secret('keys', { k: 'second-value' })])
  await until('the other value is used', async () => (await callAtB()) === 'second-value')
  stream.hangUp()
  // From the other side too, and removed again.
  await b.apply([project('demo', ['up'])])
  await b.call('DELETE', '/api/v1/servers/second')
  await until('it is gone', async () => {
    const { items } = (await a.call('GET', '/api/v1/servers')) as { items: { metadata: Json }[] }
    return items.map(({ metadata }) => metadata['name']).join() === 'up'
  })
})

const labelled = (n: number): Json => ({
  ...httpServer('labelled', upstream.url),
  metadata: { name: 'labelled', labels: { n: String(n) } },
})

test('both change things at the same time: each sees its own at once, and both end up with the same', async () => {
  const { a, b } = fleet
  const write = async (daemon: Fleet['a'], name: string): Promise<void> => {
    for (let i = 0; i < 15; i++) {
      await daemon.apply([httpServer(`${name}-${i}`, upstream.url)])
      // Own writes are there before the answer has left.
      await daemon.call('GET', `/api/v1/servers/${name}-${i}`)
      if (i % 3 === 0) await daemon.call('DELETE', `/api/v1/servers/${name}-${i}`)
    }
  }
  await Promise.all([write(a, 'a'), write(b, 'b')])
  const all = async (daemon: Fleet['a']): Promise<string> => {
    const { items } = (await daemon.call('GET', '/api/v1/servers')) as { items: { metadata: Json }[] }
    return JSON.stringify(items.map(({ metadata }) => [metadata['name'], metadata['uid']]))
  }
  await until('both show the same', async () => (await all(a)) === (await all(b)))
  expect(JSON.parse(await all(a))).toHaveLength(21)
})

/** Undefined: it is not there yet. */
async function labelAt(daemon: Fleet['a']): Promise<unknown> {
  const { items } = (await daemon.call('GET', '/api/v1/servers')) as { items: { metadata: Json }[] }
  const labels = items.find(({ metadata }) => metadata['name'] === 'labelled')?.metadata['labels']
  return (labels as Json | undefined)?.['n']
}

test('the database is restarted: nobody has to be, and no change is lost', async () => {
  const { a, b, postgres } = fleet
  await a.apply([labelled(1)])
  await postgres.restart()
  await until('changes are taken again', () =>
    a.apply([labelled(2)]).then(
      () => true,
      () => false,
    ),
  )
  await until('the other has it', async () => (await labelAt(b)) === '2')
})

test('connections that the database cuts are opened again, and what was said meanwhile is caught up with', async () => {
  const { a, b, postgres } = fleet
  const cut = (): Promise<unknown> =>
    postgres.query(
      'fleet',
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'castellan-listen'`,
    )
  for (let n = 3; n < 8; n++) {
    const cutting = cut()
    await a.apply([labelled(n)])
    await cutting
  }
  await until('the other has it', async () => (await labelAt(b)) === '7')
})

test('a daemon that comes later has everything', async () => {
  const c = await fleet.another()
  const { atA } = await accessAtBoth(fleet, 'demo', 'late')
  const access = { ...atA, url: endpoint(c, 'demo') }
  await until('the token is known', async () => (await statusOf(access)) === 200)
  await c.stop()
})
