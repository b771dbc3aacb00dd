import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../lib/clock.ts'
import { Bridge } from './bridge.ts'
import { ClientPipe } from './client-pipe.ts'
import { createDaemon } from './daemon.ts'

/* The bridge in front of an endpoint that answers as a test says: what a real daemon does too rarely. */

interface Heard {
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly id?: unknown
}

const cleanUp: (() => void)[] = []
afterEach(() => cleanUp.splice(0).forEach((end) => end()))

/** @param answer is given the message (of a GET or DELETE: its method alone) and how to answer */
async function start(answer: (heard: Heard, request: IncomingMessage, response: ServerResponse) => void) {
  const heard: Heard[] = []
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const message = body === '' ? { method: request.method ?? '' } : (JSON.parse(body) as Heard)
      if (message.method !== 'GET') heard.push(message)
      answer(message, request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const [out, err] = [new PassThrough(), new PassThrough()]
  const daemon = createDaemon(() => ({ url, credential: undefined }), '/projects/p/mcp')
  const bridge = new Bridge({ daemon, pipe: new ClientPipe(out, err), clock: systemClock })
  let written = ''
  out.on('data', (chunk: Buffer) => (written += chunk.toString()))
  cleanUp.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    heard,
    out: () => written,
    send: (line: string) => bridge.take(Buffer.from(line)),
    /** What was written, once all is answered and the session has ended. */
    async end() {
      await bridge.close(5000, new AbortController().signal)
      return written.split('\n').filter((line) => line !== '')
    },
  }
}

const json = (response: ServerResponse, body: unknown, status = 200, headers = {}): void =>
  void response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(typeof body === 'string' ? body : JSON.stringify(body))
const result = ({ id }: Heard, value: unknown = {}) => ({ jsonrpc: '2.0', id, result: value })
const failure = ({ id }: Heard, code: number, name: string) => ({
  jsonrpc: '2.0',
  id,
  error: { code, message: name, data: { code: name } },
})

