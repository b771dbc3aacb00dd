import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSseParser } from '../../src/protocol/sse.ts'
import {
  at,
  httpServer,
  jsonRpc,
  modernHeaders,
  modernMeta,
  openLegacy,
  project,
  startGate,
  until,
  type Access,
  type Gate,
  type Json,
} from './gateway-harness.ts'

/** Clients that read slowly, or not at all, of servers that have much to say. */

const EVENTS = 320
const EVENT_CHARS = 128 * 1024
const ALL_CHARS = EVENTS * EVENT_CHARS

/** A server of either era whose one tool says 40 MB on the way to its answer, as fast as it is let. */
function startTalker(era: 'legacy' | 'modern') {
  const talker = { sent: 0, hungUp: false }
  const result = (id: unknown, value: object) =>
    JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...value } })
  const talk = async (id: unknown, token: unknown, response: ServerResponse): Promise<void> => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const closed = new Promise<void>((resolve) => {
      response.once('close', resolve)
    })
    void closed.then(() => (talker.hungUp = !response.writableFinished))
    for (let progress = 1; progress <= EVENTS && !talker.hungUp; progress++) {
      const params = { progressToken: token, progress, message: 'x'.repeat(EVENT_CHARS) }
      const text = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params })
      if (!response.write(`data: ${text}\n\n`))
        await Promise.race([new Promise((resolve) => response.once('drain', resolve)), closed])
      talker.sent += EVENT_CHARS
    }
    response.end(`data: ${result(id, { content: [] })}\n\n`)
  }
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method !== 'POST') return void response.writeHead(405).end()
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const message = JSON.parse(body) as { id?: unknown; method: string; params?: Json }
    const say = (value: object): void =>
      void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(result(message.id, { ttlMs: 0, cacheScope: 'private', ...value }))
    if (message.id === undefined) return void response.writeHead(202).end()
    if (message.method === 'tools/list')
      return say({ tools: [{ name: 'talk', inputSchema: { type: 'object' } }] })
    if (message.method === 'tools/call')
      return talk(message.id, at(message.params, '_meta.progressToken'), response)
    if (message.method === 'initialize' && era === 'legacy')
      return say({
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 't', version: '1' },
      })
    if (message.method === 'server/discover' && era === 'modern')
      return say({ supportedVersions: ['2026-07-28'], capabilities: { tools: {} } })
    const error = { code: -32601, message: 'no such method' }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, error }))
  }
  const server = createServer((request, response) => void serve(request, response))
  return new Promise<{ talker: typeof talker; url: string; close(): void }>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      const close = (): void => {
        server.closeAllConnections()
        server.close()
      }
      resolve({ talker, url: `http://127.0.0.1:${port}/mcp`, close })
    })
  })
}

let gate: Gate
let access: Access
const talkers = new Map<string, Awaited<ReturnType<typeof startTalker>>>()

beforeAll(async () => {
  for (const era of ['legacy', 'modern'] as const) talkers.set(era, await startTalker(era))
  gate = await startGate([
    ...[...talkers].map(([era, { url }]) => httpServer(era, url)),
    project('main', [...talkers.keys()]),
  ])
  access = await gate.access('main')
})

afterAll(async () => {
  await gate?.end()
  for (const talker of talkers.values()) talker.close()
})

/** Calls the tool and reads nothing until it is told to. */
async function callSlowly(client: 'legacy' | 'modern', server: string) {
  const _meta = client === 'modern' ? modernMeta({ progressToken: 'p' }) : { progressToken: 'p' }
  const params: Json = { name: `${server}__talk`, arguments: {}, _meta }
  const headers =
    client === 'legacy' ? (await openLegacy(access)).headers : modernHeaders('tools/call', params)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest(
      access.url,
      {
        method: 'POST',
        agent: false,
        headers: {
          ...headers,
          authorization: `Bearer ${access.token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
      },
      resolve,
    )
    request.on('error', reject)
    request.end(jsonRpc('slow', 'tools/call', params))
  })
  response.on('error', () => {})
  return response
}

/** How much the server could say once nothing moves any more. */
async function settled(talker: { sent: number }): Promise<number> {
  for (let before = -1; before !== talker.sent;) {
    before = talker.sent
    await sleep(300)
  }
  return talker.sent
}

test.each([
  ['legacy', 'legacy'],
  ['modern', 'modern'],
] as const)(
  'a %s client that does not read holds its %s server back, and gets everything when it does',
  async (client, server) => {
    const { talker } = talkers.get(server)!
    Object.assign(talker, { sent: 0, hungUp: false })
    const response = await callSlowly(client, server)
    const sent = await settled(talker)
    // What lies in the buffers of kernels and of the two ends, not what the server has to say.
    expect(sent).toBeLessThan(ALL_CHARS / 2)
    const seen: number[] = []
    let answered = false
    const parser = createSseParser(1 << 24, ({ data }) => {
      if (data.length === 0) return
      const message = JSON.parse(data.toString()) as Json
      if (message['id'] === 'slow') answered = true
      else seen.push(at(message, 'params.progress') as number)
    })
    for await (const chunk of response) parser.feed(chunk as Buffer)
    expect([seen.length, seen[0], seen.at(-1), answered]).toEqual([EVENTS, 1, EVENTS, true])
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
  },
)

test.each(['legacy', 'modern'] as const)(
  'a %s client that leaves while its server waits for it ends the wait',
  async (client) => {
    const { talker } = talkers.get('legacy')!
    Object.assign(talker, { sent: 0, hungUp: false })
    const response = await callSlowly(client, 'legacy')
    await settled(talker)
    response.destroy()
    // For a modern client that is the cancellation; for a legacy one the call goes on to its end.
    if (client === 'modern') await until('the server hears of it', () => talker.hungUp)
    else await until('the server can finish', () => talker.sent === ALL_CHARS)
  },
)
