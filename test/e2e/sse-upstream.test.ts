import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startSseServer, type SseServer } from '../fixtures/sse-server.ts'
import {
  at,
  httpServer,
  modernCaller,
  namesIn,
  openLegacy,
  project,
  secret,
  send,
  startGate,
  until,
  type Gate,
  type Json,
} from './gateway-harness.ts'

let upstream: SseServer
let foreign: SseServer
let page: Server
let gate: Gate

const sse = (name: string, url: string, more: Json = {}): Json => ({
  kind: 'Server',
  metadata: { name },
  spec: { transport: 'sse', url, ...more },
})

const header = (name: string, key: string): Json => ({
  headers: [{ name, valueFrom: { secretRef: { name: 'key', key } } }],
})

beforeAll(async () => {
  upstream = await startSseServer()
  foreign = await startSseServer()
  foreign.nameEndpoint('http://127.0.0.2:9/messages?sessionId=1')
  page = createServer((_, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<p>hi</p>'))
  await new Promise<void>((resolve) => {
    page.listen(0, '127.0.0.1', resolve)
  })
  const pageUrl = `http://127.0.0.1:${(page.address() as AddressInfo).port}/sse`
  gate = await startGate([
    secret('key', { value: 'sesame-key' }),
    sse('named', upstream.url, header('X-Api-Key', 'value')),
    httpServer('found', upstream.url),
    sse('foreign', foreign.url, header('X-Api-Key', 'value')),
    sse('page', pageUrl),
    project('p', ['named', 'found']),
    project('bad', ['foreign', 'page']),
  ])
})

afterAll(async () => {
  await gate?.end()
  page?.close()
  await Promise.all([upstream, foreign].map((server) => server?.close()))
})

const text = (answer: { reply: Json }): unknown => at(answer.reply, 'result.content.0.text')

describe.each(['named', 'found'])('%s', (name) => {
  test('tools of both eras of clients, with their credential on every request', async () => {
    const call = { name: `${name}__echo`, arguments: { message: 'hello' } }
    const legacy = await openLegacy(await gate.access('p'))
    expect(namesIn(await legacy.ask('tools/list'))).toContain(`${name}__echo`)
    expect(text(await legacy.ask('tools/call', call))).toBe('Echo: hello')
    expect(text(await modernCaller(await gate.access('p')).ask('tools/call', call))).toBe('Echo: hello')
    if (name === 'found') return
    const mine = upstream.seen.filter(({ headers }) => headers['x-api-key'] === 'sesame-key')
    expect(new Set(mine.map(({ line }) => line))).toEqual(new Set(['GET /sse', 'POST /messages']))
  })

  test('progress comes under the token of the client', async () => {
    const legacy = await openLegacy(await gate.access('p'))
    const { messages } = await legacy.ask('tools/call', {
      name: `${name}__steps`,
      _meta: { progressToken: 'mine' },
    })
    const steps = messages.filter(({ method }) => method === 'notifications/progress')
    expect(steps.map(({ params }) => [at(params, 'progressToken'), at(params, 'progress')])).toEqual([
      ['mine', 1],
      ['mine', 2],
    ])
  })

  test('a cancel reaches the server', async () => {
    const before = upstream.waits.length
    const legacy = await openLegacy(await gate.access('p'))
    const running = legacy.begin('tools/call', { name: `${name}__wait` }, 'w')
    await until('the call is under way', () => upstream.waits.length > before)
    await legacy.notify('notifications/cancelled', { requestId: 'w' })
    await until('it was stopped', () => upstream.waits[before + 1] === 'stopped')
    running.hangUp()
  })

  test('a change of its list reaches the clients', async () => {
    const legacy = await openLegacy(await gate.access('p'))
    await legacy.ask('tools/list')
    const stream = await legacy.listen()
    await legacy.ask('tools/call', { name: `${name}__grow`, arguments: { name: `grown_${name}` } })
    await until('list_changed', () =>
      stream.messages.some(({ method }) => method === 'notifications/tools/list_changed'),
    )
    expect(namesIn(await legacy.ask('tools/list'))).toContain(`${name}__grown_${name}`)
    stream.hangUp()
  })

  test('a stream that ends takes its calls with it, and the next call opens another', async () => {
    const legacy = await openLegacy(await gate.access('p'))
    const answer = await legacy.ask('tools/call', { name: `${name}__die` }, 'd')
    expect(at(answer.reply, 'error.data.code')).toBe('upstream_unreachable')
    expect(at(answer.reply, 'error.message')).toMatch(/closed/)
    const again = await legacy.ask('tools/call', { name: `${name}__echo`, arguments: { message: 'back' } })
    expect(text(again)).toBe('Echo: back')
  })
})

test('the end of a session ends its stream', async () => {
  const access = await gate.access('p')
  const legacy = await openLegacy(access)
  await legacy.ask('tools/call', { name: 'named__echo', arguments: { message: 'x' } })
  const open = upstream.streams()
  await send(access, { method: 'DELETE', headers: legacy.headers })
  await until('one stream less', () => upstream.streams() < open)
})

test('status says what was found, and why', async () => {
  expect(await gate.status('named')).toMatchObject({
    phase: 'Ready',
    era: 'legacy',
    detection: expect.stringMatching(
      /^20\d\d-\d\d-\d\d by initialize over HTTP\+SSE: spec\.transport is sse$/,
    ) as unknown,
  })
  expect(await gate.status('found')).toMatchObject({
    detection: expect.stringMatching(
      /by initialize over HTTP\+SSE: a posted initialize was answered with HTTP status 405$/,
    ) as unknown,
    detectedAt: expect.stringMatching(/^20\d\d-.*Z$/) as unknown,
  })
})

describe('a server that must not be used', () => {
  test.each([
    ['foreign', /endpoint event does not name an address of its own origin/],
    ['page', /not an event stream|not an MCP message/],
  ])('%s', async (name, says) => {
    const legacy = await openLegacy(await gate.access('bad'))
    const answer = await legacy.ask('tools/call', { name: `${name}__echo` })
    expect(at(answer.reply, 'error.message')).toMatch(says)
    expect(await gate.status(name)).toMatchObject({
      phase: 'Failed',
      message: expect.stringMatching(says) as unknown,
    })
    expect(foreign.seen.every(({ line }) => line === 'GET /sse')).toBe(true)
  })
})