const E =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
const CALL = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"größe","arguments":{"in":"x"},${E}}}`

test('a modern request gets the headers that repeat it; after -32020 the tools are listed and it is sent once more', async () => {
  const tool = {
    name: 'größe',
    inputSchema: { type: 'object', properties: { in: { type: 'string', 'x-mcp-header': 'Place' } } },
  }
  const seen: unknown[] = []
  const bridge = await start((heard, { headers }, response) => {
    if (heard.method === 'tools/list') return json(response, result(heard, { tools: [tool] }))
    seen.push([
      headers['mcp-protocol-version'],
      headers['mcp-method'],
      headers['mcp-name'],
      headers['mcp-param-place'],
    ])
    if (headers['mcp-param-place'] !== 'x')
      return json(response, failure(heard, -32_020, 'header_mismatch'), 400)
    json(response, result(heard))
  })
  await bridge.send(CALL)
  expect(await bridge.end()).toEqual(['{"jsonrpc":"2.0","id":7,"result":{}}'])
  const name = `=?base64?${Buffer.from('größe').toString('base64')}?=`
  expect(seen).toEqual([
    ['2026-07-28', 'tools/call', name, undefined],
    ['2026-07-28', 'tools/call', name, 'x'],
  ])
  expect(bridge.heard.map(({ method }) => method)).toEqual(['tools/call', 'tools/list', 'tools/call'])
})

test('headers that stay wrong are the answer', async () => {
  const bridge = await start((heard, _, response) =>
    heard.method === 'tools/list'
      ? json(response, result(heard, { tools: [] }))
      : json(response, failure(heard, -32_020, 'header_mismatch'), 400),
  )
  await bridge.send(CALL)
  expect(await bridge.end()).toEqual([expect.stringContaining('"code":-32020')])
  expect(bridge.heard).toHaveLength(3)
})

const INITIALIZE =
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}'
const OPENED = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: { listChanged: true }, prompts: {} },
  serverInfo: { name: 's', version: '1' },
}

test('a session that is gone is opened again with the client’s own words, and what it had asked for is asked again', async () => {
  let sessions = 0
  const bridge = await start((heard, { headers }, response) => {
    const session = headers['mcp-session-id']
    if (heard.method === 'initialize')
      return json(response, result(heard, OPENED), 200, { 'mcp-session-id': `s${++sessions}` })
    if (heard.method === 'tools/call' && session === 's1')
      return json(response, failure(heard, -32_001, 'session_lost'), 404)
    if (heard.method === 'GET') return json(response, {}, 405)
    if (heard.id === undefined) return response.writeHead(202).end()
    json(response, result(heard, heard.method === 'tools/call' ? { session } : {}))
  })
  await bridge.send(INITIALIZE)
  await bridge.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
  await bridge.send('{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"info"}}')
  await bridge.send('{"jsonrpc":"2.0","id":3,"method":"resources/subscribe","params":{"uri":"a:b"}}')
  await expect.poll(() => bridge.out()).toContain('"id":3')
  await bridge.send('{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"x"}}')
  const lines = await bridge.end()
  const all = [
    'initialize',
    'notifications/initialized',
    'logging/setLevel',
    'resources/subscribe',
    'tools/call',
  ]
  expect(bridge.heard.map(({ method }) => method)).toEqual([...all, ...all, 'DELETE'])
  expect(bridge.heard[5]).toMatchObject({
    params: { clientInfo: { name: 'c' } },
    id: expect.stringMatching(/^castellan/),
  })
  expect(lines.slice(3)).toEqual([
    '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}',
    '{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b"}}',
    '{"jsonrpc":"2.0","id":4,"result":{"session":"s2"}}',
  ])
})

test('an answer whose connection is closed on purpose is fetched from where it was, also while the bridge ends', async () => {
  const bridge = await start((heard, { headers }, response) => {
    if (heard.method === 'initialize')
      return json(response, result(heard, OPENED), 200, { 'mcp-session-id': 's' })
    if (heard.id !== undefined)
      return response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .end('id: e1\nretry: 1\ndata: \n\n')
    if (headers['last-event-id'] !== 'e1') return json(response, {}, heard.method === 'GET' ? 405 : 202)
    response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .end('id: e2\r\ndata: {"jsonrpc":"2.0","id":2,\r\ndata: "result":{"n":1e400}}\r\n\r\n')
  })
  await bridge.send(INITIALIZE)
  await bridge.send('{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}')
  expect((await bridge.end()).at(-1)).toBe('{"jsonrpc":"2.0","id":2, "result":{"n":1e400}}')
  expect(bridge.heard.filter(({ method }) => method === 'tools/call')).toHaveLength(1)
})

test('what only reads is asked again behind a proxy without a daemon; what may act is not', async () => {
  let outages = 2
  const bridge = await start((heard, _, response) => {
    if (heard.method === 'tools/list' && outages-- <= 0) return json(response, result(heard, { tools: [] }))
    response.writeHead(502, { 'content-type': 'text/html' }).end('<html>')
  })
  await bridge.send('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
  await bridge.send('{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}')
  await expect.poll(() => bridge.out()).toContain('"id":1')
  expect((await bridge.end()).toSorted()).toEqual([
    '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}',
    expect.stringMatching(/"id":2,"error":.*status 502/),
  ])
  expect(bridge.heard.filter(({ method }) => method === 'tools/call')).toHaveLength(1)
})

test('bytes go through as they came, on one line; what is no message goes nowhere', async () => {
  const odd =
    '{"jsonrpc":"2.0",\n "id":"a\\u0062", "result":{"n":9007199254740993, "z":-0, "d":{"k":1e400,"k":2}}}'
  const bridge = await start((heard, _, response) =>
    heard.method === 'prompts/list' ? json(response, '<html>') : json(response, odd),
  )
  await bridge.send('{"jsonrpc":"2.0","id":"a\\u0062","method":"tools/call","params":{"name":"x"}}')
  await expect.poll(() => bridge.out()).toContain('result')
  expect(await bridge.end()).toEqual([odd.replace('\n', ' ')])
})

test('a modern call that is taken back is closed, and nothing more is said of it', async () => {
  const closed = Promise.withResolvers<void>()
  const bridge = await start((heard, _, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(
      'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}\n\n',
    )
    response.on('close', () => closed.resolve())
    expect(heard.method).toBe('tools/call')
  })
  await bridge.send(CALL)
  await expect.poll(() => bridge.out()).toContain('progress')
  await bridge.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}')
  await closed.promise
  expect(await bridge.end()).toHaveLength(1)
  expect(bridge.heard).toHaveLength(1)
})
