import { hash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  createToken,
  endpoint,
  httpServer,
  namesIn,
  openLegacy,
  project,
  secret,
  send,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Gate,
  type Running,
} from './gateway-harness.ts'

let gate: Gate
let upstream: Upstream

const KEYED = { env: [{ name: 'API_KEY', valueFrom: { secretRef: { name: 'keys', key: 'stdio' } } }] }
const BEARER = {
  headers: [
    { name: 'Authorization', valueFrom: { secretRef: { name: 'keys', key: 'http' }, prefix: 'Bearer ' } },
  ],
}

beforeAll(async () => {
  upstream = await startUpstream()
  gate = await startGate([
    secret('keys', { http: 'one', stdio: 'first' }),
    httpServer('web', upstream.url, BEARER),
    stdioServer('keyed', [], KEYED),
    stdioServer('late'),
    project('grows', ['keyed']),
    project('secrets', ['web', 'keyed']),
    project('rules', ['keyed']),
    project('goes', ['keyed']),
    project('tokens', ['keyed']),
  ])
})

afterAll(async () => {
  await gate?.end()
  await upstream?.close()
})

const heard = (stream: Running, method: string): boolean =>
  stream.messages.some((message) => message['method'] === method)

const about = (names: readonly string[]) => ({ name: 'keyed__about', arguments: { names } })

test('a server added to a project is announced on the open stream and then listed and callable', async () => {
  const client = await openLegacy(await gate.access('grows'))
  const stream = await client.listen()
  expect(namesIn(await client.ask('tools/list'))).not.toContain('late__about')
  await gate.daemon.apply([project('grows', ['keyed', 'late'])])
  await until('list_changed', () => heard(stream, 'notifications/tools/list_changed'))
  expect(namesIn(await client.ask('tools/list'))).toContain('late__about')
  expect(toolJson(await client.ask('tools/call', { name: 'late__about' }))).toMatchObject({ args: [] })
  stream.hangUp()
})

test('a tool that is denied from now on is announced, no longer listed and no longer callable', async () => {
  const client = await openLegacy(await gate.access('rules'))
  const stream = await client.listen()
  expect(namesIn(await client.ask('tools/list'))).toContain('keyed__heard')
  await gate.daemon.apply([project('rules', ['keyed'], { tools: { deny: ['keyed__he*'] } })])
  expect(namesIn(await client.ask('tools/list'))).not.toContain('keyed__heard')
  const { status, reply } = await client.ask('tools/call', { name: 'keyed__heard' }, 'denied')
  expect({ status, reply }).toMatchObject({
    status: 200,
    reply: { id: 'denied', error: { code: -32602, data: { code: 'not_found' } } },
  })
  await until('list_changed', () => heard(stream, 'notifications/tools/list_changed'))
  stream.hangUp()
})

test('the new value of a secret is used by the next call, and a child that had the old one is started anew', async () => {
  const client = await openLegacy(await gate.access('secrets'))
  await client.ask('tools/call', { name: 'web__echo', arguments: { message: 'hi' } })
  expect(upstream.last('tools/call')?.headers.authorization).toBe('Bearer one')
  const before = toolJson(await client.ask('tools/call', about(['API_KEY'])))
  expect(at(before, 'digests.0')).toBe(hash('sha256', 'first'))
  await gate.daemon.apply([secret('keys', { http: 'two', stdio: 'second' })])
  await client.ask('tools/call', { name: 'web__echo', arguments: { message: 'hi' } })
  expect(upstream.last('tools/call')?.headers.authorization).toBe('Bearer two')
  const after = toolJson(await client.ask('tools/call', about(['API_KEY'])))
  expect(at(after, 'digests.0')).toBe(hash('sha256', 'second'))
  expect(at(after, 'instance')).not.toBe(at(before, 'instance'))
})

test('a call that runs while its server changes is answered by the copy that has it', async () => {
  const client = await openLegacy(await gate.access('secrets'))
  const before = toolJson(await client.ask('tools/call', about(['API_KEY'])))
  const slow = client.begin('tools/call', { name: 'keyed__slow', arguments: { ms: 1500 } })
  await until('the call has arrived', async () =>
    JSON.stringify(toolJson(await client.ask('tools/call', { name: 'keyed__heard' }))).includes('1500'),
  )
  await gate.daemon.apply([secret('keys', { http: 'two', stdio: 'third' })])
  const after = toolJson(await client.ask('tools/call', about(['API_KEY'])))
  expect(at(after, 'digests.0')).toBe(hash('sha256', 'third'))
  expect(at(after, 'instance')).not.toBe(at(before, 'instance'))
  expect(toolJson(await slow.answer)).toBe('done')
})

test('a revoked token: the next call is 401, and its open stream ends', async () => {
  const access = {
    url: endpoint(gate.daemon, 'tokens'),
    token: await createToken(gate.daemon, 'tokens', 'short'),
  }
  const client = await openLegacy(access)
  const stream = await client.listen()
  await gate.daemon.apply([
    { kind: 'Token', metadata: { name: 'short', project: 'tokens' }, spec: { revoked: true } },
  ])
  const { status } = await client.ask('tools/list')
  expect(status).toBe(401)
  expect((await stream.answer).status).toBe(200)
})

test('a deleted project: the next call is refused, and its open stream ends', async () => {
  const access = await gate.access('goes')
  const client = await openLegacy(access)
  const stream = await client.listen()
  await gate.daemon.call('DELETE', '/api/v1/tokens/harness?project=goes').catch(() => undefined)
  await gate.daemon.call('DELETE', '/api/v1/projects/goes')
  const { status, reply } = await send(access, {
    headers: client.headers,
    body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
  })
  expect({ status, code: at(reply, 'error.data.code') }).toEqual({ status: 401, code: 'unauthenticated' })
  expect((await stream.answer).status).toBe(200)
})
