import { afterEach, expect, test } from 'vitest'
import { listen, runInMemory, type Answer, type Asked } from '../../../test/e2e/cli-in-memory.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

interface Call {
  readonly id: number
  readonly method: string
  readonly params: { readonly name?: string; readonly cursor?: string }
}

const result = (call: Call, value: unknown): Answer => ({
  body: { jsonrpc: '2.0', id: call.id, result: value },
})
const failed = (call: Call, code: number): Answer => ({
  status: 400,
  body: { jsonrpc: '2.0', id: call.id, error: { code, message: 'no' } },
})

function answerCall(call: Call): Answer {
  if (call.method === 'tools/list') {
    return call.params.cursor === undefined
      ? result(call, { tools: [{ name: 'echo' }], nextCursor: '2' })
      : result(call, { tools: [{ name: 'add' }] })
  }
  const isError = call.params.name !== 'echo'
  return result(call, { content: [{ type: 'text', text: 'hi' }], isError })
}

function legacy(call: Call): Answer {
  if (call.method === 'notifications/initialized') return { status: 202 }
  if (call.method !== 'initialize') return answerCall(call)
  const value = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'old', version: '1' } }
  const body = `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: call.id, result: value })}\n\n`
  return { headers: { 'content-type': 'text/event-stream', 'mcp-session-id': 's1' }, body }
}

function modern(call: Call): Answer {
  if (call.method === 'initialize') return failed(call, -32602)
  return call.method === 'server/discover'
    ? result(call, { supportedVersions: ['2026-07-28'] })
    : answerCall(call)
}

async function endpoint(speak: (call: Call) => Answer): Promise<{ url: string; asked: Asked[] }> {
  const server = await listen((asked) => {
    if (asked.path === '/healthz') return { body: 'ok' }
    if (asked.method === 'DELETE') return {}
    if (asked.authorization !== 'Bearer cst_good') return { status: 401 }
    return speak(JSON.parse(asked.body) as Call)
  })
  open.push(server)
  return { url: `${server.url}/mcp`, asked: server.asked }
}

const env = { CASTELLAN_TOKEN: 'cst_good' }

test.each([
  ['legacy', legacy],
  ['modern', modern],
])('a %s endpoint passes: connect, list over pages, call', async (era, speak) => {
  const { url } = await endpoint(speak)
  const argv = [
    'test',
    'mcp',
    url,
    '--expect-tools',
    'echo,add',
    '--tool',
    'echo',
    '--args',
    '{"message":"hi"}',
  ]
  const ran = await runInMemory(argv, { env })
  expect(ran).toMatchObject({ code: 0, err: '' })
  expect(ran.out).toContain(`(${era})`)
  expect(ran.out).toMatch(/tools +2 listed[^]*call +hi\npassed\n$/)
})

test.each([
  ['a wrong token', ['--token', 'cst_bad'], 1, 'wants a valid token'],
  ['a tool that is not listed', ['--expect-tools', 'nope'], 2, 'not listed: nope'],
  ['a tool that fails', ['--tool', 'add'], 2, 'the tool answered with an error'],
])('%s: the exit status says which it is', async (_, more, code, says) => {
  const { url } = await endpoint(legacy)
  const ran = await runInMemory(['test', 'mcp', url, ...more], { env })
  expect(ran).toMatchObject({ code })
  expect(ran.err).toContain(says)
  expect(ran.err + ran.out).not.toContain('cst_')
})

test.each([
  ['a page instead of MCP', { body: '<html>' }, 2],
  ['nothing at that path', { status: 404 }, 1],
  ['an outage', { status: 502 }, 1],
])('%s', async (_, answer, code) => {
  const { url } = await endpoint(() => answer)
  expect((await runInMemory(['test', 'mcp', url, '-o', 'json'], { env })).code).toBe(code)
})

test('a closed port exits 1, with and without asking for health', async () => {
  for (const more of [[], ['--no-health']]) {
    const ran = await runInMemory(['test', 'mcp', 'http://127.0.0.1:1/mcp', ...more], { env })
    expect(ran).toMatchObject({ code: 1 })
    expect(ran.err).toContain('nothing listens there')
  }
})

test('an endpoint that never answers exits 1 in the time that was given', async () => {
  const server = await listen((_, request) => {
    request.socket.pause()
    return { headers: { 'content-type': 'text/event-stream' }, body: ': nothing\n\n' }
  })
  open.push(server)
  const ran = await runInMemory(['test', 'mcp', server.url, '--no-health', '--timeout', '0.2'], { env })
  expect(ran.code).toBe(2)
})
