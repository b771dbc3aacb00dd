import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  at,
  httpServer,
  modernCaller,
  openLegacy,
  project,
  startGate,
  until,
  type Gate,
} from './gateway-harness.ts'

/** Servers that hang up before they have answered, and want to be asked again (MCP 2025-11-25, polling). */

type Respond = (res: ServerResponse, id: unknown) => void

const SSE = { 'content-type': 'text/event-stream' }
const RESULT = (id: unknown): string =>
  `data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'late' }] } })}\n\n`
const PROGRESS = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"half"}}\n\n`

const state = {
  calls: 0,
  /** `Last-Event-ID` of each GET that resumes a call. */
  resumed: [] as string[],
  /** The same of those for what is said unasked. */
  feeds: [] as (string | undefined)[],
  call: undefined as Respond | undefined,
  resume: undefined as Respond | undefined,
  feed: undefined as ((res: ServerResponse) => void) | undefined,
  id: undefined as unknown,
  initialized: 0,
  /** What a GET is answered with, if not with a stream. */
  refusal: undefined as number | undefined,
}

let server: Server
let gate: Gate

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method === 'GET' && state.refusal !== undefined) return void res.writeHead(state.refusal).end()
  if (req.method === 'GET') {
    const last = req.headers['last-event-id'] as string | undefined
    if (last?.startsWith('call') === true) {
      state.resumed.push(last)
      return state.resume?.(res.writeHead(200, SSE), state.id)
    }
    state.feeds.push(last)
    res.writeHead(200, SSE).flushHeaders()
    return state.feed?.(res)
  }
  const body = JSON.parse(await readText(req)) as { id?: unknown; method: string }
  if (body.id === undefined) return void res.writeHead(202).end()
  const results: Record<string, object> = {
    initialize: {
      protocolVersion: '2025-11-25',
      capabilities: { tools: { listChanged: true }, logging: {} },
      serverInfo: { name: 'polled', version: '1' },
    },
    'tools/list': { tools: [{ name: 'slow', inputSchema: { type: 'object' } }] },
  }
  if (body.method === 'tools/call') {
    state.calls += 1
    state.id = body.id
    return state.call?.(res.writeHead(200, SSE), body.id)
  }
  if (body.method === 'initialize') state.initialized += 1
  const result = results[body.method]
  const message = result === undefined ? { error: { code: -32_601, message: 'no' } } : { result }
  res.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'one' })
  res.end(JSON.stringify({ jsonrpc: '2.0', id: body.id, ...message }))
}

beforeAll(async () => {
  server = createServer((req, res) => void serve(req, res).catch(() => res.destroy()))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
  gate = await startGate([httpServer('polled', url), project('main', ['polled'])])
})

beforeEach(() => {
  Object.assign(state, { calls: 0, resumed: [], call: undefined, resume: undefined, feed: undefined })
})

afterAll(async () => {
  await gate?.end()
  server?.closeAllConnections()
  server?.close()
})

const call = async (era: 'legacy' | 'modern') => {
  const access = await gate.access('main')
  const client = era === 'legacy' ? await openLegacy(access) : modernCaller(access)
  return client.ask('tools/call', { name: 'polled__slow', arguments: {} })
}

const hangUp =
  (head: string): Respond =>
  (res) =>
    void res.end(head)

test.each(['legacy', 'modern'] as const)(
  '%s: an answer that comes when it is asked for again is the answer',
  async (era) => {
    state.call = hangUp('id: call-1\nretry: 20\ndata: \n\n')
    state.resume = (res, id) =>
      void res.end(
        state.resumed.length < 3 ? `id: call-${state.resumed.length + 1}\n${PROGRESS}` : RESULT(id),
      )
    const { reply } = await call(era)
    expect(at(reply, 'result.content.0.text')).toBe('late')
    expect([state.calls, state.resumed]).toEqual([1, ['call-1', 'call-2', 'call-3']])
  },
)

test('a connection that breaks in the middle is resumed as well', async () => {
  state.call = (res) => {
    res.write('id: call-1\nretry: 20\ndata: \n\n')
    setTimeout(() => res.destroy(), 20)
  }
  state.resume = (res, id) => void res.end(RESULT(id))
  expect(at((await call('legacy')).reply, 'result.content.0.text')).toBe('late')
  expect(state.calls).toBe(1)
})

test.each<[string, Respond, Respond]>([
  ['without an id there is nowhere to go on', hangUp(PROGRESS), hangUp('')],
  ['one that refuses has none', hangUp('id: call-1\nretry: 10\ndata: \n\n'), (res) => void res.destroy()],
  [
    'one that never answers is given up',
    hangUp('id: call-1\nretry: 10\ndata: \n\n'),
    hangUp('id: call-1\ndata: \n\n'),
  ],
])('%s: the call is lost, and is not made again', async (_, first, then) => {
  state.call = first
  state.resume = then
  const { reply } = await call('legacy')
  expect([at(reply, 'error.code'), at(reply, 'error.data.code')]).toEqual([-32_603, 'upstream_unreachable'])
  expect(state.calls).toBe(1)
})

test('the stream for what is said unasked is polled as the server wants it, and nothing is taken for missed', async () => {
  const client = await openLegacy(await gate.access('main'))
  const stream = await client.listen()
  state.feeds.length = 0
  const serveFeed = (res: ServerResponse): void => {
    const n = state.feeds.length
    if (n === 3)
      res.write('id: feed-3\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n')
    if (n < 5) res.end(`id: feed-${n}\nretry: 20\ndata: \n\n`)
  }
  state.feed = serveFeed
  // The stream that is open from before has no way to be closed but by ending its connection.
  server.closeAllConnections()
  await until('it was polled', () => state.feeds.length >= 5)
  expect(state.feeds.slice(1, 5)).toEqual(['feed-1', 'feed-2', 'feed-3', 'feed-4'])
  const changes = () => stream.messages.filter(({ method }) => String(method).endsWith('list_changed')).length
  await until('the change is passed on', () => changes() > 0)
  // One after the break, one for what the server said; none for being polled.
  expect(changes()).toBeLessThanOrEqual(2)
  stream.hangUp()
})

test('a server that has no address for a GET is not taken for one that forgets its sessions', async () => {
  state.refusal = 404
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`
  await gate.daemon.apply([httpServer('lacks', url), project('lacks', ['lacks'])])
  const before = state.initialized
  const caller = modernCaller(await gate.access('lacks'))
  const { reply } = await caller.ask('server/discover')
  expect(at(reply, 'result.capabilities.tools')).toEqual({})
  // Each of these is a trip there and back; a loop would have gone round as often.
  for (let i = 0; i < 50; i += 1) await caller.ask('tools/call', { name: 'lacks__nothing', arguments: {} })
  expect(state.initialized - before).toBeLessThanOrEqual(2)
})
