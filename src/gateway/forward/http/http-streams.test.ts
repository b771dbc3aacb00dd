import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ScriptedHttp, type ScriptedExchange } from '../../../../test/fixtures/scripted-peers.ts'
import type { BootEpoch } from '../../../lib/id.ts'
import { NO_OFFER } from '../../../protocol/client-offer.ts'
import { ownMessage } from '../dial/handshake.ts'
import { postRequest } from './http-call.ts'
import { LegacyFeed } from './http-legacy-feed.ts'
import { LegacyHttp } from './http-legacy.ts'
import { tellServer } from './http-tell.ts'
import { ask, type Sink, type UpstreamFailure } from '../upstream.ts'
import { createWireIds } from '../wire-id.ts'

/* What servers leave open that they should have ended. */

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const STREAM = { 'content-type': 'text/event-stream' }

function serve(arrived: (request: ScriptedExchange) => void) {
  const http = new ScriptedHttp(arrived)
  const target = {
    origin: 'http://s.example',
    path: '/mcp',
    dispatcher: http,
    streams: http,
    connectTimeoutMs: 1000,
    injected: () => ({}),
  }
  return { http, target }
}

function call(target: ReturnType<typeof serve>['target']) {
  const heard: string[] = []
  const sink: Sink = {
    mayBeAsked: false,
    event: ({ method }) => void heard.push(method),
    asked() {},
    withdrawn() {},
    reply: () => void heard.push('reply'),
    failed: ({ kind }) => void heard.push(kind),
  }
  const { bytes } = ownMessage('{"jsonrpc":"2.0","id":"1","method":"tools/list"}')
  postRequest({ target, headers: {}, body: bytes, wireId: '"1"', timeoutMs: 1000, rules: {} }, sink)
  return heard
}

test('a stream that stays open after the answer is closed once the time of the call is over', async () => {
  const { http, target } = serve((request) => {
    request.begin(200, STREAM)
    request.say(Buffer.from('data: {"jsonrpc":"2.0","id":"1","result":{}}\n\n'))
  })
  const heard = call(target)
  await vi.advanceTimersByTimeAsync(999)
  expect({ heard, open: http.open.size }).toEqual({ heard: ['reply'], open: 1 })
  await vi.advanceTimersByTimeAsync(2)
  expect({ heard, open: http.open.size }).toEqual({ heard: ['reply'], open: 0 })
})

test('so is a refusal whose body never ends', async () => {
  const { http, target } = serve((request) => request.begin(503, {}))
  const heard = call(target)
  await vi.advanceTimersByTimeAsync(1001)
  expect({ heard, open: http.open.size, timers: vi.getTimerCount() }).toEqual({
    heard: ['unreachable'],
    open: 0,
    timers: 0,
  })
})

test('a server that never takes a notification holds no connection for it', async () => {
  const { http, target } = serve(() => {})
  const told: (number | UpstreamFailure)[] = []
  tellServer(target, { path: '/mcp', headers: {}, body: '{}' }, (outcome) => told.push(outcome))
  await vi.advanceTimersByTimeAsync(30_001)
  expect(told).toMatchObject([{ kind: 'timeout' }])
  expect(http.open.size).toBe(0)
})

function feed(arrived: (request: ScriptedExchange) => void) {
  const { http, target } = serve(arrived)
  const heard: string[] = []
  const one = new LegacyFeed({
    target,
    tickMs: () => Date.now(),
    headers: () => ({}),
    message: ({ method }) => void heard.push(method),
    offered: (offered) => void heard.push(offered ? 'offered' : 'not offered'),
    reopened: () => void heard.push('reopened'),
    sessionLost() {},
  })
  return { one, http, heard }
}

test('a feed that was stopped while it waited to connect again comes back after every break that follows', async () => {
  let made = 0
  const { one } = feed((request) => {
    made++
    request.begin(200, STREAM)
    request.fail()
  })
  one.start()
  await vi.advanceTimersByTimeAsync(10)
  one.stop()
  one.start()
  await vi.advanceTimersByTimeAsync(10)
  expect(made).toBe(2)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(made).toBeGreaterThan(2)
})

test.each([405, 503])('a refusal (%i) of the feed is not read to its end', async (status) => {
  const { one, http, heard } = feed((request) => request.begin(status, {}))
  one.start()
  await vi.advanceTimersByTimeAsync(20 * 60_000)
  expect(http.open.size).toBe(0)
  expect(heard.includes('not offered')).toBe(status === 405)
  one.stop()
  expect(vi.getTimerCount()).toBe(0)
})

test('a session that is opened anew while its connection is closed is ended, and nothing of it stays open', async () => {
  const seen: string[] = []
  let lost = false
  const { http, target } = serve((request) => {
    const { id, method } = (request.body === '' ? {} : JSON.parse(request.body)) as Record<string, unknown>
    seen.push(typeof method === 'string' ? method : request.method)
    if (method === 'initialize') {
      const result = { protocolVersion: '2025-06-18', capabilities: { tools: { listChanged: true } } }
      setTimeout(() => {
        request.begin(200, { 'content-type': 'application/json', 'mcp-session-id': 's' })
        request.say(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, result })))
        request.end()
      }, 10)
    } else if (request.method === 'GET') request.begin(200, STREAM)
    else {
      request.begin(lost && method === 'tools/list' ? 404 : 202, {})
      request.end()
    }
  })
  const upstream = new LegacyHttp({
    target,
    us: { name: 'castellan', version: '0' },
    ids: createWireIds('e' as BootEpoch),
    events: { changed() {}, notified() {}, asked() {}, withdrawn() {}, lost() {} },
    tickMs: () => Date.now(),
    offer: NO_OFFER,
    oneClient: true,
    listen: true,
  })
  void upstream.open()
  await vi.advanceTimersByTimeAsync(50)
  lost = true
  const message = ownMessage('{"jsonrpc":"2.0","id":"1","method":"tools/list"}')
  void ask(upstream, { method: 'tools/list', message, edits: [], timeoutMs: 1000 })
  await vi.advanceTimersByTimeAsync(5)
  void upstream.close()
  await vi.advanceTimersByTimeAsync(5000)
  expect(seen.slice(seen.lastIndexOf('initialize'))).toEqual(['initialize', 'DELETE'])
  expect({ open: http.open.size, timers: vi.getTimerCount() }).toEqual({ open: 0, timers: 0 })
})
