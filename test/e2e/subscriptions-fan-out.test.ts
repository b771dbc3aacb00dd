import { request as httpRequest, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  createToken,
  endpoint,
  httpServer,
  jsonRpc,
  modernCaller,
  modernHeaders,
  modernMeta,
  openLegacy,
  project,
  startGate,
  until,
  type Access,
  type Gate,
  type Running,
} from './gateway-harness.ts'

/** Many listeners, few streams; and what becomes of listeners when something breaks. */

let gate: Gate
let old: Upstream
let young: Upstream
let ada: Access
let bob: Access

beforeAll(async () => {
  old = await startUpstream()
  young = await startUpstream({ style: 'modern' })
  gate = await startGate([
    httpServer('old', old.url),
    httpServer('young', young.url),
    project('main', ['old', 'young']),
  ])
  ada = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'ada') }
  bob = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'bob') }
})

afterAll(async () => {
  await gate?.end()
  await Promise.all([old?.close(), young?.close()])
})

const UPDATED = 'notifications/resources/updated'
const CHANGED = 'notifications/tools/list_changed'
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged'

const count = ({ messages }: Running, method: string): number =>
  messages.filter((message) => message['method'] === method).length

async function listen(access: Access, notifications: object): Promise<Running> {
  const running = modernCaller(access).begin('subscriptions/listen', { notifications })
  await until('acknowledged', () => count(running, ACKNOWLEDGED) > 0)
  return running
}

test('two hundred clients of both eras hear of one change over one stream of each server', async () => {
  const uri = 'fixture://shared'
  const filter = { toolsListChanged: true, resourceSubscriptions: [uri] }
  const modern = await Promise.all(
    Array.from({ length: 100 }, (_, i) => listen(i % 2 === 0 ? ada : bob, filter)),
  )
  const legacy = await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const client = await openLegacy(i % 2 === 0 ? ada : bob)
      const stream = await client.listen()
      await client.ask('resources/subscribe', { uri })
      return stream
    }),
  )
  const everybody = [...modern, ...legacy]
  expect([old.listeners(), young.listeners()]).toEqual([1, 1])
  expect(old.seen.filter(({ body }) => body.includes(`"uri":"${uri}"`)).length).toBeLessThanOrEqual(1)
  for (const upstream of [old, young]) {
    upstream.notify(CHANGED)
    upstream.notify(UPDATED, { uri })
  }
  await until('all have heard', () =>
    everybody.every((one) => count(one, CHANGED) > 0 && count(one, UPDATED) > 0),
  )
  for (const one of everybody) one.hangUp()
})

test('a thousand resources are one listen with a modern server, and a thousand subscriptions with a legacy one', async () => {
  const uris = (server: string) => Array.from({ length: 1000 }, (_, i) => `fixture://${server}/${i}`)
  const only = (server: string): Access => ({ ...ada, url: endpoint(gate.daemon, 'main', server) })
  const before = {
    subscribed: old.count('resources/subscribe'),
    listened: young.count('subscriptions/listen'),
  }
  const listening = await Promise.all([
    listen(only('old'), { resourceSubscriptions: uris('old') }),
    listen(only('young'), { resourceSubscriptions: uris('young') }),
  ])
  expect(
    listening.map(
      ({ messages }) => (at(messages[0], 'params.notifications.resourceSubscriptions') as []).length,
    ),
  ).toEqual([1000, 1000])
  expect(old.count('resources/subscribe') - before.subscribed).toBe(1000)
  expect(young.count('subscriptions/listen') - before.listened).toBeLessThanOrEqual(2)
  for (const uri of uris('old')) old.notify(UPDATED, { uri })
  for (const uri of uris('young')) young.notify(UPDATED, { uri })
  await until('each is heard of', () => listening.every((one) => count(one, UPDATED) === 1000))
  for (const one of listening) one.hangUp()
  await until('each is given back', () => old.count('resources/unsubscribe') >= 1000)
  await until('the stream of the modern server is there for the lists only', () => {
    const { notifications } = young.last('subscriptions/listen')?.message.params ?? {}
    return at(notifications, 'resourceSubscriptions') === undefined && young.listeners() === 1
  })
})

