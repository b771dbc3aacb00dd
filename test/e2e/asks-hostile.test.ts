import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import {
  at,
  commandServer,
  createToken,
  endpoint,
  httpServer,
  initializeParams,
  jsonRpc,
  modernCaller,
  project,
  resumeLegacy,
  send,
  startGate,
  until,
  type Access,
  type Answer,
  type Gate,
  type Json,
  type LegacyCaller,
} from './gateway-harness.ts'

/* Questions and answers that nobody should send, and clients that do not come back. */

const LEGACY = ['http', 'stdio'] as const
const CAN = { elicitation: {} }
const META = { _meta: { 'io.modelcontextprotocol/clientCapabilities': CAN } }
const ADA = { action: 'accept', content: { name: 'Ada' } }
const checkout = new URL('../..', import.meta.url).pathname
const program = new URL('../fixtures/reference-stdio.ts', import.meta.url).pathname

const references: ReferenceServer[] = []
let gate: Gate
let ada: Access
let bob: Access

beforeAll(async () => {
  for (const legacy of [true, false]) references.push(await startReferenceServer({ legacy, modern: !legacy }))
  const [legacy, modern] = references
  const mounts = [{ path: checkout }]
  gate = await startGate([
    httpServer('http', legacy!.url),
    httpServer('modern', modern!.url),
    commandServer('stdio', process.execPath, [program, 'legacy'], { mounts }),
    httpServer('brief', legacy!.url, { timeouts: { answerSeconds: 1 } }),
    project('main', ['http', 'stdio', 'modern', 'brief']),
  ])
  ada = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'ada') }
  bob = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'bob') }
})
afterAll(async () => {
  await gate?.end()
  await Promise.all(references.map((reference) => reference.close()))
})

/** What `/metrics` says that is open. */
async function openThings(): Promise<{ readonly parked: number; readonly questions: number }> {
  const credential = (await readFile(join(gate.daemon.home, 'admin-credential'), 'utf8')).trim()
  const headers = { authorization: `Bearer ${credential}` }
  const text = await (await fetch(`${gate.daemon.origin}/metrics`, { headers })).text()
  const valueOf = (name: string) => Number(new RegExp(`^castellan_mcp_${name} (\\d+)$`, 'm').exec(text)?.[1])
  return { parked: valueOf('parked_calls'), questions: valueOf('open_questions') }
}

const nothingOpen = () =>
  until('nothing is open', async () => {
    const { parked, questions } = await openThings()
    return parked === 0 && questions === 0
  })

const call = (access: Access, params: Json): Promise<Answer> =>
  modernCaller(access).ask('tools/call', { ...META, ...params })

interface Parked {
  readonly call: Json
  readonly key: string
  readonly state: string
}

async function park(params: Json): Promise<Parked> {
  const answer = await call(ada, params)
  return { ...parkedIn(answer), call: params }
}

function parkedIn({ reply, text }: Answer): Omit<Parked, 'call'> {
  const [key] = Object.keys(at(reply, 'result.inputRequests') ?? {})
  if (key === undefined) throw new Error(`not asked: ${text}`)
  return { key, state: String(at(reply, 'result.requestState')) }
}

const answerTo = (parked: Parked, more: Json = {}): Json => ({
  ...parked.call,
  requestState: parked.state,
  inputResponses: { [parked.key]: ADA },
  ...more,
})

const textOf = ({ reply }: Answer): unknown => at(reply, 'result.content.0.text')
const codeOf = ({ reply }: Answer): unknown => at(reply, 'error.code')

/** What the server has seen of calls that wait; who cannot be asked need not wait for a turn. */
async function seenBy(server: string): Promise<{ readonly waiting: number; readonly aborted: number }> {
  const said = textOf(await modernCaller(ada).ask('tools/call', { name: `${server}__seen`, arguments: {} }))
  return JSON.parse(String(said)) as { waiting: number; aborted: number }
}

test('who does not come back in time finds nothing: the server is told, the state is too old, nothing stays open', async () => {
  const parked = await park({ name: 'brief__test_input_required_result_elicitation', arguments: {} })
  await nothingOpen()
  await until('the server waits no more', async () => (await seenBy('brief')).waiting === 0)
  const late = await call(ada, answerTo(parked))
  expect(codeOf(late)).toBe(-32602)
  expect(at(late.reply, 'error.message')).toMatch(/too old/)
})

