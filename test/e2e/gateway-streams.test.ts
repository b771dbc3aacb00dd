import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  createToken,
  endpoint,
  httpServer,
  modernCaller,
  namesIn,
  openLegacy,
  project,
  send,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Gate,
  type Running,
} from './gateway-harness.ts'

/** What a client hears unasked, and what becomes of calls whose client is gone. */

let gate: Gate
let upstream: Upstream
let ada: Access
let bob: Access

beforeAll(async () => {
  upstream = await startUpstream()
  gate = await startGate([
    stdioServer('shared'),
    stdioServer('per-principal', [], { instances: 'per-principal' }),
    stdioServer('per-session', [], { instances: 'per-session' }),
    httpServer('web', upstream.url),
    project('main', ['shared', 'per-principal', 'per-session', 'web']),
  ])
  ada = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'ada') }
  bob = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'bob') }
})

afterAll(async () => {
  await gate?.end()
  await upstream?.close()
})

const changes = (stream: Running) =>
  stream.messages.filter(({ method }) => method === 'notifications/tools/list_changed').length

test.each([
  ['shared', [true, true, true]],
  ['per-principal', [true, true, false]],
  ['per-session', [true, false, false]],
])('%s: who hears of a changed list is who shares the copy', async (server, hears) => {
  const clients = [await openLegacy(ada), await openLegacy(ada), await openLegacy(bob)]
  for (const client of clients) await client.ask('tools/list')
  const streams = await Promise.all(clients.map((client) => client.listen()))
  await clients[0]!.ask('tools/call', { name: `${server}__grow` })
  await until('list_changed', () => changes(streams[0]!) > 0)
  const grown = await Promise.all(
    clients.map(async (client) =>
      namesIn(await client.ask('tools/list')).some((name) => name.startsWith(`${server}__grown`)),
    ),
  )
  expect(grown).toEqual(hears)
  await until('all have heard that are to', () =>
    streams.every((stream, i) => changes(stream) > 0 || !hears[i]),
  )
  expect(streams.map((stream) => changes(stream) > 0)).toEqual(hears)
  for (const stream of streams) stream.hangUp()
})

test('a second stream of a session takes the place of the first', async () => {
  const client = await openLegacy(ada)
  const first = await client.listen()
  const second = await client.listen()
  expect((await first.answer).status).toBe(200)
  await client.ask('resources/subscribe', { uri: 'stdio://note' })
  await client.ask('tools/call', { name: 'shared__touch', arguments: { uri: 'stdio://note' } })
  await until('an update', () =>
    second.messages.some(({ method }) => method === 'notifications/resources/updated'),
  )
  second.hangUp()
})

test('updates of a resource go to who subscribed and to nobody else', async () => {
  const [wants, wantsNot] = [await openLegacy(ada), await openLegacy(bob)]
  const streams = [await wants.listen(), await wantsNot.listen()]
  await wants.ask('resources/subscribe', { uri: 'stdio://note' })
  await wantsNot.ask('tools/call', { name: 'shared__touch', arguments: { uri: 'stdio://note' } })
  const updates = (stream: Running) =>
    stream.messages
      .filter(({ method }) => method === 'notifications/resources/updated')
      .map((one) => one['params'])
  await until('an update', () => updates(streams[0]!).length > 0)
  expect(streams.map(updates)).toEqual([[{ uri: 'stdio://note' }], []])
  for (const stream of streams) stream.hangUp()
})

test('a subscription holds when its server is changed', async () => {
  await gate.daemon.apply([stdioServer('changing'), project('changing', ['changing'])])
  const client = await openLegacy(await gate.access('changing'))
  const stream = await client.listen()
  await client.ask('resources/subscribe', { uri: 'stdio://note' })
  await gate.daemon.apply([stdioServer('changing', ['--changed'])])
  await until('the new copy is subscribed to', async () => {
    const touched = await client.ask('tools/call', {
      name: 'changing__touch',
      arguments: { uri: 'stdio://note' },
    })
    return (toolJson(touched) as string[]).includes('stdio://note')
  })
  await until('an update', () =>
    stream.messages.some(({ method }) => method === 'notifications/resources/updated'),
  )
  expect(toolJson(await client.ask('tools/call', { name: 'changing__about' }))).toMatchObject({
    args: ['--changed'],
  })
  stream.hangUp()
})