test.each(['old', 'young'])(
  'a stream of %s that breaks is there again, and what may have been missed is told',
  async (name) => {
    const upstream = name === 'old' ? old : young
    const uri = `fixture://broken/${name}`
    const url = endpoint(gate.daemon, 'main', name)
    const modern = await listen({ ...ada, url }, { toolsListChanged: true, resourceSubscriptions: [uri] })
    const client = await openLegacy({ ...bob, url })
    const stream = await client.listen()
    await client.ask('resources/subscribe', { uri })
    // As after a restart: the sessions are forgotten, too.
    upstream.loseSessions()
    upstream.cutStreams()
    await until('both are told', () =>
      [modern, stream].every((one) => count(one, CHANGED) > 0 && count(one, UPDATED) > 0),
    )
    const heard = count(modern, UPDATED)
    upstream.notify(UPDATED, { uri })
    await until('new changes come', () => count(modern, UPDATED) > heard)
    if (name === 'old') expect(upstream.last('resources/subscribe')?.body).toContain(uri)
    modern.hangUp()
    stream.hangUp()
  },
)

test('a server that is away when a client listens is heard of once it is there', async () => {
  const first = await startUpstream()
  const port = Number(new URL(first.url).port)
  await first.close()
  await gate.daemon.apply([httpServer('late', first.url), project('late', ['late'])])
  const running = await listen(await gate.access('late'), { toolsListChanged: true })
  expect(at(running.messages[0], 'params.notifications')).toEqual({ toolsListChanged: true })
  const late = await startUpstream({ port })
  await until('it is there', () => count(running, CHANGED) > 0)
  running.hangUp()
  await late.close()
})

test('a token that is revoked takes its listens with it, as they should end', async () => {
  const token = await createToken(gate.daemon, 'main', 'gone')
  const running = await listen({ ...ada, token }, { toolsListChanged: true })
  const others = await listen(ada, { toolsListChanged: true })
  await gate.daemon.call('DELETE', '/api/v1/tokens/gone?project=main')
  const { reply } = await running.answer
  expect(at(reply, 'result.resultType')).toBe('complete')
  expect(others.messages).toHaveLength(1)
  others.hangUp()
})

test('a server that leaves the project ends the listens that hear of its resources, and no others', async () => {
  await gate.daemon.apply([project('shrinks', ['old', 'young'])])
  const access = await gate.access('shrinks')
  const ends = await listen(
    { ...access, url: endpoint(gate.daemon, 'shrinks', 'young') },
    { toolsListChanged: true },
  )
  const stays = await listen(access, { toolsListChanged: true })
  await gate.daemon.apply([project('shrinks', ['old'])])
  expect(at((await ends.answer).reply, 'result.resultType')).toBe('complete')
  await until('the others hear of it', () => count(stays, CHANGED) > 0)
  stays.hangUp()
})

test('a client that does not read is told each change once when it does, and holds up nobody', async () => {
  const uris = Array.from({ length: 500 }, (_, i) => `fixture://slow/${i}/${'x'.repeat(500)}`)
  const url = endpoint(gate.daemon, 'main', 'young')
  const slow = await listenPaused({ ...ada, url }, uris)
  const quick = await listen({ ...ada, url }, { resourceSubscriptions: uris })
  for (let round = 0; round < 20; round += 1) {
    for (const uri of uris) young.notify(UPDATED, { uri })
    await until('the quick one has heard', () => count(quick, UPDATED) >= (round + 1) * uris.length)
  }
  const said = await slow.read(uris.length)
  // Far less than the ten thousand changes: what fits into buffers on the way, and the last state of each.
  expect(said).toBeLessThan(10_000)
  quick.hangUp()
})

/** A listen whose client reads its acknowledgement, then nothing until it is told to. */
async function listenPaused(access: Access, uris: readonly string[]) {
  const params = { notifications: { resourceSubscriptions: uris }, _meta: modernMeta() }
  const opened = Promise.withResolvers<IncomingMessage>()
  const request = httpRequest(
    access.url,
    {
      method: 'POST',
      agent: false,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${access.token}`,
        ...modernHeaders('subscriptions/listen'),
      },
    },
    opened.resolve,
  )
  request.end(jsonRpc(1, 'subscriptions/listen', params))
  const response = await opened.promise
  let updates = 0
  let latest = new Set<string>()
  response.setEncoding('utf8')
  let rest = ''
  response.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const uri = /"uri":"([^"]+)"/.exec(line)?.[1]
      if (line.includes(UPDATED) && uri !== undefined) {
        updates += 1
        latest.add(uri)
      }
    }
  })
  await until('acknowledged', () => rest !== '' || response.readableFlowing === true)
  response.pause()
  return {
    async read(all: number): Promise<number> {
      latest = new Set()
      response.resume()
      await until('each is told', () => latest.size === all)
      request.destroy()
      return updates
    },
  }
}
