import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { json } from 'node:stream/consumers'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chunked, damaged, fuzzWire, FUZZ_TIMEOUT_MS, jsonText } from '../fixtures/fuzz.ts'
import {
  at,
  commandServer,
  httpServer,
  modernCaller,
  modernHeaders,
  modernMeta,
  openLegacy,
  project,
  send,
  startGate,
  type Access,
  type Gate,
  type Json,
  type LegacyCaller,
} from './gateway-harness.ts'

/**
 * Frames of every kind on every transport, against a real daemon: each request is answered, nothing crashes or hangs, and
 * no session is left over.
 */

const NOISY = new URL('../fixtures/stdio-noisy.js', import.meta.url).pathname

let web: Server
let gate: Gate
let access: Access
let client: LegacyCaller
let pid: number

beforeAll(async () => {
  web = createServer((req, res) => {
    json(req).then(
      (body) => serveNoise(body as Json, res),
      () => res.destroy(),
    )
  })
  await new Promise<void>((resolve) => {
    web.listen(0, '127.0.0.1', resolve)
  })
  gate = await startGate([
    commandServer('pipe', process.execPath, [NOISY], { mounts: [{ path: dirname(NOISY) }] }),
    httpServer('web', `http://127.0.0.1:${(web.address() as AddressInfo).port}/mcp`),
    project('all', ['pipe', 'web']),
  ])
  access = await gate.access('all')
  client = await openLegacy(access, '2025-03-26')
  await client.ask('tools/list')
  pid = gate.daemon.pid
})

afterAll(async () => {
  await gate?.end()
  web?.closeAllConnections()
  web?.close()
})

/** A legacy server without sessions whose tool `say` answers with the bytes that it is given, cut as it is told. */
function serveNoise({ id, method, params }: Json, res: ServerResponse): void {
  if (id === undefined) return void res.writeHead(202).end()
  const reply = (body: object): void =>
    void res
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id, ...body }))
  if (method === 'initialize')
    return reply({
      result: {
        protocolVersion: '2025-03-26',
        capabilities: { tools: {} },
        serverInfo: { name: 'web', version: '1' },
      },
    })
  if (method === 'tools/list')
    return reply({ result: { tools: [{ name: 'say', inputSchema: { type: 'object' } }] } })
  if (method !== 'tools/call') return reply({ error: { code: -32_601, message: 'no such method' } })
  const { bytes, cuts, stream } = at(params, 'arguments') as {
    bytes: string
    cuts: number[]
    stream: boolean
  }
  res.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' })
  for (const chunk of chunked(Buffer.from(bytes, 'base64'), cuts)) res.write(chunk)
  if (!stream) return void res.end()
  const answer = { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'said' }] } }
  res.end(`\n\ndata: ${JSON.stringify(answer)}\n\n`)
}

const KEYS = [
  'jsonrpc',
  'id',
  'method',
  'params',
  'result',
  'error',
  '_meta',
  'progressToken',
  'requestId',
  'uri',
]
const METHODS = [
  'ping',
  'tools/call',
  'elicitation/create',
  'sampling/createMessage',
  'roots/list',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/message',
  'notifications/resources/updated',
]
const frame = fc
  .tuple(
    fc.constantFrom('"id":1,', '"id":"x",', '"id":null,', ''),
    fc.constantFrom(...METHODS.map((method) => `"method":"${method}",`), ''),
    fc.constantFrom('params', 'result', 'error'),
    jsonText(KEYS, 3),
  )
  .map(([id, method, part, value]) => `{"jsonrpc":"2.0",${id}${method}"${part}":${value}}`)
const bytes = fc.oneof(
  frame.map((text) => Buffer.from(text)),
  damaged(frame),
  fc.array(frame, { maxLength: 4 }).map((all) => Buffer.from(`[${all.join(',')}]`)),
  fc.uint8Array({ maxLength: 120 }).map((all) => Buffer.from(all)),
)

/** The same process, serving, with no more sessions than before. */
async function isWell(): Promise<void> {
  expect(() => process.kill(pid, 0)).not.toThrow()
  const { status } = (await gate.daemon.call('GET', '/api/v1/projects/all')) as Json
  expect(at(status, 'sessions')).toBe(1)
  expect((await client.ask('ping')).reply['result']).toEqual({})
}

test('from clients of either era', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const params = { name: 'web__say', _meta: modernMeta() }
  const headers = [client.headers, modernHeaders('tools/call', params), {}]
  await fuzzWire(fc.tuple(bytes, fc.nat(2)), async ([body, who]) => {
    const { status, reply } = await send(access, { body, headers: headers[who] ?? {} })
    expect([200, 202, 400, 404]).toContain(status)
    if (status === 400) expect(reply).toHaveProperty('error.code')
  })
  await isWell()
})

test('from a server on a pipe', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const callers = [client, modernCaller(access)]
  await fuzzWire(fc.tuple(bytes, fc.nat(1)), async ([noise, who]) => {
    const args = { bytes: noise.toString('base64') }
    const answer = await callers[who]?.ask('tools/call', { name: 'pipe__say', arguments: args })
    expect(at(answer?.reply, 'result.content.0.text')).toBe('said')
  })
  await isWell()
})

test('from a server over HTTP', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const callers = [client, modernCaller(access)]
  const noise = fc.oneof(
    bytes,
    bytes.map((one) => Buffer.concat([Buffer.from('data: '), one])),
  )
  const cases = fc.tuple(noise, fc.array(fc.nat(), { maxLength: 4 }), fc.boolean(), fc.nat(1))
  await fuzzWire(cases, async ([said, cuts, stream, who]) => {
    const args = { bytes: said.toString('base64'), cuts, stream }
    const answer = await callers[who]?.ask('tools/call', { name: 'web__say', arguments: args })
    expect([200, 400, 404]).toContain(answer?.status)
    expect(Object.keys(answer?.reply ?? {})).toEqual(expect.arrayContaining(['jsonrpc', 'id']))
  })
  await isWell()
})
