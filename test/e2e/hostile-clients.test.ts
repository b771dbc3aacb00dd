import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPlayServer, type PlayServer } from '../fixtures/play-server.ts'
import {
  at,
  commandServer,
  httpServer,
  initializeParams,
  jsonRpc,
  modernCaller,
  modernHeaders,
  modernMeta,
  openLegacy,
  project,
  send,
  startGate,
  until,
  type Access,
  type Answer,
  type Gate,
  type Json,
} from './gateway-harness.ts'

/* Clients that do what no client should, or that simply go away. */

const PLAY = new URL('../fixtures/stdio-play.js', import.meta.url).pathname
const ELICIT =
  '{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}'
const CAN = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } }

let play: PlayServer
let gate: Gate
let access: Access

beforeAll(async () => {
  play = await startPlayServer('legacy')
  const mounts = [{ path: dirname(PLAY) }]
  gate = await startGate([
    commandServer('pipe', process.execPath, [PLAY], { mounts }),
    commandServer('brief', process.execPath, [PLAY], { mounts, timeouts: { answerSeconds: 1 } }),
    httpServer('http', play.url, { timeouts: { answerSeconds: 1 } }),
    httpServer('web', play.url),
    project('all', ['pipe', 'brief', 'http', 'web']),
  ])
  access = await gate.access('all')
})
afterAll(async () => {
  await gate?.end()
  await play?.close()
})

async function openThings(): Promise<Record<string, number>> {
  const credential = (await readFile(join(gate.daemon.home, 'admin-credential'), 'utf8')).trim()
  const headers = { authorization: `Bearer ${credential}` }
  const text = await (await fetch(`${gate.daemon.origin}/metrics`, { headers })).text()
  const lines = text.matchAll(/^castellan_mcp_(\w+) (\d+)$/gm)
  return Object.fromEntries(Array.from(lines, ([, name = '', value]) => [name, Number(value)]))
}

const codeOf = ({ status, reply }: Answer): readonly unknown[] => [status, at(reply, 'error.code')]

describe('what a modern body says and its headers do not', () => {
  const METHODS: readonly (readonly [method: string, params: Json])[] = [
    ['tools/call', { name: 'pipe__play', arguments: {} }],
    ['prompts/get', { name: 'pipe__any' }],
    ['resources/read', { uri: 'a://b' }],
    ['tools/list', {}],
    ['server/discover', {}],
    ['completion/complete', { ref: { type: 'ref/prompt', name: 'pipe__any' } }],
    ['subscriptions/listen', { notifications: {} }],
  ]
  const WRONG: Readonly<Record<string, readonly (string | undefined)[]>> = {
    'mcp-protocol-version': [
      undefined,
      '',
      '2025-11-25',
      '2024-11-05',
      '2026-07-29',
      '2026-07-28, 2026-07-28',
    ],
    'mcp-method': [undefined, '', 'ping', 'TOOLS/CALL', 'tools/lists', '=?base64?dG9vbHMvY2FsbA==?='],
    'mcp-name': [undefined, '', 'other', 'PIPE__PLAY', '=?base64?????=', '=?base64?b3RoZXI?='],
  }

  test.each(METHODS)('%s', async (method, params) => {
    const body = jsonRpc(5, method, { ...params, _meta: modernMeta() })
    const right = modernHeaders(method, params)
    for (const header of Object.keys(right)) {
      for (const value of WRONG[header] ?? []) {
        const answer = await send(access, { body, headers: { ...right, [header]: value } })
        expect([header, value, ...codeOf(answer), answer.reply['id']]).toEqual([
          header,
          value,
          400,
          -32020,
          5,
        ])
      }
    }
  })

  test.each(['', '1', '2025-11-25', '2026-07-29', '9999-99-99', 'latest', '2026-07-28 '])(
    'the revision %o',
    async (version) => {
      const _meta = modernMeta({ 'io.modelcontextprotocol/protocolVersion': version })
      const headers = { ...modernHeaders('tools/list'), 'mcp-protocol-version': version }
      const answer = await send(access, { body: jsonRpc(5, 'tools/list', { _meta }), headers })
      expect(answer.status).toBe(400)
      expect([-32022, -32020]).toContain(at(answer.reply, 'error.code'))
    },
  )

  test('a legacy body under a modern header, and a modern initialize', async () => {
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' }
    expect(codeOf(await send(access, { body: jsonRpc(1, 'tools/list', {}), headers }))).toEqual([400, -32602])
    const opening = jsonRpc(1, 'initialize', initializeParams('2025-11-25'))
    expect(codeOf(await send(access, { body: opening, headers }))).toEqual([400, -32020])
    const modern = jsonRpc(1, 'initialize', { ...initializeParams('2026-07-28'), _meta: modernMeta() })
    expect(codeOf(await send(access, { body: modern, headers: modernHeaders('initialize') }))).toEqual([
      404, -32601,
    ])
  })

  test('a modern request with the headers of a legacy session is one without', async () => {
    const session = await openLegacy(access)
    const headers = { ...session.headers, ...modernHeaders('tools/list'), 'last-event-id': '../../1' }
    const answer = await send(access, { body: jsonRpc(1, 'tools/list', { _meta: modernMeta() }), headers })
    expect(answer.status).toBe(200)
    expect(answer.headers['mcp-session-id']).toBeUndefined()
    await send(access, { method: 'DELETE', headers: session.headers })
  })

  test.each(['2023-01-01', '2026-07-29', 'x'.repeat(300), ''])(
    'a legacy session under the revision %o',
    async (version) => {
      const session = await openLegacy(access)
      const headers = { ...session.headers, 'mcp-protocol-version': version }
      expect((await send(access, { body: jsonRpc(1, 'ping'), headers })).status).toBe(400)
      expect((await session.ask('ping')).status).toBe(200)
      await send(access, { method: 'DELETE', headers: session.headers })
    },
  )
})

