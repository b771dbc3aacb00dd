import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { PLAIN_TOOLS, type UpstreamTool } from '../fixtures/upstream/tools.ts'
import {
  at,
  httpServer,
  jsonRpc,
  modernCaller,
  modernHeaders,
  modernMeta,
  namesIn,
  openLegacy,
  project,
  send,
  startGate,
  stdioServer,
  until,
  type Access,
  type Answer,
  type Gate,
  type Json,
  type LegacyCaller,
} from './gateway-harness.ts'

/** What one revision has and another has not: batches, arguments in headers, content, error codes. */

const order = (properties: object): UpstreamTool => ({
  name: 'order',
  inputSchema: { type: 'object', properties },
})
const REGION = { type: 'string', 'x-mcp-header': 'Region' }
const COUNT = { type: 'integer', 'x-mcp-header': 'Count' }
const RAW: UpstreamTool = { name: 'raw', inputSchema: { type: 'object' } }
const BROKEN: UpstreamTool = {
  name: 'broken',
  inputSchema: { type: 'object', properties: { a: { type: 'number', 'x-mcp-header': 'A' } } },
}
const MODERN_TOOLS = [...PLAIN_TOOLS, order({ region: REGION, count: COUNT }), RAW, BROKEN]

let modern: Upstream
let legacy: Upstream
let gate: Gate
let access: Access

beforeAll(async () => {
  modern = await startUpstream({ name: 'modern', style: 'modern', tools: MODERN_TOOLS })
  legacy = await startUpstream({
    name: 'legacy',
    style: 'sessionless',
    answers: 'sse',
    tools: [...PLAIN_TOOLS, RAW, order({ region: REGION })],
  })
  gate = await startGate([
    httpServer('new', modern.url),
    httpServer('old', legacy.url),
    stdioServer('pipe'),
    project('all', ['new', 'old', 'pipe']),
  ])
  access = await gate.access('all')
})

afterAll(async () => {
  await gate?.end()
  await Promise.all([modern?.close(), legacy?.close()])
})

describe('batches', () => {
  const request = (id: unknown, method: string, params?: Json): unknown =>
    JSON.parse(jsonRpc(id, method, params))
  const notice = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 99 } }
  const echo = (id: unknown, message: string): unknown =>
    request(id, 'tools/call', { name: 'new__echo', arguments: { message } })

  let client: LegacyCaller
  beforeAll(async () => {
    client = await openLegacy(access, '2025-03-26')
    await client.ask('tools/list')
  })
  const sendAll = (elements: readonly unknown[], from = client): Promise<Answer> =>
    send(access, { headers: from.headers, body: JSON.stringify(elements) })
  const answersIn = ({ messages }: Answer): Json[] => messages.flat()

  test('each message is answered for itself, in one array, and is on the record for itself', async () => {
    const answer = await sendAll([
      request(1, 'ping'),
      echo('two', 'hi'),
      notice,
      request(3, 'tools/call', { name: 'new__nothing' }),
      request(4, 'tools/destroy'),
    ])
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('application/json')
    const byId = new Map(answersIn(answer).map((one) => [one['id'], one]))
    expect([...byId.keys()]).toHaveLength(4)
    expect(byId.get(1)).toEqual({ jsonrpc: '2.0', id: 1, result: {} })
    expect(at(byId.get('two'), 'result.content.0.text')).toBe('Echo: hi')
    expect(at(byId.get(3), 'error.code')).toBe(-32602)
    expect(at(byId.get(4), 'error.code')).toBe(-32601)
    const mine = await until('both calls are on the record', async () => {
      const { items } = (await gate.daemon.call('GET', '/api/v1/audit?limit=50')) as { items: Json[] }
      const calls = items.filter(({ event, target }) => event === 'tools/call' && target === 'new__echo')
      return calls.length > 0 &&
        items.some(({ event, decision }) => event === 'tools/call' && decision === 'deny')
        ? calls
        : undefined
    })
    expect(mine).toHaveLength(1)
  })

  test('what is said on the way makes it a stream, with an event for each answer', async () => {
    const slow = request('slow', 'tools/call', {
      name: 'old__slow',
      arguments: { ms: 5 },
      _meta: { progressToken: 'mine' },
    })
    const answer = await sendAll([request(1, 'ping'), slow])
    expect(answer.headers['content-type']).toBe('text/event-stream')
    const progress = answer.messages.filter(({ method }) => method === 'notifications/progress')
    expect(progress.map((one) => at(one, 'params.progressToken'))).toEqual(['mine', 'mine'])
    expect(answer.messages.filter((one) => 'id' in one).map(({ id }) => id)).toEqual([1, 'slow'])
  })

  test('a cancellation in one batch stops a call of another', async () => {
    const long = echo('long', 'x') as { params: { name: string; arguments: Json } }
    const running = sendAll([
      { ...long, params: { name: 'old__slow', arguments: { ms: 30_000 } } },
      request('short', 'ping'),
    ])
    await until(
      'the call has arrived',
      () => at(legacy.last('tools/call')?.message, 'params.arguments.ms') === 30_000,
    )
    expect((await sendAll([{ ...notice, params: { requestId: 'long' } }])).status).toBe(202)
    const answers = answersIn(await running).filter((one) => 'id' in one)
    expect(answers.map(({ id }) => id)).toEqual(['short'])
  })

  test('without a request: 202 and nothing', async () => {
    const { status, text } = await sendAll([notice, { jsonrpc: '2.0', id: 'nobody-asked', result: {} }])
    expect({ status, text }).toEqual({ status: 202, text: '' })
  })

  const INIT = request(1, 'initialize', { protocolVersion: '2025-03-26' })
  test.each([
    ['an empty one', []],
    ['initialize in it', [INIT]],
    ['the same id twice', [request(1, 'ping'), request(1, 'ping')]],
    ['something that is no message', [request(1, 'ping'), { id: 2 }]],
    ['an envelope in it', [request(1, 'tools/list', { _meta: modernMeta() })]],
    ['101 messages', Array.from({ length: 101 }, (_, i) => request(i, 'ping'))],
  ])('%s is refused, and nothing of it is done', async (_, elements) => {
    const { status, reply } = await sendAll(elements)
    expect([status, at(reply, 'error.code'), 'id' in reply]).toEqual([400, -32600, false])
  })

  test.each(['2024-11-05', '2025-06-18', '2025-11-25'])('%s has none', async (version) => {
    const { status, reply } = await sendAll([request(1, 'ping')], await openLegacy(access, version))
    expect([status, at(reply, 'error.code')]).toEqual([400, -32600])
    expect(String(at(reply, 'error.message'))).toContain('one message per request')
  })

  test('none without a session', async () => {
    const { status, reply } = await send(access, { body: JSON.stringify([request(1, 'ping')]) })
    expect([status, at(reply, 'error.data.code')]).toEqual([400, 'session_missing'])
  })
})

