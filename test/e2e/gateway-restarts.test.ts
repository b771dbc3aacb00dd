import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  httpServer,
  namesIn,
  openLegacy,
  project,
  send,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Gate,
  type LegacyCaller,
  type Running,
} from './gateway-harness.ts'

let gate: Gate
let upstream: Upstream

const NOTE = 'stdio://note'
const touch = (server: string) => ({ name: `${server}__touch`, arguments: { uri: NOTE } })

beforeAll(async () => {
  upstream = await startUpstream()
  gate = await startGate([
    stdioServer('shared'),
    stdioServer('own', [], { instances: 'per-session' }),
    httpServer('web', upstream.url),
    project('shared', ['shared', 'web']),
    project('own', ['own', 'web']),
  ])
})

afterAll(async () => {
  await gate?.end()
  await upstream?.close()
})

const heard = (stream: Running, method: string) =>
  stream.messages.filter((message) => message['method'] === method)

async function connect(name: string): Promise<{ client: LegacyCaller; stream: Running }> {
  const client = await openLegacy(await gate.access(name))
  const stream = await client.listen()
  return { client, stream }
}

describe.each(['shared', 'own'])('a session with a stdio server whose copies are %s', (name) => {
  test.each(['SIGTERM', 'SIGKILL'] as const)('goes on after %s of the daemon', async (how) => {
    const { client, stream } = await connect(name)
    expect((await client.ask('logging/setLevel', { level: 'error' })).status).toBe(200)
    expect((await client.ask('resources/subscribe', { uri: NOTE })).reply['result']).toEqual({})
    const before = toolJson(await client.ask('tools/call', { name: `${name}__about` }))
    const names = namesIn(await client.ask('tools/list'))

    await gate.restart(how)
    // Ended in good order, or cut. The client opens it again; that is all it does.
    const ended = await stream.answer.catch(() => 'cut')
    expect(typeof ended).toBe(how === 'SIGTERM' ? 'object' : 'string')
    const again = await client.listen()

    await until('list_changed', () => heard(again, 'notifications/tools/list_changed').length > 0)
    expect(namesIn(await client.ask('tools/list'))).toEqual(names)
    const after = toolJson(await client.ask('tools/call', { name: `${name}__about` }))
    expect(at(after, 'instance')).not.toBe(at(before, 'instance'))
    await until('subscribed again', async () => {
      const subscribed = toolJson(await client.ask('tools/call', touch(name)))
      return (subscribed as string[]).includes(NOTE)
    })
    await until('an update', () => heard(again, 'notifications/resources/updated').length > 0)
    expect(at(heard(again, 'notifications/resources/updated')[0], 'params')).toEqual({ uri: NOTE })
    // The level is the session's too.
    const { messages } = await client.ask('tools/call', {
      name: `${name}__slow`,
      arguments: { logs: ['info', 'error'] },
    })
    expect(
      messages
        .filter(({ method }) => method === 'notifications/message')
        .map((one) => at(one, 'params.level')),
    ).toEqual(['error'])
    again.hangUp()
  })
})

test('without a stream the session goes on as well, and an HTTP server behind it gets a session of its own', async () => {
  const client = await openLegacy(await gate.access('shared'))
  await gate.restart('SIGKILL')
  const before = upstream.count('initialize')
  const { reply } = await client.ask('tools/call', {
    name: 'web__echo',
    arguments: { message: 'still here' },
  })
  expect(at(reply, 'result.content.0.text')).toBe('Echo: still here')
  expect(upstream.count('initialize')).toBeGreaterThan(before)
})

test('a session that was ended stays ended after a restart', async () => {
  const { client, stream } = await connect('shared')
  await send(await gate.access('shared'), { method: 'DELETE', headers: client.headers })
  await stream.answer
  await gate.restart('SIGKILL')
  expect((await client.ask('ping')).status).toBe(404)
})

test('a cursor from before a restart is refused, not taken for another page', async () => {
  const client = await openLegacy(await gate.access('shared'))
  const { reply } = await client.ask(
    'tools/list',
    { cursor: Buffer.from('1:abc.1').toString('base64url') },
    1,
  )
  expect(at(reply, 'error.data.code')).toBe('invalid')
})

test('a stdio server that crashes is subscribed again, and the client hears of updates without doing anything', async () => {
  const { client, stream } = await connect('shared')
  await client.ask('resources/subscribe', { uri: NOTE })
  await client.ask('tools/call', { name: 'shared__die' })
  await client.ask('tools/call', { name: 'shared__about' })
  await until('subscribed again', async () => {
    const subscribed = toolJson(await client.ask('tools/call', touch('shared')))
    return (subscribed as string[]).includes(NOTE)
  })
  await until('an update', () => heard(stream, 'notifications/resources/updated').length > 0)
  await until('list_changed', () => heard(stream, 'notifications/tools/list_changed').length > 0)
  stream.hangUp()
})

test('one of two subscribers takes its word back: the other still hears', async () => {
  const first = await connect('shared')
  const second = await connect('shared')
  for (const { client } of [first, second]) await client.ask('resources/subscribe', { uri: NOTE })
  expect((await first.client.ask('resources/unsubscribe', { uri: NOTE })).reply['result']).toEqual({})
  const update = () => heard(second.stream, 'notifications/resources/updated').length
  await first.client.ask('tools/call', touch('shared'))
  await until('an update', () => update() > 0)
  expect(heard(first.stream, 'notifications/resources/updated')).toEqual([])
  for (const { stream } of [first, second]) stream.hangUp()
})
