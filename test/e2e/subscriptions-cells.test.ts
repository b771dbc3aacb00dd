import { readFile } from 'node:fs/promises'
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client'
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  endpoint,
  httpServer,
  modernCaller,
  openLegacy,
  project,
  startGate,
  stdioServer,
  until,
  type Access,
  type Gate,
} from './gateway-harness.ts'

/** Changes reach clients of both eras from servers of both, whatever carries them. */

let gate: Gate
const upstreams: Record<string, Upstream> = {}

const STDIO = ['stdio-old', 'stdio-new']
const REMOTE = ['web-old', 'web-new']
const SERVERS = [...STDIO, ...REMOTE]

beforeAll(async () => {
  upstreams['web-old'] = await startUpstream()
  upstreams['web-new'] = await startUpstream({ style: 'modern' })
  upstreams['mute'] = await startUpstream({ noStream: true })
  gate = await startGate([
    stdioServer('stdio-old'),
    stdioServer('stdio-new', ['--modern']),
    httpServer('web-old', upstreams['web-old'].url),
    httpServer('web-new', upstreams['web-new'].url),
    httpServer('mute', upstreams['mute'].url),
    project('all', SERVERS),
    project('quiet', ['mute']),
    ...SERVERS.map((name) => project(`only-${name}`, [name])),
  ])
})

afterAll(async () => {
  await gate?.end()
  await Promise.all(Object.values(upstreams).map((upstream) => upstream.close()))
})

const uriOf = (server: string): string => (STDIO.includes(server) ? 'stdio://note' : 'fixture://note')

/** Has the server say that its tools and its resource have changed. */
async function change(server: string): Promise<void> {
  const upstream = upstreams[server]
  if (upstream !== undefined) {
    upstream.notify('notifications/tools/list_changed')
    return upstream.notify('notifications/resources/updated', { uri: uriOf(server) })
  }
  const caller = modernCaller(await gate.access(`only-${server}`))
  await caller.ask('tools/call', { name: `${server}__grow`, arguments: {} })
  await caller.ask('tools/call', { name: `${server}__touch`, arguments: { uri: uriOf(server) } })
}

interface Hearing {
  readonly heard: string[]
  close(): Promise<void>
}

const ABOUT = { name: 'real-client', version: '1' }
const bearer = ({ token }: Access) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } })

async function legacyClient(access: Access, uri: string): Promise<Hearing> {
  const client = new Client1(ABOUT)
  const heard: string[] = []
  const transport = new Http1(new URL(access.url), bearer(access))
  await client.connect(transport)
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('tools'))
  client.setNotificationHandler(
    ResourceUpdatedNotificationSchema,
    ({ params }) => void heard.push(JSON.stringify(params)),
  )
  await client.subscribeResource({ uri })
  return {
    heard,
    async close() {
      await transport.terminateSession()
      await client.close()
    },
  }
}