test('a legacy client that gives no answer in time is told so, and the server that nobody did', async () => {
  const client = await openAsked(ada)
  const answer = await client.ask('tools/call', { name: 'brief__test_input_required_result_elicitation' })
  expect(answer.text).not.toContain('Hello')
  await nothingOpen()
})

describe.each(LEGACY)('a modern client of a legacy server over %s', (server) => {
  const ASK = { name: `${server}__test_input_required_result_elicitation`, arguments: {} }
  const finish = async (parked: Parked) =>
    expect(textOf(await call(ada, answerTo(parked)))).toBe('Hello, Ada!')

  test('a state that was altered, cut, made up or sealed by somebody else goes nowhere, and spoils nothing', async () => {
    const parked = await park(ASK)
    const middle = Math.floor(parked.state.length / 2)
    const other = parked.state[middle] === 'A' ? 'B' : 'A'
    const states = [
      `${parked.state.slice(0, middle)}${other}${parked.state.slice(middle + 1)}`,
      `${parked.state}-TAMPERED`,
      parked.state.slice(0, -8),
      'cst1.AAAA',
    ]
    for (const requestState of states) {
      const answer = await call(ada, answerTo(parked, { requestState }))
      expect([answer.status, codeOf(answer)]).toEqual([200, -32602])
      expect(answer.text).not.toContain(requestState)
    }
    await finish(parked)
  })

  test("somebody else's state, and a state on another request, are refused", async () => {
    const parked = await park(ASK)
    expect(codeOf(await call(bob, answerTo(parked)))).toBe(-32602)
    const elsewhere = { name: `${server}__test_input_required_result_request_state` }
    expect(codeOf(await call(ada, answerTo(parked, elsewhere)))).toBe(-32602)
    expect(codeOf(await call(ada, answerTo(parked, { arguments: { x: 1 } })))).toBe(-32602)
    await finish(parked)
  })

  test('an answer is taken once, however often it is sent', async () => {
    const parked = await park(ASK)
    const answers = await Promise.all(Array.from({ length: 8 }, () => call(ada, answerTo(parked))))
    expect(answers.filter((answer) => textOf(answer) === 'Hello, Ada!')).toHaveLength(1)
    const late = await call(ada, answerTo(parked))
    expect(textOf(late)).not.toBe('Hello, Ada!')
    await nothingOpen()
  })

  test('the state of a round that is over is refused while the next one is open', async () => {
    const first = await park({ name: `${server}__ask_many`, arguments: { times: 2 } })
    const second = { ...first, ...parkedIn(await call(ada, answerTo(first))) }
    expect(second.key).not.toBe(first.key)
    expect(codeOf(await call(ada, answerTo(first)))).toBe(-32602)
    expect(textOf(await call(ada, answerTo(second)))).toBe('Asked 2 times')
  })

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a number', 12_345],
    ['an answer to what was never asked', { other: ADA }],
    ['no answer', { KEY: 7 }],
  ])('%s for an answer: the question is put again, and its answer still counts', async (_, given) => {
    const parked = await park(ASK)
    const inputResponses =
      JSON.stringify(given) === '{"KEY":7}' ? { [parked.key]: 7 } : (given as Json | undefined)
    const answer = await call(ada, answerTo(parked, { inputResponses }))
    if (codeOf(answer) === undefined) await finish({ ...parked, ...parkedIn(answer) })
    else await finish(parked)
  })

  test('a server that asks twenty times is answered ten times, and its call comes to an end', async () => {
    let parked = await park({ name: `${server}__ask_many`, arguments: { times: 20 } })
    let rounds = 1
    for (;;) {
      const answer = await call(ada, answerTo(parked))
      if (at(answer.reply, 'result.resultType') !== 'input_required') break
      parked = { call: parked.call, ...parkedIn(answer) }
      rounds++
    }
    expect(rounds).toBe(10)
    await nothingOpen()
  })

  test('a client that leaves while its retry is at work: the server is told, and nothing stays open', async () => {
    const before = await seenBy(server)
    const parked = await park({ name: `${server}__ask_and_wait`, arguments: {} })
    expect(await openThings()).toMatchObject({ parked: 1 })
    const running = modernCaller(ada).begin('tools/call', { ...META, ...answerTo(parked) })
    await until('it waits', async () => (await seenBy(server)).waiting > before.waiting)
    running.hangUp()
    await until('the server is told', async () => (await seenBy(server)).aborted > before.aborted)
    await nothingOpen()
  })

  test('requests under one id at the same time are answered each for itself', async () => {
    const caller = modernCaller(ada)
    const askAndFinish = async () => {
      const answer = await caller.begin('tools/call', { ...META, ...ASK }, 'same').answer
      expect(answer.reply['id']).toBe('same')
      await finish({ call: ASK, ...parkedIn(answer) })
    }
    await Promise.all([askAndFinish(), askAndFinish(), askAndFinish()])
  })
})