test('a legacy client that hangs up has not cancelled: its call goes on', async () => {
  const client = await openLegacy(ada)
  const running = client.begin('tools/call', { name: 'shared__slow', arguments: { ms: 400, logs: ['info'] } })
  await running.opened
  running.hangUp()
  const heard = async () =>
    toolJson(await client.ask('tools/call', { name: 'shared__heard' })) as {
      method: string
      params?: unknown
    }[]
  await until('some time', async () => (await heard()).length > 0)
  expect((await heard()).filter(({ method }) => method === 'notifications/cancelled')).toEqual([])
})

test('cancelling what is not there, or what belongs to another session, does nothing', async () => {
  const [own, other] = [await openLegacy(ada), await openLegacy(ada)]
  const running = own.begin('tools/call', { name: 'shared__slow', arguments: { ms: 300 } }, 'same')
  for (const requestId of ['same', 'nothing', 0])
    expect((await other.notify('notifications/cancelled', { requestId })).status).toBe(202)
  expect(toolJson(await running.answer)).toBe('done')
})

test('a list that never comes delays only the first who asks, and hides no other server', async () => {
  await gate.daemon.apply([httpServer('mute', upstream.url), project('half', ['mute', 'shared'])])
  upstream.behave('hangs', { method: 'tools/list' })
  const client = await openLegacy(await gate.access('half'))
  expect(namesIn(await client.ask('tools/list'))).toContain('shared__about')
  const asked = upstream.count('tools/list')
  expect(namesIn(await client.ask('tools/list'))).toContain('shared__about')
  expect(upstream.count('tools/list')).toBe(asked)
  expect(await gate.status('mute')).toMatchObject({ phase: 'Degraded', message: 'it has not answered yet' })
  upstream.behaveWell()
})

test('large answers come whole from either kind of server', async () => {
  const client = await openLegacy(ada)
  const message = 'ä'.repeat(1_500_000)
  const { reply } = await client.ask('tools/call', { name: 'web__echo', arguments: { message } })
  expect(at(reply, 'result.content.0.text') === `Echo: ${message}`).toBe(true)
})

test('after a body that is too large the connection is closed, and the next one is fine', async () => {
  const client = await openLegacy(ada)
  const { status, headers } = await send(ada, { headers: client.headers, body: `"${'x'.repeat(5 << 20)}"` })
  expect({ status, connection: headers.connection }).toEqual({ status: 413, connection: 'close' })
  expect((await client.ask('ping')).status).toBe(200)
})

test('the stream of the local administrator ends with its project', async () => {
  await gate.daemon.apply([project('short', ['shared'])])
  const token = (await readFile(`${gate.daemon.home}/admin-credential`, 'utf8')).trim()
  const client = await openLegacy({ url: endpoint(gate.daemon, 'short'), token })
  const stream = await client.listen()
  await gate.daemon.call('DELETE', '/api/v1/projects/short')
  const { status, reply } = await client.ask('ping', undefined, 1)
  expect({ status, code: at(reply, 'error.data.code') }).toEqual({ status: 404, code: 'no_endpoint' })
  expect((await stream.answer).status).toBe(200)
})

test('a server that says it has changed whenever it is asked is not asked over and over', async () => {
  await gate.daemon.apply([stdioServer('restless', ['--restless']), project('restless', ['restless'])])
  const client = await openLegacy(await gate.access('restless'))
  const asked = async () => {
    const heard = toolJson(await client.ask('tools/call', { name: 'restless__heard' })) as {
      method: string
    }[]
    return heard.filter(({ method }) => method === 'tools/list').length
  }
  // Each of these takes a trip there and back; a loop would have gone round as often.
  for (let i = 0; i < 200; i += 1) await asked()
  expect(await asked()).toBeLessThan(10)
})

test.each(['legacy', 'modern'])(
  '%s: a call that is cancelled while its server still starts is never made',
  async (era) => {
    const name = `late-${era}`
    await gate.daemon.apply([stdioServer(name, ['--lists-late', '1500']), project(name, [name])])
    const access = await gate.access(name)
    const legacy = await openLegacy(access)
    const client = era === 'legacy' ? legacy : modernCaller(access)
    const running = client.begin('tools/call', { name: `${name}__slow`, arguments: {} }, 'early')
    // The call waits for the list of tools, which is asked for once the server has started.
    await until('the call is on its way', async () => (await gate.status(name))['phase'] === 'Ready')
    await sleep(200)
    if (era === 'legacy') await legacy.notify('notifications/cancelled', { requestId: 'early' })
    else running.hangUp()
    if (era === 'legacy') expect((await running.answer).messages).toEqual([])
    const heard = toolJson(await legacy.ask('tools/call', { name: `${name}__heard` })) as {
      params?: unknown
    }[]
    expect(heard.filter(({ params }) => at(params, 'name') === 'slow')).toEqual([])
  },
)