async function modernClient(access: Access, uri: string): Promise<Hearing> {
  const client = new Client2(ABOUT, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
  const heard: string[] = []
  await client.connect(new Http2(new URL(access.url), bearer(access)))
  client.setNotificationHandler('notifications/tools/list_changed', () => void heard.push('tools'))
  client.setNotificationHandler(
    'notifications/resources/updated',
    ({ params }) => void heard.push(JSON.stringify({ uri: params.uri })),
  )
  const filter = { toolsListChanged: true, resourceSubscriptions: [uri] }
  const listening = await client.listen(filter)
  expect(listening.honoredFilter).toEqual(filter)
  return {
    heard,
    async close() {
      await listening.close()
      await client.close()
    },
  }
}

describe.each([
  ['SDK 1', legacyClient],
  ['client 2 of 2026-07-28', modernClient],
])('%s', (_, connect) => {
  test.each(SERVERS)('hears of changes of %s, alone and among others', async (server) => {
    const uri = uriOf(server)
    const endpoints = [await gate.access(`only-${server}`), await gate.access('all', server)]
    const clients = await Promise.all(endpoints.map((access) => connect(access, uri)))
    await change(server)
    for (const { heard } of clients)
      await until('both changes', () => heard.includes('tools') && heard.includes(`{"uri":"${uri}"}`))
    // Once, although the server may have been told of the new listener in between.
    expect(clients.map(({ heard }) => heard.filter((one) => one !== 'tools').length)).toEqual([1, 1])
    for (const client of clients) await client.close()
    const upstream = upstreams[server]
    if (upstream !== undefined && server === 'web-old')
      await until(
        'the server is told that nobody wants it',
        () => upstream.count('resources/unsubscribe') > 0,
      )
  })
})

test('a listen says what it hears under the id that the client gave it, and ends with the project', async () => {
  await gate.daemon.apply([project('short', SERVERS)])
  const token = (await readFile(`${gate.daemon.home}/admin-credential`, 'utf8')).trim()
  const running = modernCaller({ url: endpoint(gate.daemon, 'short'), token }).begin(
    'subscriptions/listen',
    { notifications: { toolsListChanged: true, promptsListChanged: false, unknown: 1 } },
    9_007_199,
  )
  await until('acknowledged', () => running.messages.length > 0)
  await change('web-new')
  await until('a change', () => running.messages.length > 1)
  await gate.daemon.call('DELETE', '/api/v1/projects/short')
  const { messages, headers } = await running.answer
  const _meta = { 'io.modelcontextprotocol/subscriptionId': 9_007_199 }
  expect(headers['content-type']).toBe('text/event-stream')
  expect(messages[0]).toEqual({
    jsonrpc: '2.0',
    method: 'notifications/subscriptions/acknowledged',
    params: { notifications: { toolsListChanged: true }, _meta },
  })
  expect(messages[1]).toEqual({
    jsonrpc: '2.0',
    method: 'notifications/tools/list_changed',
    params: { _meta },
  })
  expect(messages.at(-1)).toEqual({
    jsonrpc: '2.0',
    id: 9_007_199,
    result: { resultType: 'complete', _meta },
  })
})

test('what a server has no way to tell is neither announced nor acknowledged', async () => {
  const access = await gate.access('quiet')
  const modern = modernCaller(access)
  const capabilities = { tools: {}, prompts: {}, resources: {} }
  expect(at((await modern.ask('server/discover')).reply, 'result.capabilities')).toMatchObject(capabilities)
  expect(at((await modern.ask('server/discover')).reply, 'result.capabilities.resources')).toEqual({})
  const legacy = await openLegacy(access)
  expect(at(legacy.opened, 'capabilities.tools')).toEqual({})
  const refused = await legacy.ask('resources/subscribe', { uri: 'fixture://note' })
  expect(at(refused.reply, 'error.code')).toBe(-32_601)
  const notifications = { toolsListChanged: true, resourceSubscriptions: ['fixture://note'] }
  const running = modern.begin('subscriptions/listen', { notifications })
  await until('acknowledged', () => running.messages.length > 0)
  expect(at(running.messages[0], 'params.notifications')).toEqual({})
  running.hangUp()
})

test('what a server announces and can be subscribed to is announced to clients of both eras', async () => {
  const access = await gate.access('only-web-new')
  const expected = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { listChanged: true, subscribe: true },
  }
  const { reply } = await modernCaller(access).ask('server/discover')
  expect(at(reply, 'result.capabilities')).toMatchObject(expected)
  expect(at((await openLegacy(access)).opened, 'capabilities')).toMatchObject(expected)
})

// oxfmt-ignore
test.each<[string, unknown]>([
  ['no filter',             undefined],
  ['a filter that is none', []],
  ['a flag that is none',   { toolsListChanged: 'yes' }],
  ['URIs that are none',    { resourceSubscriptions: [1] }],
  ['too many URIs',         { resourceSubscriptions: Array.from({ length: 2001 }, (_, i) => `fixture://${i}`) }],
])('a listen with %s is refused before it is acknowledged', async (_, notifications) => {
  const params = notifications === undefined ? {} : { notifications }
  const { reply, messages } = await modernCaller(await gate.access('all')).ask('subscriptions/listen', params)
  expect(messages).toHaveLength(1)
  expect(at(reply, 'error.code')).toBe(-32_602)
})

test('a listen is a method of the modern era only', async () => {
  const legacy = await openLegacy(await gate.access('all'))
  const { reply } = await legacy.ask('subscriptions/listen', { notifications: {} })
  expect(at(reply, 'error.code')).toBe(-32_601)
})
