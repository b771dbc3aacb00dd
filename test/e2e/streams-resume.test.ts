import { Client } from '@modelcontextprotocol/sdk/client'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSseParser } from '../../src/protocol/sse.ts'
import {
  at,
  jsonRpc,
  openLegacy,
  project,
  send,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Gate,
  type LegacyCaller,
} from './gateway-harness.ts'

/** Streams of legacy clients that lose their connection, and what becomes of what was said meanwhile. */

let gate: Gate
let access: Access

beforeAll(async () => {
  gate = await startGate([stdioServer('one'), project('main', ['one'])])
  access = await gate.access('main')
})

afterAll(() => gate?.end())

interface Heard {
  readonly id: string | undefined
  readonly message: Record<string, unknown> | undefined
}

/** An event stream with the ids of its events. */
interface Stream {
  readonly heard: Heard[]
  readonly status: number
  readonly ended: Promise<void>
  lastId(): string
  drop(): void
}

function open(
  caller: LegacyCaller,
  { body, lastId, to = access }: { body?: string; lastId?: string; to?: Access },
): Promise<Stream> {
  const headers = {
    authorization: `Bearer ${to.token}`,
    accept: body === undefined ? 'text/event-stream' : 'application/json, text/event-stream',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
    ...caller.headers,
  }
  const heard: Heard[] = []
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST'
    const request = httpRequest(to.url, { method, headers, agent: false }, (response) => {
      const parser = createSseParser(1 << 26, ({ id, data }) =>
        heard.push({
          id,
          message: data.length === 0 ? undefined : (JSON.parse(data.toString()) as Record<string, unknown>),
        }),
      )
      const ended = new Promise<void>((done) => {
        response.once('close', done)
      })
      response.on('data', (chunk: Buffer) => parser.feed(chunk))
      resolve({
        heard,
        status: response.statusCode ?? 0,
        ended,
        lastId: () => heard.at(-1)?.id ?? '',
        drop: () => void request.destroy(),
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

const slow = (id: unknown, ms: number): string =>
  jsonRpc(id, 'tools/call', { name: 'one__slow', arguments: { ms, logs: ['info', 'error'] } })

const methods = (stream: Stream): unknown[] =>
  stream.heard.map(({ message }) => message?.['method']).filter((method) => method !== undefined)
const answerOf = (stream: Stream): Heard | undefined =>
  stream.heard.find(({ message }) => message !== undefined && 'id' in message)

test('a call whose connection is lost goes on, and its answer is there for whoever asks with the last id', async () => {
  const client = await openLegacy(access)
  const posted = await open(client, { body: slow('call 1', 600) })
  await until('a message on the way', () => methods(posted).length > 0)
  const [primer, first] = posted.heard
  expect([primer?.message, typeof primer?.id]).toEqual([undefined, 'string'])
  posted.drop()
  const resumed = await open(client, { lastId: first?.id ?? '' })
  await resumed.ended
  expect(methods(resumed)).toEqual(['notifications/message'])
  expect(at(answerOf(resumed)?.message, 'id')).toBe('call 1')
  expect(at(answerOf(resumed)?.message, 'result.content.0.text')).toBe('"done"')
  // Asked once more: all of it again, since nobody can tell what has arrived.
  const again = await open(client, { lastId: primer?.id ?? '' })
  await again.ended
  expect([methods(again).length, at(answerOf(again)?.message, 'id')]).toEqual([2, 'call 1'])
  // Nothing follows the end.
  expect((await open(client, { lastId: resumed.lastId() })).status).toBe(405)
})

test('an id is good for the session that it was made for, and for no other', async () => {
  const [own, other] = [await openLegacy(access), await openLegacy(access)]
  const posted = await open(own, { body: slow(1, 100) })
  await posted.ended
  const stolen = await open(other, { lastId: posted.heard[0]?.id ?? '' })
  await stolen.ended
  expect([at(answerOf(stolen)?.message, 'error.code'), methods(stolen)]).toEqual([-32603, []])
})

test('what changes while a client is cut off is said when it is back, once', async () => {
  const client = await openLegacy(access)
  await client.ask('tools/list')
  const first = await open(client, {})
  first.drop()
  await first.ended
  await client.ask('tools/call', { name: 'one__grow' })
  await until('the list has grown', async () => {
    const { reply } = await client.ask('tools/list')
    return (at(reply, 'result.tools') as unknown[]).length > 7
  })
  const second = await open(client, { lastId: first.lastId() })
  await until('list_changed', () => methods(second).includes('notifications/tools/list_changed'))
  second.drop()
  await second.ended
  const third = await open(client, { lastId: second.lastId() })
  expect((await client.ask('ping')).status).toBe(200)
  expect(methods(third)).toEqual([])
  third.drop()
})

test.each(['1', 'nonsense', 'AAAAAAAA.1.1', '../../etc', 'a.b.c.d'])(
  'an id that is not known (%s) gets a fresh stream, and what may have changed',
  async (lastId) => {
    const client = await openLegacy(access)
    await client.ask('resources/subscribe', { uri: 'stdio://note' })
    const stream = await open(client, { lastId })
    await until('all that may have changed', () => methods(stream).length >= 4)
    expect(new Set(methods(stream))).toEqual(
      new Set([
        'notifications/tools/list_changed',
        'notifications/prompts/list_changed',
        'notifications/resources/list_changed',
        'notifications/resources/updated',
      ]),
    )
    stream.drop()
  },
)

/** The official client, through a network that cuts the connection of a call after its first event. */
async function sdkClient(cuts: { left: number }) {
  const fetchAndCut = async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(url, init)
    const { body } = response
    const isCall = typeof init?.body === 'string' && init.body.includes('tools/call')
    if (body === null || !isCall || cuts.left === 0) return response
    cuts.left--
    const reader = body.getReader()
    const cut = new ReadableStream({
      async pull(controller) {
        const { value } = await reader.read()
        if (value !== undefined) controller.enqueue(value)
        await new Promise((resolve) => {
          setTimeout(resolve, 50)
        })
        controller.error(new Error('cut'))
        await reader.cancel()
      },
    })
    return new Response(cut, { status: response.status, headers: response.headers })
  }
  const client = new Client({ name: 'test', version: '1' })
  const logged: unknown[] = []
  client.setNotificationHandler(
    LoggingMessageNotificationSchema,
    ({ params }) => void logged.push(params.data),
  )
  const transport = new StreamableHTTPClientTransport(new URL(access.url), {
    fetch: fetchAndCut,
    requestInit: { headers: { authorization: `Bearer ${access.token}` } },
  })
  await client.connect(transport)
  return { client, logged }
}

test('the official client that loses the connection of a call gets its answer all the same', async () => {
  const { client, logged } = await sdkClient({ left: 1 })
  const result = await client.callTool({ name: 'one__slow', arguments: { ms: 500, logs: ['info', 'error'] } })
  expect(result['content']).toEqual([{ type: 'text', text: '"done"' }])
  // Each message once, cut or not.
  expect(logged).toEqual(['about info', 'about error'])
  await client.close()
})

test('a call that runs when the daemon is killed is reported as lost to whoever comes back for its answer', async () => {
  const { client } = await sdkClient({ left: 0 })
  const raw = await openLegacy(access)
  const params = { name: 'one__slow', arguments: { ms: 60_000 }, _meta: { progressToken: 1 } }
  const posted = await open(raw, { body: jsonRpc(41, 'tools/call', params) })
  let told = false
  const called = client.callTool({ name: 'one__slow', arguments: { ms: 60_000 } }, undefined, {
    onprogress: () => void (told = true),
  })
  called.catch(() => undefined)
  await until('both are under way', () => methods(posted).length > 0 && told)
  await gate.restart('SIGKILL')
  await expect(called).rejects.toThrow(/answer to this call was lost/)
  const resumed = await open(raw, { lastId: posted.lastId() })
  await resumed.ended
  expect(at(answerOf(resumed)?.message, 'id')).toBe(41)
  expect(at(answerOf(resumed)?.message, 'error.code')).toBe(-32603)
  expect((await open(raw, { lastId: resumed.lastId() })).status).toBe(405)
  // The session itself goes on.
  expect(toolJson(await raw.ask('tools/call', { name: 'one__slow' }))).toBe('done')
  await client.close()
})

test('the end of a session forgets its streams', async () => {
  const client = await openLegacy(access)
  const posted = await open(client, { body: slow(1, 0) })
  await posted.ended
  await send(access, { method: 'DELETE', headers: client.headers })
  expect((await open(client, { lastId: posted.lastId() })).status).toBe(404)
})
