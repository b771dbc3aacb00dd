import { request } from 'node:http'
import { Client } from '@modelcontextprotocol/sdk/client'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startSseServer, type SseServer } from '../fixtures/sse-server.ts'
import {
  createToken,
  jsonRpc,
  project,
  send,
  startGate,
  stdioServer,
  until,
  type Gate,
  type Json,
} from './gateway-harness.ts'

let gate: Gate
let upstream: SseServer
let token: string

beforeAll(async () => {
  upstream = await startSseServer()
  gate = await startGate([
    stdioServer('own', [], { instances: 'per-session' }),
    { kind: 'Server', metadata: { name: 'far' }, spec: { transport: 'sse', url: upstream.url } },
    project('p', ['own', 'far']),
    project('q', ['own']),
  ])
  token = (await gate.access('p')).token
})

afterAll(async () => {
  await gate?.end()
  await upstream?.close()
})

const address = (path = 'sse', name = 'p'): string => `${gate.daemon.origin}/projects/${name}/${path}`
const said = (result: unknown): unknown => (result as { content: { text: string }[] }).content[0]?.text

async function connect(
  path = 'sse',
  given = token,
): Promise<{ client: Client; readonly close: () => Promise<void> }> {
  const client = new Client(
    { name: 'old', version: '1' },
    { capabilities: { elicitation: {}, roots: { listChanged: true } } },
  )
  const transport = new SSEClientTransport(new URL(address(path)), {
    requestInit: { headers: { authorization: `Bearer ${given}` } },
  })
  await client.connect(transport)
  return { client, close: () => client.close() }
}

describe('the official client', () => {
  test('lists and calls tools, on the aggregated endpoint and on that of one server', async () => {
    const whole = await connect()
    expect((await whole.client.listTools()).tools.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['own__about', 'far__echo']),
    )
    const echo = await whole.client.callTool({ name: 'far__echo', arguments: { message: 'hi' } })
    expect(said(echo)).toBe('Echo: hi')
    await whole.close()
    const one = await connect('servers/far/sse')
    expect(said(await one.client.callTool({ name: 'echo', arguments: { message: 'ho' } }))).toBe('Echo: ho')
    await one.close()
  })

  test('hears of progress, of log messages and of what changes', async () => {
    const { client, close } = await connect()
    const heard: string[] = []
    const steps: number[] = []
    client.setNotificationHandler(
      LoggingMessageNotificationSchema,
      ({ params }) => void heard.push(String(params.data)),
    )
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('changed'))
    await client.listTools()
    await client.callTool({ name: 'own__slow', arguments: { ms: 20, logs: ['info'] } }, undefined, {
      onprogress: ({ progress }) => void steps.push(progress),
    })
    await client.callTool({ name: 'own__grow' })
    await until('list_changed', () => heard.includes('changed'))
    expect(steps).toEqual([1, 2])
    expect(heard).toContain('about info')
    await close()
  })

  test('is asked what a server wants to know', async () => {
    const { client, close } = await connect()
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: 'accept' as const,
      content: { yes: true },
    }))
    expect(said(await client.callTool({ name: 'far__ask' }))).toBe('accept {"yes":true}')
    await close()
  })

  test('takes a call back, and its leaving takes back the rest', async () => {
    const { client, close } = await connect()
    const before = upstream.waits.length
    const abort = new AbortController()
    const first = client.callTool({ name: 'far__wait' }, undefined, { signal: abort.signal })
    await until('the call is under way', () => upstream.waits.length > before)
    abort.abort()
    await expect(first).rejects.toThrow()
    await until('it was stopped', () => upstream.waits[before + 1] === 'stopped')
    client.callTool({ name: 'far__wait' }).catch(() => undefined)
    await until('the second is under way', () => upstream.waits.length > before + 2)
    const streams = upstream.streams()
    await close()
    await until('it was stopped', () => upstream.waits[before + 3] === 'stopped')
    await until('the stream behind is closed', () => upstream.streams() < streams)
  })

  test('a copy that is its own ends with it', async () => {
    const { client, close } = await connect()
    await client.callTool({ name: 'own__about', arguments: {} })
    const { instances } = await gate.status('own')
    await close()
    await until(
      'one copy less',
      async () => Number((await gate.status('own'))['instances']) < Number(instances),
    )
  })
})

interface Stream {
  readonly status: number
  readonly text: () => string
  /** Where its first event says that messages go. */
  readonly endpoint: string
  readonly messages: () => Json[]
  readonly pause: () => void
  readonly closed: Promise<void>
  hangUp(): void
}

/** A client made by hand. */
async function listen(given = token, path = address()): Promise<Stream> {
  let text = ''
  const closed = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<{ status: number; pause: () => void }>()
  const req = request(path, { headers: { authorization: `Bearer ${given}` }, agent: false }, (res) => {
    res.on('data', (chunk: Buffer) => (text += chunk.toString()))
    res.on('error', () => undefined)
    res.on('close', () => closed.resolve())
    opened.resolve({ status: res.statusCode ?? 0, pause: () => res.pause() })
  })
  req.on('error', () => closed.resolve())
  req.end()
  const { status, pause } = await opened.promise
  if (status === 200) await until('the first event', () => text.includes('\n\n'))
  return {
    status,
    pause,
    text: () => text,
    endpoint: /^event: endpoint\ndata: (.*)\n\n/.exec(text)?.[1] ?? '',
    messages: () =>
      [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, json]) => JSON.parse(json ?? '') as Json),
    closed: closed.promise,
    hangUp: () => void req.destroy(),
  }
}