describe('arguments in headers', () => {
  const call = (name: string, args: Json, headers: Readonly<Record<string, string>>): Promise<Answer> => {
    const params = { name, arguments: args, _meta: modernMeta() }
    return send(access, {
      headers: { ...modernHeaders('tools/call', params), ...headers },
      body: jsonRpc(7, 'tools/call', params),
    })
  }
  const seen = () => modern.last('tools/call')?.headers ?? {}

  beforeAll(async () => {
    await modernCaller(access).ask('tools/list')
  })

  test('as they should be, they reach the server with those that nobody knows', async () => {
    const headers = {
      'mcp-param-region': '=?base64?WsO8cmljaA==?=',
      'mcp-param-count': '2',
      'mcp-param-other': 'kept',
    }
    const { status, reply } = await call('new__order', { region: 'Zürich', count: 2 }, headers)
    expect([status, at(reply, 'result.resultType')]).toEqual([200, 'complete'])
    expect(seen()).toMatchObject(headers)
  })

  const RIGHT = { 'mcp-param-region': 'west', 'mcp-param-count': '2' }
  const ARGS = { region: 'west', count: 2 }
  test.each([
    ['one is missing', ARGS, { 'mcp-param-region': 'west' }],
    ['one differs', ARGS, { ...RIGHT, 'mcp-param-region': 'east' }],
    ['one differs in case', ARGS, { ...RIGHT, 'mcp-param-region': 'West' }],
    ['one is malformed', ARGS, { ...RIGHT, 'mcp-param-region': '=?base64?d2VzdA?=' }],
    ['a number differs', ARGS, { ...RIGHT, 'mcp-param-count': '3' }],
    ['one has no argument', { count: 2 }, RIGHT],
    ['one has an argument of null', { region: null, count: 2 }, RIGHT],
  ])('%s: 400 -32020', async (_, args, headers) => {
    const before = modern.count('tools/call')
    const { status, reply } = await call('new__order', args, headers)
    expect([status, reply['id'], at(reply, 'error.code')]).toEqual([400, 7, -32020])
    expect(modern.count('tools/call')).toBe(before)
  })

  test('the tools of a legacy server are held to theirs as well', async () => {
    expect((await call('old__order', ARGS, { 'mcp-param-region': 'east' })).status).toBe(400)
    expect((await call('old__order', ARGS, { 'mcp-param-region': 'west' })).status).toBe(200)
  })

  test('a legacy client knows nothing of them: they are made of its arguments', async () => {
    const client = await openLegacy(access)
    await client.ask('tools/list')
    const { reply } = await client.ask('tools/call', {
      name: 'new__order',
      arguments: { region: ' west ', count: 42 },
    })
    expect(reply).toHaveProperty('result')
    expect(seen()).toMatchObject({ 'mcp-param-region': '=?base64?IHdlc3Qg?=', 'mcp-param-count': '42' })
    await client.ask('tools/call', { name: 'new__order', arguments: { region: null } })
    expect(Object.keys(seen()).filter((name) => name.startsWith('mcp-param-'))).toEqual([])
  })

  test('a tool that breaks the rules is left out, and only that one', async () => {
    const names = namesIn(await modernCaller(access).ask('tools/list'))
    expect(names).toContain('new__order')
    expect(names).not.toContain('new__broken')
  })

  test('a server whose list has changed in silence is read again, and called once more', async () => {
    const client = await openLegacy(access)
    modern.setTools([
      ...PLAIN_TOOLS,
      RAW,
      order({ region: { type: 'string' }, size: { ...COUNT, 'x-mcp-header': 'Size' } }),
    ])
    const before = modern.count('tools/call')
    const { reply } = await client.ask('tools/call', {
      name: 'new__order',
      arguments: { region: 'west', size: 3 },
    })
    expect(reply).toHaveProperty('result')
    expect(modern.count('tools/call')).toBe(before + 2)
    expect(seen()['mcp-param-size']).toBe('3')
    modern.setTools(MODERN_TOOLS)
  })
})

