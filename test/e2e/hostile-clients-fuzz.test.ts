import { dirname } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { damaged, fuzzWire, FUZZ_TIMEOUT_MS, jsonText } from '../fixtures/fuzz.ts'
import {
  at,
  commandServer,
  jsonRpc,
  modernHeaders,
  modernMeta,
  openLegacy,
  project,
  send,
  startGate,
  until,
  type Access,
  type Gate,
  type Json,
  type LegacyCaller,
} from './gateway-harness.ts'

/**
 * Headers of any kind on requests of either era, streams resumed from anywhere, and whatever may be posted to a client's
 * address of HTTP+SSE: each is answered, and the daemon goes on with the sessions that it had.
 */

const PLAY = new URL('../fixtures/stdio-play.js', import.meta.url).pathname

let gate: Gate
let access: Access
let session: LegacyCaller

beforeAll(async () => {
  gate = await startGate([
    commandServer('pipe', process.execPath, [PLAY], { mounts: [{ path: dirname(PLAY) }] }),
    project('all', ['pipe']),
  ])
  access = await gate.access('all')
  session = await openLegacy(access)
  await session.ask('tools/list')
})
afterAll(() => gate?.end())

async function isWell(): Promise<void> {
  await until('only one session is there', async () => {
    const { status } = (await gate.daemon.call('GET', '/api/v1/projects/all')) as Json
    return at(status, 'sessions') === 1
  })
  expect((await session.ask('ping')).reply['result']).toEqual({})
}

const NAMES = [
  'mcp-protocol-version',
  'mcp-session-id',
  'mcp-method',
  'mcp-name',
  'mcp-param-a',
  'last-event-id',
  'accept',
  'content-type',
  'origin',
] as const
/** What Node lets out in a header. */
const printable = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,40}$/)
const value = fc.oneof(
  printable,
  fc.constantFrom(
    '2026-07-28',
    '2025-11-25',
    '2025-03-26',
    'tools/call',
    'pipe__play',
    '=?base64?cGlwZV9fcGxheQ==?=',
    '=?base64?/w==?=',
    'application/json, text/event-stream',
    'application/json; charset=utf-7',
    'text/event-stream',
    'http://localhost',
    'null',
    '__proto__',
    'a.1.1',
  ),
)
const headers = fc.dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 4 })

test('headers of any kind', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const params = { name: 'pipe__play', arguments: {}, _meta: modernMeta() }
  const bodies = [
    { body: jsonRpc(1, 'tools/call', params), headers: modernHeaders('tools/call', params) },
    { body: jsonRpc(1, 'ping'), headers: session.headers },
    { body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled' }), headers: session.headers },
  ]
  await fuzzWire(fc.tuple(headers, fc.nat(2)), async ([more, which]) => {
    const { body, headers: own } = bodies[which] ?? { body: '', headers: {} }
    const { status } = await send(access, { body, headers: { ...own, ...more } })
    expect([200, 202, 400, 403, 404, 406, 415]).toContain(status)
  })
  await isWell()
})

test('streams resumed from anywhere', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const part = fc.oneof(fc.nat().map(String), fc.stringMatching(/^[A-Za-z0-9_-]{0,12}$/), fc.constant('-1'))
  const id = fc.oneof(
    printable,
    fc.array(part, { maxLength: 5 }).map((all) => all.join('.')),
  )
  const own = { ...session.headers, authorization: `Bearer ${access.token}`, accept: 'text/event-stream' }
  await fuzzWire(id, async (from) => {
    const response = await fetch(access.url, { headers: { ...own, 'last-event-id': from } })
    expect([200, 400, 404]).toContain(response.status)
    await response.body?.cancel()
  })
  await isWell()
})

const KEYS = ['jsonrpc', 'id', 'method', 'params', 'result', 'error', 'name', 'arguments', '_meta']
const METHODS = [
  'ping',
  'initialize',
  'tools/list',
  'tools/call',
  'notifications/cancelled',
  'logging/setLevel',
]
const frame = fc
  .tuple(fc.constantFrom(...METHODS), jsonText(KEYS, 3), fc.constantFrom('"id":1,', '"id":"x",', ''))
  .map(([method, params, id]) => `{"jsonrpc":"2.0",${id}"method":"${method}","params":${params}}`)
const posted = fc.oneof(
  frame.map((text) => Buffer.from(text)),
  damaged(frame),
  jsonText(KEYS, 3).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 60 }).map((all) => Buffer.from(all)),
)

test('whatever is posted to the address of a client of HTTP+SSE', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const authorization = `Bearer ${access.token}`
  const stream = await fetch(access.url.replace(/\/mcp$/, '/sse'), {
    headers: { authorization, accept: 'text/event-stream' },
  })
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
  const first = Buffer.from((await reader.read()).value ?? []).toString()
  const address = new URL(/^data: ?(.*)$/m.exec(first)?.[1] ?? '', access.url)
  const drained = (async () => {
    while (!(await reader.read()).done);
  })()
  drained.catch(() => undefined)
  await fuzzWire(posted, async (body) => {
    const { status } = await send({ url: address.href, token: access.token }, { body })
    expect([202, 400, 404]).toContain(status)
  })
  await reader.cancel()
  await isWell()
})
