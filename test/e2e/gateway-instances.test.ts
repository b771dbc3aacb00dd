import { hash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  createToken,
  endpoint,
  httpServer,
  modernCaller,
  openLegacy,
  project,
  secret,
  send,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Caller,
  type Gate,
} from './gateway-harness.ts'

const CANARY = 'c4n4ry-5f1d0e7a'
let gate: Gate
let keeps: Upstream
let keepsNot: Upstream
let ada: Access
let bob: Access

beforeAll(async () => {
  keeps = await startUpstream()
  keepsNot = await startUpstream({ style: 'modern' })
  const ref = (prefix?: string) => ({
    secretRef: { name: 'canary', key: 'value' },
    ...(prefix === undefined ? {} : { prefix }),
  })
  const headers = [
    { name: 'Authorization', valueFrom: ref('Bearer ') },
    { name: 'X-Team', value: 'blue' },
  ]
  gate = await startGate([
    secret('canary', { value: CANARY }),
    stdioServer('shared'),
    stdioServer('per-principal', [], { instances: 'per-principal' }),
    stdioServer('per-session', [], { instances: 'per-session' }),
    stdioServer('secretive', [], {
      env: [
        { name: 'API_KEY', valueFrom: ref('key-') },
        { name: 'PLAIN', value: 'yes' },
      ],
    }),
    httpServer('keeps', keeps.url, { headers }),
    httpServer('keeps-not', keepsNot.url, { headers }),
    project('main', ['shared', 'per-principal', 'per-session', 'secretive', 'keeps', 'keeps-not']),
  ])
  ada = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'ada') }
  bob = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'bob') }
})

afterAll(async () => {
  await gate?.end()
  await keeps?.close()
  await keepsNot?.close()
})

const instanceOf = async (caller: Caller, server: string): Promise<unknown> =>
  at(toolJson(await caller.ask('tools/call', { name: `${server}__about` })), 'instance')

describe('who shares one running copy', () => {
  /** Clients in this order: two sessions of Ada, one of Bob, Ada and Bob in the modern era. Same letter, same copy. */
  test.each([
    ['shared', 'AAAAA'],
    ['per-principal', 'AABAB'],
    ['per-session', 'ABCDE'],
  ])('%s: %s', async (server, pattern) => {
    const callers = [
      await openLegacy(ada),
      await openLegacy(ada),
      await openLegacy(bob),
      modernCaller(ada),
      modernCaller(bob),
    ]
    const seen = await Promise.all(callers.map((caller) => instanceOf(caller, server)))
    const letters = seen.map((instance) =>
      'ABCDE'.charAt(new Set(seen.slice(0, seen.indexOf(instance))).size),
    )
    expect(letters.join('')).toBe(pattern)
    expect(await Promise.all(callers.map((caller) => instanceOf(caller, server)))).toEqual(seen)
  })

  test('the copy of a session ends with it', async () => {
    const client = await openLegacy(ada)
    await instanceOf(client, 'per-session')
    const { instances } = await gate.status('per-session')
    await send(ada, { method: 'DELETE', headers: client.headers })
    await until(
      'one fewer',
      async () => (await gate.status('per-session'))['instances'] === Number(instances) - 1,
    )
  })

  test('an HTTP server that keeps sessions gets one for each client session, one that does not is shared', async () => {
    const call = async (caller: Caller, server: string) =>
      caller.ask('tools/call', { name: `${server}__echo`, arguments: { message: 'x' } })
    const session = (upstream: Upstream) => upstream.last('tools/call')?.headers['mcp-session-id']
    const [first, second] = [await openLegacy(ada), await openLegacy(ada)]
    await call(first, 'keeps')
    const one = session(keeps)
    await call(second, 'keeps')
    const two = session(keeps)
    await call(first, 'keeps')
    expect([typeof one, two === one, session(keeps) === one]).toEqual(['string', false, true])
    await call(first, 'keeps-not')
    expect(session(keepsNot)).toBeUndefined()
    expect(keepsNot.count('server/discover')).toBe(1)
  })

  test('calls of two clients with the same id and the same progress token do not meet', async () => {
    const [first, second] = [await openLegacy(ada), await openLegacy(bob)]
    const params = { name: 'shared__slow', arguments: { ms: 100 }, _meta: { progressToken: 1 } }
    const answers = await Promise.all([
      first.ask('tools/call', params, 1),
      second.ask('tools/call', params, 1),
    ])
    for (const { messages } of answers) {
      expect(messages.map((message) => at(message, 'params.progress') ?? message['id'])).toEqual([1, 2, 1])
    }
  })
})

describe('credentials', () => {
  test('the secret reaches the HTTP server, and nothing of the client does', async () => {
    for (const [server, upstream] of [
      ['keeps', keeps],
      ['keeps-not', keepsNot],
    ] as const) {
      for (const caller of [await openLegacy(ada), modernCaller(ada)])
        await caller.ask('tools/call', { name: `${server}__echo`, arguments: { message: 'x' } })
      for (const { headers, body } of upstream.seen) {
        expect(headers.authorization).toBe(`Bearer ${CANARY}`)
        expect(headers['x-team']).toBe('blue')
        expect(JSON.stringify(headers) + body).not.toContain(ada.token)
      }
    }
  })

  test('the secret reaches the child in its environment, with its prefix, and nothing of the daemon does', async () => {
    const client = await openLegacy(ada)
    const names = ['API_KEY', 'PLAIN', 'CASTELLAN_HOME', 'CASTELLAN_TOKEN']
    const { reply } = await client.ask('tools/call', { name: 'secretive__about', arguments: { names } })
    expect(JSON.parse(String(at(reply, 'result.content.0.text')))).toMatchObject({
      // Whatever a child says of its secrets does not reach a client.
      digests: [hash('sha256', `key-${CANARY}`), ...Array<unknown>(3).fill(expect.any(String))],
      env: { API_KEY: 'key-[redacted]', PLAIN: 'yes', CASTELLAN_HOME: null, CASTELLAN_TOKEN: null },
    })
  })

  test('no file of the home, no status and no log has it in the clear', async () => {
    const { home } = gate.daemon
    const entries = await readdir(home, { recursive: true, withFileTypes: true })
    for (const entry of entries.filter((one) => one.isFile())) {
      const bytes = await readFile(join(entry.parentPath, entry.name))
      expect(bytes.includes(CANARY), entry.name).toBe(false)
      expect(bytes.includes(ada.token), entry.name).toBe(false)
    }
    for (const path of [
      '/api/v1/servers',
      '/api/v1/secrets',
      '/api/v1/status?output=json',
      '/api/v1/audit?output=json',
    ])
      expect(JSON.stringify(await gate.daemon.call('GET', path)), path).not.toContain(CANARY)
  })
})
