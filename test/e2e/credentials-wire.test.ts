import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSocketServer, type AddressInfo, type Server as SocketServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  httpServer,
  modernCaller,
  project,
  startGate,
  until,
  type Gate,
  type Json,
} from './gateway-harness.ts'
import { createCleanUp } from './system-harness.ts'

/* RC15: what a server answers leads no credential anywhere; and on the wire it stands once, where it was declared. */

const KEY = `key-${crypto.randomUUID()}`
const cleanUp = createCleanUp()
let gate: Gate
let elsewhere: { readonly origin: string; readonly seen: string[] }
let leads: (description: string) => Json
let bytes: { readonly origin: string; readonly seen: string[] }

const listen = async (server: Server | SocketServer): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  cleanUp.later(() => server.close())
  if ('closeAllConnections' in server) cleanUp.later(() => server.closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What it answers with a redirect at the moment: a method of HTTP, or of MCP. */
const leading = new Map<string, number>()
const led: string[] = []
const answered = (
  res: ServerResponse,
  id: unknown,
  result: object,
  headers: Readonly<Record<string, string>> = {},
): void =>
  void res
    .writeHead(200, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify({ jsonrpc: '2.0', id, result }))

async function legacyServer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = await text(req)
  const { id, method = '' } = (body === '' ? {} : JSON.parse(body)) as {
    readonly id?: unknown
    readonly method?: string
  }
  for (const what of [req.method ?? '', method]) {
    const status = leading.get(what)
    if (status === undefined) continue
    led.push(`${what} ${status} ${req.headers['x-api-key'] === KEY}`)
    // Another port, and another name for it.
    const location = `${status === 307 ? elsewhere.origin.replace('127.0.0.1', 'localhost') : elsewhere.origin}/mcp`
    return void res.writeHead(status, { location, 'content-type': 'text/plain' }).end()
  }
  if (method === 'initialize') {
    const capabilities = { tools: { listChanged: true } }
    const result = {
      protocolVersion: '2025-11-25',
      capabilities,
      serverInfo: { name: 'leads', version: '1' },
    }
    return answered(res, id, result, { 'mcp-session-id': crypto.randomUUID() })
  }
  if (req.method === 'GET') return res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  if (method === 'tools/list')
    return answered(res, id, { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] })
  if (method === 'tools/call') return answered(res, id, { content: [{ type: 'text', text: 'here' }] })
  if (id === undefined) return void res.writeHead(req.method === 'DELETE' ? 200 : 202).end()
  res.writeHead(200, { 'content-type': 'application/json' })
  res.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32_601, message: 'no such method' } }))
}

/** Its stream names an address at another origin to post to. */
function sseServer(req: IncomingMessage, res: ServerResponse): void {
  if (req.method !== 'GET') return void res.writeHead(404).end()
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  res.write(`event: endpoint\ndata: ${elsewhere.origin}/messages\n\n`)
}

/** Keeps what arrives, byte for byte. */
async function startBytes(): Promise<typeof bytes> {
  const seen: string[] = []
  const server = createSocketServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      seen.push(chunk.toString('latin1'))
      socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    })
  })
  return { origin: await listen(server), seen }
}

beforeAll(async () => {
  const seen: string[] = []
  const stranger = createServer((req, res) => {
    seen.push(`${req.method} ${req.url} ${JSON.stringify(req.headers)}`)
    res.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  elsewhere = { origin: await listen(stranger), seen }
  bytes = await startBytes()
  const origin = await listen(
    createServer((req, res) => void legacyServer(req, res).catch(() => res.destroy())),
  )
  const sse = await listen(createServer(sseServer))
  const auth = { grant: 'mcp:key', header: 'X-Api-Key' }
  leads = (description) => httpServer('leads', `${origin}/mcp`, { auth, description })
  gate = await startGate([
    leads('first'),
    { kind: 'Server', metadata: { name: 'far' }, spec: { transport: 'sse', url: `${sse}/sse`, auth } },
    httpServer('raw', `${bytes.origin}/mcp`, { auth: { ...auth, prefix: 'Key ' } }),
    httpServer('asked', `${bytes.origin}/mcp?x=1`, { auth: { grant: 'mcp:key', query: 'api_key' } }),
    project('demo', ['leads']),
    project('others', ['far', 'raw', 'asked']),
  ])
  cleanUp.later(() => gate.end())
  const origins = [origin, sse, bytes.origin]
  await gate.daemon.call('PUT', '/api/v1/grants/mcp:key', { values: { token: KEY }, origins })
})
afterAll(() => cleanUp.run())

const echo = { name: 'leads__echo', arguments: {} }

test.each([301, 302, 303, 307, 308])(
  'a redirect (%i) of a call, a stream, a greeting or the end of a session leads nowhere',
  async (status) => {
    const access = await gate.access('demo')
    expect((await modernCaller(access).ask('tools/call', echo)).text).toContain('here')
    for (const what of ['tools/call', 'GET', 'DELETE', 'initialize']) {
      leading.set(what, status)
      const before = led.length
      // Another description is another connection.
      await gate.daemon.apply([leads(`${what} ${status}`)])
      const { text: said } = await modernCaller(access).ask('tools/call', echo)
      await until(`it is led away by ${what}`, () => led.length > before)
      expect(said).not.toContain(KEY)
      leading.clear()
      await gate.daemon.apply([leads(`after ${what} ${status}`)])
      await modernCaller(access).ask('tools/call', echo)
    }
    expect(led.filter((one) => !one.endsWith('true'))).toEqual([])
    expect(elsewhere.seen).toEqual([])
  },
)

test('a stream that names an address elsewhere is not followed there', async () => {
  const { text: said } = await modernCaller(await gate.access('others', 'far')).ask('tools/list', {})
  expect(said).not.toContain(KEY)
  expect(elsewhere.seen).toEqual([])
})

test('a credential is one header, or one parameter, and nothing else of the request differs', async () => {
  for (const server of ['raw', 'asked'])
    await modernCaller(await gate.access('others', server)).ask('tools/list', {})
  expect(bytes.seen.length).toBeGreaterThanOrEqual(2)
  for (const request of bytes.seen) {
    const [head = ''] = request.split('\r\n\r\n')
    const [start = '', ...lines] = head.split('\r\n')
    const isAsked = start.includes('/mcp?x=1')
    const carrying = lines.filter((line) => line.includes(KEY))
    expect(carrying).toEqual(isAsked ? [] : [`x-api-key: Key ${KEY}`])
    const [, target] = start.split(' ')
    expect(target).toBe(isAsked ? `/mcp?x=1&api_key=${KEY}` : '/mcp')
    expect(request.split(KEY)).toHaveLength(2)
  }
})