test('requests of one session under one id are answered each, and a cancellation leaves none open', async () => {
  const session = await openLegacy(access)
  const call = { name: 'pipe__play', arguments: {} }
  const same = await Promise.all([1, 2, 3, 4].map(() => session.ask('tools/call', call, 'same')))
  expect(same.map(({ status, reply }) => [status, reply['id'], 'result' in reply])).toEqual(
    same.map(() => [200, 'same', true]),
  )
  const silent = { name: 'pipe__play', arguments: { end: 'silent' } }
  let over = 0
  const running = [1, 2, 3].map(() => session.begin('tools/call', silent, 'again'))
  for (const { answer } of running) void answer.finally(() => over++).catch(() => undefined)
  await until('one is stopped', async () => {
    await session.notify('notifications/cancelled', { requestId: 'again' })
    return over > 0
  })
  await send(access, { method: 'DELETE', headers: session.headers })
  await until('the session stops the others', () => over === 3)
  await until('no session', async () => (await openThings())['sessions'] === 0)
})

async function park(server: string): Promise<{ readonly retry: () => Promise<Answer> }> {
  const params = { name: `${server}__play`, arguments: { frames: [ELICIT], answers: 1 }, _meta: CAN }
  const { reply, text } = await modernCaller(access).ask('tools/call', params)
  const [key] = Object.keys(at(reply, 'result.inputRequests') ?? {})
  if (key === undefined) throw new Error(`not asked: ${text}`)
  const requestState = at(reply, 'result.requestState')
  const inputResponses = { [key]: { action: 'accept' } }
  return { retry: () => modernCaller(access).ask('tools/call', { ...params, requestState, inputResponses }) }
}

test.each(['brief', 'http'])(
  'a client that never comes back (server over %s): the call is given up, the server told, the state too old',
  async (server) => {
    const before = (await openThings())['expired_calls_total'] ?? NaN
    const { retry } = await park(server)
    expect((await openThings())['parked_calls']).toBe(1)
    await until('it is given up', async () => (await openThings())['parked_calls'] === 0)
    expect((await openThings())['expired_calls_total']).toBe(before + 1)
    if (server === 'http')
      await until('the server is told', () => play.seen.includes('notifications/cancelled'))
    const late = await retry()
    expect([codeOf(late), at(late.reply, 'result.isError')]).toContainEqual(
      at(late.reply, 'error') === undefined ? true : [200, -32602],
    )
    expect((await openThings())['parked_calls']).toBe(0)
  },
)

test('kill -9 of the daemon while calls are parked: each is told to be lost, none is made again', async () => {
  const parked = await Promise.all(['pipe', 'web'].map(park))
  await gate.restart('SIGKILL')
  for (const { retry } of parked) {
    const { status, reply } = await retry()
    expect([status, at(reply, 'result.isError')]).toEqual([200, true])
    expect(String(at(reply, 'result.content.0.text'))).toMatch(/lost/)
  }
  expect(await openThings()).toMatchObject({ parked_calls: 0, open_questions: 0 })
})

test('two thousand sessions, opened and dropped in every way, leave nothing', async () => {
  const open = async (i: number): Promise<void> => {
    const session = await openLegacy(access)
    if (i % 2 === 0) await session.ask('tools/list')
    if (i % 3 === 0) {
      const stream = await session.listen()
      stream.hangUp()
    }
    if (i % 5 === 0)
      session.begin('tools/call', { name: 'pipe__play', arguments: { end: 'silent' } }).hangUp()
    await send(access, { method: 'DELETE', headers: session.headers })
  }
  for (let from = 0; from < 2000; from += 20)
    await Promise.all(Array.from({ length: 20 }, (_, i) => open(from + i)))
  await until('no session is left', async () => (await openThings())['sessions'] === 0)
  expect(await openThings()).toMatchObject({ parked_calls: 0, open_questions: 0, listens: 0 })
  // What is shared stays: a connection of each server for lists and calls, and the streams of two of them.
  await until('connections are few', async () => ((await openThings())['connections'] ?? 0) <= 8)
  await until('nothing is open at the server', () => play.open() <= 4)
})