const post = (endpoint: string, body: string, given = token, headers = {}) =>
  send({ url: `${gate.daemon.origin}${endpoint}`, token: given }, { body, headers })

const INITIALIZE = jsonRpc(0, 'initialize', {
  protocolVersion: '2024-11-05',
  capabilities: {},
  clientInfo: { name: 'hand', version: '1' },
})

async function initialized(): Promise<Stream> {
  const stream = await listen()
  expect(await post(stream.endpoint, INITIALIZE)).toMatchObject({ status: 202, text: '' })
  await until('the answer', () => stream.messages().length > 0)
  return stream
}

describe('on the wire', () => {
  test('the address to post to is a path with an id that cannot be guessed; answers come on the stream', async () => {
    const stream = await initialized()
    expect(stream.endpoint).toMatch(/^\/projects\/p\/messages\?sessionId=[\w-]{32}$/)
    expect(stream.messages()[0]).toMatchObject({ id: 0, result: { protocolVersion: '2024-11-05' } })
    await post(stream.endpoint, jsonRpc('b', 'nonsense'))
    await until('the refusal', () => stream.messages().length > 1)
    expect(stream.messages()[1]).toMatchObject({ id: 'b', error: { code: -32_601 } })
    stream.hangUp()
  })

  test('before initialize there is no session', async () => {
    const stream = await listen()
    await post(stream.endpoint, jsonRpc(1, 'tools/list'))
    await post(stream.endpoint, jsonRpc(2, 'ping'))
    await until('two answers', () => stream.messages().length === 2)
    const answers = stream.messages().sort((a, b) => Number(a['id']) - Number(b['id']))
    expect(answers).toMatchObject([
      { id: 1, error: { data: { code: 'session_lost' } } },
      { id: 2, result: {} },
    ])
    stream.hangUp()
  })

  test('a second initialize begins anew on the same stream', async () => {
    const stream = await initialized()
    await post(stream.endpoint, INITIALIZE)
    await until('a second answer', () => stream.messages().length === 2)
    await post(stream.endpoint, jsonRpc(3, 'tools/call', { name: 'far__echo', arguments: { message: 'x' } }))
    await until('an answer', () => stream.messages().some(({ id }) => id === 3))
    stream.hangUp()
  })

  test('nobody else can post to it, and every post needs the token', async () => {
    const stream = await initialized()
    const other = await createToken(gate.daemon, 'p', 'other')
    const elsewhere = (await gate.access('q')).token
    const list = jsonRpc(9, 'tools/list')
    expect(await post(stream.endpoint, list, other)).toMatchObject({ status: 404, reply: { id: 9 } })
    expect((await post(stream.endpoint, list, elsewhere)).status).toBe(403)
    expect((await post(stream.endpoint, list, 'cst_nonsense')).status).toBe(401)
    expect((await post(stream.endpoint.replace('/p/', '/p/servers/far/'), list)).status).toBe(404)
    expect((await post('/projects/p/messages', list)).status).toBe(404)
    expect((await post('/projects/p/messages?sessionId=x', list)).status).toBe(404)
    expect((await post(stream.endpoint, list, token, { origin: 'https://evil.example' })).status).toBe(403)
    expect(stream.messages()).toHaveLength(1)
    stream.hangUp()
  })

  test('what is no message is refused by the POST itself', async () => {
    const stream = await initialized()
    expect((await post(stream.endpoint, '{"jsonrpc":')).status).toBe(400)
    expect((await post(stream.endpoint, `[${jsonRpc(1, 'ping')}]`)).status).toBe(400)
    const note = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
    expect((await post(stream.endpoint, note)).status).toBe(202)
    for (const [path, method] of [
      [address(), 'POST'],
      [address('messages'), 'GET'],
      [address(), 'DELETE'],
    ] as const)
      expect((await send({ url: path, token }, { method })).status).toBe(405)
    stream.hangUp()
  })

  test('a token that is revoked ends the stream', async () => {
    const short = await createToken(gate.daemon, 'p', 'short')
    const stream = await listen(short)
    await post(stream.endpoint, INITIALIZE, short)
    await until('the answer', () => stream.messages().length > 0)
    await gate.daemon.call('DELETE', '/api/v1/tokens/short?project=p')
    await stream.closed
  })

  test('who does not read is cut off, and others are served meanwhile', async () => {
    const slow = await initialized()
    slow.pause()
    const call = { name: 'far__big', arguments: { bytes: 4_000_000 } }
    for (let i = 1; i <= 8; i += 1) await post(slow.endpoint, jsonRpc(i, 'tools/call', call))
    const { client, close } = await connect()
    expect(said(await client.callTool({ name: 'far__echo', arguments: { message: 'x' } }))).toBe('Echo: x')
    await close()
    await until('it is gone', async () => (await post(slow.endpoint, jsonRpc(99, 'ping'))).status === 404)
    slow.hangUp()
  })

  test('the streams of one principal are bounded', async () => {
    const many = await createToken(gate.daemon, 'p', 'many')
    const streams = await Promise.all(Array.from({ length: 100 }, () => listen(many)))
    const refused = await send({ url: address(), token: many }, { method: 'GET', headers: { accept: '*/*' } })
    expect(refused.status).toBe(429)
    for (const stream of streams) stream.hangUp()
    await until('there is room again', async () => {
      const next = await listen(many)
      next.hangUp()
      return next.status === 200
    })
  })
})
