import { afterAll, beforeAll, expect, test } from 'vitest'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  httpServer,
  jsonRpc,
  modernCaller,
  openLegacy,
  project,
  send,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Answer,
  type Gate,
  type Json,
  type LegacyCaller,
  type Running,
} from './gateway-harness.ts'
import { castellan, processesWith } from './system-harness.ts'

/* `kill -9` while two hundred clients of both eras are at work: what was open goes on, what was lost is said to be lost. */

const VERSIONS = ['2025-03-26', '2025-06-18', '2025-11-25'] as const
const LEGACY = 150
const LISTENS = 30
const PARKED = 20
const RUNNING = 10
const CAN = { _meta: { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } } }
const ASK = { name: 'asking__test_input_required_result_elicitation', arguments: {}, ...CAN }
const SLOW = { name: 'near__slow', arguments: { ms: 120_000 }, _meta: { progressToken: 'p' } }

const mark = `mark-${process.pid}-kill`
let upstream: Upstream
let reference: ReferenceServer
let gate: Gate
let access: Access

beforeAll(async () => {
  upstream = await startUpstream()
  reference = await startReferenceServer({ modern: false })
  gate = await startGate([
    stdioServer('near', [mark]),
    stdioServer('mine', [mark], { instances: 'per-principal' }),
    httpServer('far', upstream.url),
    httpServer('asking', reference.url),
    project('main', ['near', 'mine', 'far', 'asking']),
  ])
  access = await gate.access('main')
})
afterAll(async () => {
  await gate?.end()
  await upstream?.close()
  await reference?.close()
})

const many = <T>(count: number, one: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => one(i)))

const callOf = (i: number): Json =>
  i % 2 === 0 ? { name: 'far__echo', arguments: { message: 'hi' } } : { name: 'mine__about', arguments: {} }

const isAnswered = ({ status, reply }: Answer): boolean =>
  status === 200 && at(reply, 'result.content') !== undefined

interface Followed {
  readonly session: LegacyCaller
  /** Everything that came until the connection was cut. */
  readonly cut: Promise<string>
  readonly begun: Promise<void>
}

/** A call of a legacy session whose stream is read as bytes, since its event ids are wanted. */
function follow(session: LegacyCaller): Followed {
  const begun = Promise.withResolvers<void>()
  const read = async (): Promise<string> => {
    let text = ''
    const response = await fetch(access.url, {
      method: 'POST',
      headers: {
        ...session.headers,
        authorization: `Bearer ${access.token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: jsonRpc('slow-one', 'tools/call', SLOW),
    })
    try {
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk as Uint8Array).toString()
        if (text.includes('notifications/progress')) begun.resolve()
      }
    } catch {
      // Cut, as it should be.
    }
    return text
  }
  return { session, cut: read(), begun: begun.promise }
}

const sessionsAtServers = (): string[] => [...upstream.sessionIds(), ...reference.sessionIds()]

test('two hundred sessions of both eras and a daemon that is killed', async () => {
  const sessions = await many(LEGACY, (i) => openLegacy(access, VERSIONS[i % VERSIONS.length]))
  for (const answer of await many(LEGACY, (i) => sessions[i]!.ask('tools/call', callOf(i))))
    expect(isAnswered(answer), answer.text).toBe(true)
  const streams = await many(20, (i) => sessions[i]!.listen())
  const listens = await many(LISTENS, async (): Promise<Running> => {
    const listen = modernCaller(access).begin('subscriptions/listen', {
      notifications: { toolsListChanged: true },
    })
    await until('acknowledged', () => listen.messages.length > 0)
    return listen
  })
  const parked = await many(PARKED, async () => {
    const { reply, text } = await modernCaller(access).ask('tools/call', ASK)
    expect(at(reply, 'result.resultType'), text).toBe('input_required')
    return String(at(reply, 'result.requestState'))
  })
  const followed = sessions.slice(-RUNNING).map(follow)
  await Promise.all(followed.map(({ begun }) => begun))
  const running = Array.from({ length: RUNNING }, () => modernCaller(access).begin('tools/call', SLOW))
  await Promise.all(running.map((one) => until('it runs', () => one.messages.length > 0)))
  const left = sessionsAtServers()
  expect(left.length).toBeGreaterThan(LEGACY / 2)
  const before = new Set(processesWith(mark))
  expect(before.size).toBeGreaterThan(1)

  await gate.restart('SIGKILL')

  // Lost is lost, and whoever can be told is told.
  for (const one of [...streams, ...listens, ...running]) await expect(one.answer).rejects.toThrow()
  for (const { session, cut } of followed) {
    const last = [...(await cut).matchAll(/^id: (\S+)$/gm)].at(-1)?.[1]
    const headers = { ...session.headers, accept: 'text/event-stream', 'last-event-id': last }
    const { reply } = await send(access, {
      method: 'GET',
      headers: { ...headers, 'content-type': undefined },
    })
    expect(reply).toMatchObject({
      id: 'slow-one',
      error: { message: expect.stringMatching(/lost/) as unknown },
    })
  }
  for (const requestState of parked) {
    const { reply } = await modernCaller(access).ask('tools/call', {
      ...ASK,
      requestState,
      inputResponses: {},
    })
    expect(at(reply, 'result.isError')).toBe(true)
    expect(at(reply, 'result.content.0.text')).toMatch(/lost/)
  }

  // The same ids, without a new initialize.
  for (const answer of await many(LEGACY, (i) => sessions[i]!.ask('tools/call', callOf(i))))
    expect(isAnswered(answer), answer.text).toBe(true)
  const about = toolJson(await sessions[0]!.ask('tools/call', { name: 'near__about', arguments: {} }))
  expect(at(about, 'instance')).toEqual(expect.any(String))
  const again = await sessions[0]!.listen()
  await until('told that lists may have changed', () => again.messages.length > 0)
  again.hangUp()

  // Nothing of the old life is left over, here or at the servers, and the record holds.
  await until('its sessions are ended', () => !sessionsAtServers().some((id) => left.includes(id)), 15_000)
  expect(processesWith(mark).filter((pid) => before.has(pid))).toEqual([])
  expect((await castellan(['audit', 'verify'], { home: gate.daemon.home })).status).toBe(0)
}, 120_000)
