import { afterAll, beforeAll, expect, test } from 'vitest'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  at,
  httpServer,
  initializeParams,
  jsonRpc,
  modernCaller,
  openLegacy,
  project,
  resumeLegacy,
  send,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Json,
  type LegacyCaller,
  type Running,
} from './gateway-harness.ts'

/* Two daemons behind one address: any request of a session may arrive at either, and nothing shows that there are two. */

let fleet: Fleet
let reference: ReferenceServer
let atA: Access
let atB: Access

const NOTE = 'stdio://note'

beforeAll(async () => {
  reference = await startReferenceServer({ modern: false })
  fleet = await startFleet()
  await fleet.a.apply([
    stdioServer('one'),
    httpServer('asking', reference.url),
    project('main', ['one', 'asking']),
  ])
  ;({ atA, atB } = await accessAtBoth(fleet, 'main'))
  await until('both know the token', async () => (await modernCaller(atB).ask('tools/list')).status === 200)
})
afterAll(async () => {
  await fleet?.end()
  await reference?.close()
})

/** One session with two mouths. */
async function openBoth(capabilities: Json = {}): Promise<{ a: LegacyCaller; b: LegacyCaller }> {
  const { headers } = await send(atA, {
    body: jsonRpc(0, 'initialize', { ...initializeParams('2025-11-25'), capabilities }),
  })
  const session = String(headers['mcp-session-id'])
  return { a: resumeLegacy(atA, session), b: resumeLegacy(atB, session) }
}

const heard = (stream: Running, method: string) =>
  stream.messages.filter((message) => message['method'] === method)

/** The last id of an event in a stream that is still open is not shown by the harness: it is asked for in the raw. */
async function listenRaw(
  access: Access,
  headers: Readonly<Record<string, string>>,
): Promise<{ text: () => string; lastId: () => string; ended: Promise<void>; drop: () => void }> {
  const abort = new AbortController()
  const response = await fetch(access.url, {
    headers: { authorization: `Bearer ${access.token}`, accept: 'text/event-stream', ...headers },
    signal: abort.signal,
  })
  let text = ''
  const read = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString()
  }
  return {
    text: () => text,
    lastId: () => /.*^id: ?(\S+)/ms.exec(text)?.[1] ?? '',
    ended: read().catch(() => undefined),
    drop: () => abort.abort(),
  }
}

test('a session that was opened at one is used at the other, with what was set on either side', async () => {
  const { a, b } = await openBoth()
  expect((await b.ask('ping')).status).toBe(200)
  expect((await a.ask('logging/setLevel', { level: 'error' })).status).toBe(200)
  const levels = async (caller: LegacyCaller): Promise<unknown[]> => {
    const call = { name: 'one__slow', arguments: { logs: ['info', 'error'] } }
    const { messages } = await caller.ask('tools/call', call)
    return messages
      .filter(({ method }) => method === 'notifications/message')
      .map((one) => at(one, 'params.level'))
  }
  expect(await levels(b)).toEqual(['error'])
  expect((await b.ask('logging/setLevel', { level: 'info' })).status).toBe(200)
  expect(await levels(a)).toEqual(['info', 'error'])
})

test('ended at one, it is over at the other when the answer has come, and its stream there with it', async () => {
  const { a, b } = await openBoth()
  expect((await b.ask('ping')).status).toBe(200)
  const stream = await b.listen()
  expect((await send(atA, { method: 'DELETE', headers: a.headers })).status).toBe(200)
  expect((await b.ask('ping')).status).toBe(404)
  expect((await a.ask('ping')).status).toBe(404)
  await stream.answer.catch(() => 'cut')
})

test('a session of somebody else is not found at either', async () => {
  const { a } = await openBoth()
  const { atB: other } = await accessAtBoth(fleet, 'main', 'other')
  await until('it is known', async () => (await modernCaller(other).ask('tools/list')).status === 200)
  expect((await resumeLegacy(other, a.session).ask('ping')).status).toBe(404)
})

test('a call that runs at one is cancelled at the other', async () => {
  const { a, b } = await openBoth()
  const call = a.begin('tools/call', { name: 'one__slow', arguments: { ms: 600_000 } }, 'the-call')
  await until('it runs', async () => {
    const seen = toolJson(await a.ask('tools/call', { name: 'one__heard' })) as Json[]
    return seen.some((one) => at(one, 'params.arguments.ms') === 600_000)
  })
  expect((await b.notify('notifications/cancelled', { requestId: 'the-call' })).status).toBe(202)
  await call.answer.catch(() => undefined)
  await until('the server was told', async () => {
    const seen = toolJson(await a.ask('tools/call', { name: 'one__heard' })) as Json[]
    return seen.some(({ method }) => method === 'notifications/cancelled')
  })
})