describe('content and errors', () => {
  const AUDIO = { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' }
  const LINK = { type: 'resource_link', uri: 'a://b', name: 'b' }
  const raw = async (server: string, version: string, args: Json): Promise<Json> => {
    const client = await openLegacy(access, version)
    return (await client.ask('tools/call', { name: `${server}__raw`, arguments: args })).reply
  }

  test.each([
    ['2024-11-05', ['text', 'text', 'text']],
    ['2025-03-26', ['text', 'audio', 'text']],
    ['2025-06-18', ['text', 'audio', 'resource_link']],
    ['2025-11-25', ['text', 'audio', 'resource_link']],
  ])('a client of %s gets the content that it knows', async (version, expected) => {
    const content = [{ type: 'text', text: 'hi' }, AUDIO, LINK]
    for (const server of ['old', 'new']) {
      const reply = await raw(server, version, { content })
      expect((at(reply, 'result.content') as Json[]).map(({ type }) => type)).toEqual(expected)
      expect(reply['result']).not.toHaveProperty('resultType')
    }
  })

  test('pages to be opened are told to who cannot open them by itself', async () => {
    const data = {
      elicitations: [{ mode: 'url', elicitationId: 'e', message: 'Sign in', url: 'https://a.example/' }],
    }
    const reply = await raw('old', '2025-11-25', { code: -32042, message: 'm', data })
    expect(at(reply, 'result.isError')).toBe(true)
    expect(at(reply, 'result.content.0.text')).toContain('Sign in: https://a.example/')
  })

  test('a code that means something else to a modern client stays inside the error', async () => {
    const args = { code: -32001, message: 'm', data: { n: 1 } }
    const { status, reply } = await modernCaller(access).ask('tools/call', {
      name: 'old__raw',
      arguments: args,
    })
    expect([status, at(reply, 'error.code'), at(reply, 'error.data.original')]).toEqual([200, -32603, args])
  })
})

test.each(['', 'x', 'MTphYg'])('the cursor %o is of no list', async (cursor) => {
  for (const client of [modernCaller(access), await openLegacy(access)]) {
    const { status, reply } = await client.ask('tools/list', { cursor })
    expect([status, at(reply, 'error.code')]).toEqual([200, -32602])
  }
})

test('Mcp-Name that was sent twice is refused, although together they are the name', async () => {
  const params = { uri: 'a://b, a://b', _meta: modernMeta() }
  const headers = {
    ...modernHeaders('resources/read', params),
    'mcp-name': ['a://b', 'a://b'] as unknown as string,
  }
  const { status, reply } = await send(access, { headers, body: jsonRpc(1, 'resources/read', params) })
  expect([status, at(reply, 'error.code')]).toEqual([400, -32020])
})