async function openAsked(access: Access): Promise<LegacyCaller> {
  const params = { ...initializeParams('2025-11-25'), capabilities: CAN }
  const { headers } = await send(access, { body: jsonRpc(0, 'initialize', params) })
  const caller = resumeLegacy(access, String(headers['mcp-session-id']))
  await caller.notify('notifications/initialized')
  return caller
}

/** Posts a response, as the answer to a question. */
const respond = (access: Access, { headers }: LegacyCaller, id: unknown, result: unknown): Promise<Answer> =>
  send(access, { headers, body: JSON.stringify({ jsonrpc: '2.0', id, result }) })

describe.each(['http', 'stdio', 'modern'] as const)('a legacy client, server %s', (server) => {
  const ASK = { name: `${server}__test_input_required_result_elicitation`, arguments: {} }

  async function asked(session: LegacyCaller, params: Json = ASK) {
    const running = session.begin('tools/call', params)
    const question = await until('the question', () =>
      running.messages.find(({ method }) => method === 'elicitation/create'),
    )
    return { running, id: question['id'] }
  }

  test('an answer to nothing, of another session or of somebody else is no answer', async () => {
    const [mine, another, foreign] = [await openAsked(ada), await openAsked(ada), await openAsked(bob)]
    const { running, id } = await asked(mine)
    const wrong = { action: 'accept', content: { name: 'Eve' } }
    for (const odd of ['nobody-asked', 0, `${String(id)}x`])
      expect((await respond(ada, mine, odd, wrong)).status).toBe(202)
    await respond(ada, another, id, wrong)
    await respond(bob, foreign, id, wrong)
    await respond(bob, mine, id, wrong)
    await respond(ada, mine, id, ADA)
    expect(textOf(await running.answer)).toBe('Hello, Ada!')
  })

  test('the first of two answers counts', async () => {
    const session = await openAsked(ada)
    const { running, id } = await asked(session)
    await respond(ada, session, id, ADA)
    await respond(ada, session, id, { action: 'accept', content: { name: 'Eve' } })
    expect(textOf(await running.answer)).toBe('Hello, Ada!')
    expect(running.messages.filter(({ result }) => result !== undefined)).toHaveLength(1)
  })

  test('a session that ends while it is asked leaves nothing open', async () => {
    const session = await openAsked(ada)
    const { running } = await asked(session)
    expect(await openThings()).toMatchObject({ questions: 1 })
    await send(ada, { method: 'DELETE', headers: session.headers })
    await nothingOpen()
    await running.answer.catch(() => 'cut')
  })

  test('a call that is taken back while it asks takes its question back as well', async () => {
    const session = await openAsked(ada)
    const { running, id } = await asked(session)
    await session.notify('notifications/cancelled', { requestId: 1 })
    await running.answer
    await nothingOpen()
    const told = running.messages.filter(({ method }) => method === 'notifications/cancelled')
    expect(told.map((one) => at(one, 'params.requestId'))).toEqual([id])
  })

  test('a server that asks twenty times comes to an end', async () => {
    const session = await openAsked(ada)
    const running = session.begin('tools/call', { name: `${server}__ask_many`, arguments: { times: 20 } })
    let answered = 0
    const answerAll = setInterval(() => {
      const questions = running.messages.filter(({ method }) => method === 'elicitation/create')
      for (const { id } of questions.slice(answered)) void respond(ada, session, id, ADA)
      answered = questions.length
    }, 5)
    const answer = await running.answer.finally(() => clearInterval(answerAll))
    if (server === 'modern') expect(at(answer.reply, 'result.isError')).toBe(true)
    else expect(textOf(answer)).toBe('Asked 20 times')
    expect(answered).toBe(server === 'modern' ? 8 : 20)
  })
})
