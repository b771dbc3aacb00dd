import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  httpServer,
  jsonRpc,
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
} from './gateway-harness.ts'

/** Clients that keep no session, that open one for each call, or that say strange things about theirs. */

let gate: Gate
let upstream: Upstream
let modern: Upstream

beforeAll(async () => {
  upstream = await startUpstream()
  modern = await startUpstream({ style: 'modern' })
  const servers = ['own', 'web', 'modern']
  gate = await startGate([
    stdioServer('own', [], { instances: 'per-principal' }),
    httpServer('web', upstream.url),
    httpServer('modern', modern.url),
    project('loose', servers, { sessions: 'optional' }),
    project('strict', servers),
  ])
})

afterAll(async () => {
  await gate?.end()
  await upstream?.close()
  await modern?.close()
})

const alone = (access: Access, method: string, params: object = {}, headers = {}) =>
  send(access, { body: jsonRpc(1, method, params), headers })
const call = (name: string, args: object = {}) => ({ name, arguments: args })

test('where sessions are optional, a request without one is served, whatever its server speaks', async () => {
  const access = await gate.access('loose')
  expect(namesIn(await alone(access, 'tools/list')).length).toBeGreaterThan(3)
  for (const server of ['web', 'modern']) {
    const { reply } = await alone(access, 'tools/call', call(`${server}__echo`, { message: 'hi' }))
    expect(at(reply, 'result.content.0.text')).toBe('Echo: hi')
  }
  // A copy of a server is the principal's, whether it keeps a session or not.
  const instance = async (): Promise<unknown> =>
    at(toolJson(await alone(access, 'tools/call', call('own__about'))), 'instance')
  expect(await instance()).toBe(await instance())
  const session = await openLegacy(access)
  expect(at(toolJson(await session.ask('tools/call', call('own__about'))), 'instance')).toBe(await instance())
})

test('what is about a session needs one there too, and in other projects everything does', async () => {
  const [loose, strict] = [await gate.access('loose'), await gate.access('strict')]
  for (const method of ['logging/setLevel', 'resources/subscribe'])
    expect((await alone(loose, method, { level: 'info', uri: 'stdio://note' })).status).toBe(400)
  expect((await alone(strict, 'tools/list')).status).toBe(400)
  expect((await alone(loose, 'tools/list', {}, { 'mcp-protocol-version': 'latest' })).status).toBe(400)
  for (const method of ['GET', 'DELETE'])
    expect((await send(loose, { method, headers: { accept: 'text/event-stream' } })).status).toBe(400)
})

test('a client that opens a session for every call leaves a bounded number of sessions at its servers', async () => {
  const access = await gate.access('strict')
  const open = upstream.sessions()
  for (let i = 0; i < 90; i++) {
    const client = await openLegacy(access)
    const { reply } = await client.ask('tools/call', call('web__echo', { message: String(i) }))
    expect(at(reply, 'result.content.0.text')).toBe(`Echo: ${i}`)
  }
  await until('those left behind are ended', () => upstream.sessions() - open <= 70)
})

test('DELETE ends what servers hold for the session, too', async () => {
  const access = await gate.access('strict')
  const client = await openLegacy(access)
  await client.ask('tools/call', call('web__echo', { message: 'hi' }))
  const open = upstream.sessions()
  await send(access, { method: 'DELETE', headers: client.headers })
  await until('the server has one less', () => upstream.sessions() < open)
})

test('strange session ids are unknown ones, and modern requests have none', async () => {
  const access = await gate.access('strict')
  const client = await openLegacy(access)
  const ask = (id: string) => alone(access, 'ping', {}, { 'mcp-session-id': id })
  expect((await ask(client.session)).status).toBe(200)
  for (const id of [`${client.session}, ${client.session}`, 'é'.repeat(32), '..', 'x'.repeat(4000)])
    expect({ id, status: (await ask(id)).status }).toEqual({ id, status: 404 })
  const other = await openLegacy(await gate.access('loose'))
  expect((await ask(other.session)).status).toBe(404)
  expect((await modernCaller(access).ask('tools/list')).status).toBe(200)
  for (const method of ['GET', 'DELETE']) {
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-session-id': client.session }
    const { status, headers: given } = await send(access, { method, headers })
    expect([status, given.allow]).toEqual([405, 'POST'])
  }
})