test('a question that comes at one is answered at the other', async () => {
  const { a, b } = await openBoth({ elicitation: {} })
  const call = a.begin('tools/call', { name: 'asking__test_elicitation', arguments: { message: 'Who?' } })
  const stream = await a.listen()
  const question = await until('the question', () =>
    [...call.messages, ...stream.messages].find(({ method }) => method === 'elicitation/create'),
  )
  const result = { action: 'accept', content: { username: 'ada', email: 'ada@example.com' } }
  const body = JSON.stringify({ jsonrpc: '2.0', id: question['id'], result })
  // Nobody else's answer counts, wherever it arrives.
  const { b: stranger } = await openBoth()
  expect((await send(atB, { body, headers: stranger.headers })).status).toBe(202)
  expect((await send(atB, { body, headers: b.headers })).status).toBe(202)
  const { reply } = await call.answer
  expect(JSON.stringify(reply['result'])).toContain('ada')
  stream.hangUp()
})

test('what is said at one reaches the stream that hangs at the other', async () => {
  const { a, b } = await openBoth()
  await a.ask('resources/subscribe', { uri: NOTE })
  const stream = await b.listen()
  // The copy that A runs: B's own has not changed.
  await until('an update', async () => {
    await a.ask('tools/call', { name: 'one__touch', arguments: { uri: NOTE } })
    return heard(stream, 'notifications/resources/updated').length > 0
  })
  const before = heard(stream, 'notifications/resources/updated').length
  await a.ask('resources/unsubscribe', { uri: NOTE })
  await a.ask('tools/call', { name: 'one__touch', arguments: { uri: NOTE } })
  // Subscribed at one while the stream hangs at the other, and changed there.
  await a.ask('resources/subscribe', { uri: NOTE })
  await until('an update of the copy at B', async () => {
    await b.ask('tools/call', { name: 'one__touch', arguments: { uri: NOTE } })
    return heard(stream, 'notifications/resources/updated').length > before
  })
  stream.hangUp()
})

test('a newer stream at one takes the place of the older at the other', async () => {
  const { a, b } = await openBoth()
  expect((await b.ask('ping')).status).toBe(200)
  const older = await a.listen()
  // Two streams that are opened in the same instant have no order: the older one is known at both before the newer comes.
  await b.ask('resources/subscribe', { uri: NOTE })
  await b.ask('tools/call', { name: 'one__touch', arguments: { uri: NOTE } })
  await until('it is known at the other', () => heard(older, 'notifications/resources/updated').length > 0)
  const newer = await b.listen()
  await older.answer
  await b.ask('tools/call', { name: 'one__grow' })
  await until('the list has changed', () => heard(newer, 'notifications/tools/list_changed').length > 0)
  newer.hangUp()
})

test('a stream that was cut at one goes on at the other, where it was', async () => {
  const { a, b } = await openBoth()
  const first = await listenRaw(atA, a.headers)
  await until('it has an id', () => first.lastId() !== '')
  await a.ask('resources/subscribe', { uri: NOTE })
  first.drop()
  await first.ended
  await a.ask('tools/call', { name: 'one__touch', arguments: { uri: NOTE } })
  const second = await listenRaw(atB, { ...b.headers, 'last-event-id': first.lastId() })
  await until('what was missed', () => second.text().includes('resources/updated'))
  // It is still the stream of A: what happens there from now on comes too.
  const length = second.text().length
  await a.ask('tools/call', { name: 'one__touch', arguments: { uri: NOTE } })
  await until('what comes', () => second.text().slice(length).includes('resources/updated'))
  second.drop()
  await second.ended
})

test('the answer to a call whose connection was lost at one is fetched at the other', async () => {
  const { a, b } = await openBoth()
  const abort = new AbortController()
  const response = await fetch(atA.url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${atA.token}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...a.headers,
    },
    body: jsonRpc('slow', 'tools/call', {
      name: 'one__slow',
      arguments: { ms: 300, logs: ['error'] },
      _meta: { progressToken: 'p' },
    }),
    signal: abort.signal,
  })
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString()
    if (text.includes('notifications/progress')) break
  }
  abort.abort()
  const id = /^id: ?(\S+)/m.exec(text)?.[1] ?? ''
  const rest = await listenRaw(atB, { ...b.headers, 'last-event-id': id })
  await rest.ended
  expect(rest.text()).toContain('"id":"slow"')
  expect(rest.text()).toContain('done')
})

test('when one is killed, the other serves its sessions: a fresh stream, and what may have changed', async () => {
  const c = await fleet.another()
  const atC = { ...atA, url: atA.url.replace(fleet.a.origin, c.origin) }
  await until('it knows the token', async () => (await modernCaller(atC).ask('tools/list')).status === 200)
  const opened = await openLegacy(atC)
  await opened.ask('resources/subscribe', { uri: NOTE })
  const stream = await listenRaw(atC, opened.headers)
  await until('it has an id', () => stream.lastId() !== '')
  process.kill(c.pid, 'SIGKILL')
  await stream.ended
  const b = resumeLegacy(atB, opened.session)
  const again = await listenRaw(atB, { ...b.headers, 'last-event-id': stream.lastId() })
  await until('what may have changed', () => again.text().includes('tools/list_changed'))
  await until('subscribed again, at B', async () => {
    await b.ask('tools/call', { name: 'one__touch', arguments: { uri: NOTE } })
    return again.text().includes('resources/updated')
  })
  again.drop()
  await again.ended
})
