import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterEach, describe, expect, test } from 'vitest'
import { closedUrl, startUpstream, type Upstream, type UpstreamOptions } from '../fixtures/upstream.ts'
import { manyTools } from '../fixtures/upstream/tools.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
})

async function connect(options: UpstreamOptions): Promise<{ upstream: Upstream; client: Client }> {
  const upstream = await startUpstream(options)
  const mode = options.style === 'modern' ? ({ mode: 'auto' } as const) : ({ mode: 'legacy' } as const)
  const client = new Client({ name: 'fixture-test', version: '1' }, { versionNegotiation: mode })
  open.push(client, upstream)
  await client.connect(new StreamableHTTPClientTransport(new URL(upstream.url)))
  return { upstream, client }
}
const echo = { name: 'echo', arguments: { message: 'hi' } }

describe('the fixture upstream is a server that a real client can use', () => {
  for (const style of ['sessions', 'sessionless', 'modern'] as const)
    for (const answers of ['json', 'sse'] as const)
      test(`${style}, ${answers}`, async () => {
        const { upstream, client } = await connect({ style, answers })
        const { tools } = await client.listTools()
        expect(tools.map((tool) => tool.name)).toEqual(['echo', 'slow', 'fail', 'verbatim'])
        expect(await client.callTool(echo)).toMatchObject({ content: [{ type: 'text', text: 'Echo: hi' }] })
        expect(await client.callTool({ name: 'fail', arguments: {} })).toMatchObject({ isError: true })
        expect((await client.readResource({ uri: 'fixture://note' })).contents).toHaveLength(1)
        expect(upstream.count('tools/call')).toBe(2)
        expect(upstream.count('initialize')).toBe(style === 'modern' ? 0 : 1)
      })

  test('pages go on at an empty cursor', async () => {
    const { upstream, client } = await connect({ tools: manyTools(5), pageSize: 2, emptyCursor: true })
    const first = await client.request({ method: 'tools/list', params: {} })
    expect(first).toMatchObject({ nextCursor: '', tools: [{ name: 'tool_000' }, { name: 'tool_001' }] })
    const second = await client.request({ method: 'tools/list', params: { cursor: '' } })
    expect(second).toMatchObject({ nextCursor: '4', tools: [{ name: 'tool_002' }, { name: 'tool_003' }] })
    expect(upstream.count('tools/list')).toBe(2)
  })

  test('a list change reaches whoever listens', async () => {
    const { upstream, client } = await connect({})
    const told = new Promise<void>((resolve) => {
      client.setNotificationHandler('notifications/tools/list_changed', () => resolve())
    })
    await expect.poll(() => upstream.listeners()).toBe(1)
    upstream.notify('notifications/tools/list_changed')
    await told
  })

  test('a lost session is 404, a bad answer is bad once', async () => {
    const { upstream, client } = await connect({})
    upstream.behave('not-json', { times: 1 })
    await expect(client.callTool(echo)).rejects.toThrow(/JSON/)
    await expect(client.callTool(echo)).resolves.toMatchObject({ content: [{ text: 'Echo: hi' }] })
    upstream.loseSessions()
    await expect(client.callTool(echo)).rejects.toThrow(/no session/)
  })

  test('nothing listens at a closed address', async () => {
    await expect(fetch(await closedUrl(), { method: 'POST' })).rejects.toThrow(/fetch failed/)
  })
})

/** What a plain HTTP client makes of one `tools/call`: status and start of the body, or how it broke. */
async function look(url: string): Promise<string> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: echo })
  const response = await fetch(url, {
    method: 'POST',
    body,
    redirect: 'manual',
    signal: AbortSignal.timeout(400),
  }).catch((error: Error) => error.name)
  if (typeof response === 'string') return response
  const text = await response.text().catch((error: Error) => error.name)
  return `${response.status} ${text.length > 500 ? `${text.length} characters` : text.replaceAll(/\s+/g, ' ')}`
}

describe('a bad upstream is bad in the way its name says', () => {
  // oxfmt-ignore
  test.each([
    ['hangs', /^TimeoutError$/],
    ['hangs-up', /^TypeError$/],
    ['html', /^200 <html>/],
    ['not-json', /^200 \{"jsonrpc":"2.0","id":$/],
    ['not-utf8', /^200 \{\uFFFD\uFFFD\}$/],
    ['unauthorized', /^401 /],
    ['server-error', /^500 stack trace/],
    ['redirect', /^302 $/],
    ['drops-stream', /^200 TypeError$/],
    ['ends-stream', /^200 event: message data: (?!.*"result")/],
    ['other-id', /^200 .*"id":"someone-elses"/],
    ['twice', /^200 .*Echo: hi.*"id":7.*second/],
    ['drips', /^200 (?:TimeoutError|AbortError)$/],
    ['odd-stream', /^200 : keep-alive id: 1 data: retry: 100 data: \{"jsonrpc":"2.0", data:/],
  ] as const)('%s', async (how, expected) => {
    const upstream = await startUpstream({ style: 'sessionless' })
    open.push(upstream)
    upstream.behave(how)
    expect(await look(upstream.url)).toMatch(expected)
    upstream.behaveWell()
    expect(await look(upstream.url)).toContain('Echo: hi')
  })

  test('huge is 64 MiB and more', async () => {
    const upstream = await startUpstream({ style: 'sessionless' })
    open.push(upstream)
    upstream.behave('huge')
    const request = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: echo }
    const response = await fetch(upstream.url, { method: 'POST', body: JSON.stringify(request) })
    let bytes = 0
    for await (const chunk of response.body ?? []) bytes += (chunk as Uint8Array).length
    expect(bytes).toBeGreaterThan(64 * 2 ** 20)
  })
})
