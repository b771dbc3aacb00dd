import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPlayServer, type Play, type PlayServer } from '../fixtures/play-server.ts'
import {
  at,
  commandServer,
  httpServer,
  initializeParams,
  jsonRpc,
  modernCaller,
  namesIn,
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

/* Servers that say what no server should, on every transport, to clients of both eras that can be asked anything. */

const PLAY = new URL('../fixtures/stdio-play.js', import.meta.url).pathname
const CAN = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }
const LEGACY = ['pipe', 'own', 'http', 'sse'] as const

const servers = new Map<string, PlayServer>()
let gate: Gate
let access: Access
let pid: number

beforeAll(async () => {
  for (const speaks of ['legacy', 'modern', 'sse'] as const)
    servers.set(speaks, await startPlayServer(speaks))
  const mounts = [{ path: dirname(PLAY) }]
  const url = (speaks: string): string => servers.get(speaks)?.url ?? ''
  const sse = { kind: 'Server', metadata: { name: 'sse' }, spec: { transport: 'sse', url: url('sse') } }
  gate = await startGate([
    commandServer('pipe', process.execPath, [PLAY], { mounts }),
    commandServer('own', process.execPath, [PLAY], { mounts, instances: 'per-session' }),
    commandServer('killed', process.execPath, [PLAY, 'killed'], { mounts, instances: 'per-principal' }),
    httpServer('http', url('legacy')),
    httpServer('modern', url('modern')),
    sse,
    project('all', ['pipe', 'own', 'killed', 'http', 'modern', 'sse']),
  ])
  access = await gate.access('all')
  pid = gate.daemon.pid
})
afterAll(async () => {
  await gate?.end()
  await Promise.all([...servers.values()].map((server) => server.close()))
})

/** The client's side of one call: every question is accepted, until there is an answer. */
type Client = (server: string, told: Play) => Promise<Answer>

const params = (server: string, told: Play): Json => ({ name: `${server}__play`, arguments: told })

const asModern: Client = async (server, told) => {
  const caller = modernCaller(access)
  const about = { ...params(server, told), _meta: { 'io.modelcontextprotocol/clientCapabilities': CAN } }
  let answer = await caller.ask('tools/call', about)
  while (at(answer.reply, 'result.resultType') === 'input_required') {
    const keys = Object.keys(at(answer.reply, 'result.inputRequests') ?? {})
    const inputResponses = Object.fromEntries(keys.map((key) => [key, { action: 'accept' }]))
    const requestState = at(answer.reply, 'result.requestState')
    answer = await caller.ask('tools/call', { ...about, inputResponses, requestState })
  }
  return answer
}

async function openAsked(): Promise<LegacyCaller> {
  const opening = { ...initializeParams('2025-11-25'), capabilities: CAN }
  const { headers } = await send(access, { body: jsonRpc(0, 'initialize', opening) })
  const session = resumeLegacy(access, String(headers['mcp-session-id']))
  await session.notify('notifications/initialized')
  return session
}

const asLegacy: Client = async (server, told) => {
  const session = await openAsked()
  // Questions that belong to no call come here.
  const stream = await session.listen()
  const running = session.begin('tools/call', params(server, told))
  const answered = new Set<unknown>()
  const timer = setInterval(() => {
    for (const { id, method } of [...running.messages, ...stream.messages]) {
      if (id === undefined || method === undefined || answered.has(id)) continue
      answered.add(id)
      const body = JSON.stringify({ jsonrpc: '2.0', id, result: { action: 'accept' } })
      void send(access, { headers: session.headers, body })
    }
  }, 5)
  const answer = await running.answer.finally(() => clearInterval(timer))
  stream.hangUp()
  await send(access, { method: 'DELETE', headers: session.headers })
  return answer
}

const CLIENTS = { legacy: asLegacy, modern: asModern }
const CELLS = LEGACY.flatMap((server) => (['legacy', 'modern'] as const).map((era) => [server, era] as const))

/** What the server has heard, as the answer of its tool says. */
const heard = ({ reply, text }: Answer): Json[] => {
  const said = at(reply, 'result.content.0.text')
  if (typeof said !== 'string') throw new Error(`not what the tool answers: ${text}`)
  return JSON.parse(said) as Json[]
}
const answersIn = (answer: Answer): Json[] => heard(answer).filter(({ method }) => method === undefined)

async function openThings(): Promise<Record<string, number>> {
  const credential = (await readFile(join(gate.daemon.home, 'admin-credential'), 'utf8')).trim()
  const headers = { authorization: `Bearer ${credential}` }
  const text = await (await fetch(`${gate.daemon.origin}/metrics`, { headers })).text()
  const valueOf = (name: string): number =>
    Number(new RegExp(`^castellan_mcp_${name} (\\d+)$`, 'm').exec(text)?.[1])
  return {
    sessions: valueOf('sessions'),
    parked: valueOf('parked_calls'),
    questions: valueOf('open_questions'),
  }
}

/** The daemon is the one that was started, and nothing is open any more. */
async function isWell(): Promise<void> {
  expect(() => process.kill(pid, 0)).not.toThrow()
  await until('nothing is open', async () => Object.values(await openThings()).every((count) => count === 0))
}

const question = (
  id: string,
  method: string,
  rest = ',"params":{"message":"?","requestedSchema":{}}',
): string => `{"jsonrpc":"2.0","id":${id},"method":"${method}"${rest}}`
const elicit = (id: string): string => question(id, 'elicitation/create')

describe.each(CELLS)('server over %s, %s client', (server, era) => {
  const call = (told: Play): Promise<Answer> => CLIENTS[era](server, told)

  test('questions whose params are no object are answered by nobody', async () => {
    const odd = ['null', '[]', '"text"', '7'].flatMap((text, i) =>
      ['elicitation/create', 'sampling/createMessage', 'roots/list'].map((method, k) =>
        question(String(10 * i + k), method, `,"params":${text}`),
      ),
    )
    const answers = answersIn(await call({ frames: odd, answers: odd.length }))
    expect(answers.map((one) => at(one, 'error.code'))).toEqual(odd.map(() => -32602))
    await isWell()
  })

  test('two questions under one id are one, whatever the id', async () => {
    const ids = ['1', '1', '"1"', '"1"', '-1', '"__proto__"', '9007199254740993', '""']
    const answers = answersIn(await call({ frames: ids.map(elicit), answers: 6 }))
    expect(answers).toHaveLength(6)
    expect(new Set(answers.map(({ id }) => JSON.stringify(id))).size).toBe(6)
    await isWell()
  })

  test('two hundred questions at once: each has an answer, most of them no', async () => {
    const frames = Array.from({ length: 200 }, (_, id) => elicit(String(id)))
    const answers = answersIn(await call({ frames, answers: 200 }))
    expect(answers.filter((one) => at(one, 'result.action') === 'accept').length).toBeLessThanOrEqual(100)
    expect(answers).toHaveLength(200)
    await isWell()
  })

  test('answers to nothing, methods of nobody, and what the server takes back', async () => {
    const frames = [
      '{"jsonrpc":"2.0","id":"nobody","result":{}}',
      '{"jsonrpc":"2.0","id":"c1","error":{"code":1,"message":"no"}}',
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":$CALL}}',
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"never"}}',
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"nobody","progress":1}}',
      question('1', 'x/unknown'),
      question('2', 'initialize'),
      question('3', 'ping', ''),
      elicit('4'),
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}',
      elicit('5'),
    ]
    const answers = answersIn(await call({ frames, answers: 4 }))
    const byId = new Map(answers.map((one) => [one['id'], one]))
    expect(at(byId.get(1), 'error.code')).toBe(-32601)
    expect(at(byId.get(2), 'error.code')).toBe(-32601)
    expect(at(byId.get(3), 'result')).toEqual({})
    // A quick client answers what is about to be taken back.
    expect(byId.get(5) ?? byId.get(4)).toBeDefined()
    await isWell()
  })

  test('a server that goes away while it asks: its call is lost, and the next one is not', async () => {
    const lost = await call({ frames: [elicit('1')], answers: 1, end: 'die' })
    expect(at(lost.reply, 'error') ?? at(lost.reply, 'result.isError')).toBeTruthy()
    await until('the next one is answered', async () => (await call({})).reply['result'] !== undefined)
    await isWell()
  })
})

describe('a process that is killed while its question is open', () => {
  const told = params('killed', { frames: [elicit('1')], answers: 1 })
  const kill = (): boolean => process.kill(pidOfKilled(), 'SIGKILL')

  test('a legacy client hears that its call is lost', async () => {
    const session = await openAsked()
    const running = session.begin('tools/call', told)
    await until('it asks', async () => (await openThings())['questions'] === 1)
    kill()
    expect(at((await running.answer).reply, 'error.code')).toBe(-32603)
    await send(access, { method: 'DELETE', headers: session.headers })
    await isWell()
  })

  test('a modern one hears it when it comes back', async () => {
    const about = { ...told, _meta: { 'io.modelcontextprotocol/clientCapabilities': CAN } }
    const asked = await until('it asks', async () => {
      const { reply } = await modernCaller(access).ask('tools/call', about)
      return at(reply, 'result.resultType') === 'input_required' ? reply : undefined
    })
    kill()
    const [key = ''] = Object.keys(at(asked, 'result.inputRequests') ?? {})
    const retry = await modernCaller(access).ask('tools/call', {
      ...about,
      requestState: at(asked, 'result.requestState'),
      inputResponses: { [key]: { action: 'accept' } },
    })
    expect(at(retry.reply, 'error.code')).toBe(-32603)
    await isWell()
  })
})

function pidOfKilled(): number {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='])
    .toString()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  const found = lines.find(([, , program, arg]) => program === PLAY && arg === 'killed')
  return Number(found?.[0])
}

describe('frames of any size and form', () => {
  const big = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"$FILL"}}'
  const answer = (text: string): string =>
    `{"jsonrpc":"2.0","id":$CALL,"result":{"content":[{"type":"text","text":"${text}"}]}}`

  test.each(['http', 'sse', 'modern'])(
    'an event of 10 MB, and an answer of 10 MB, from %s',
    async (server) => {
      const fill = 1_700_000
      expect(Buffer.byteLength('é😀') * fill).toBeGreaterThan(10_000_000)
      for (const client of [asLegacy, asModern]) {
        expect(heard(await client(server, { frames: [big], fill }))).toEqual([])
        const { reply } = await client(server, { frames: [answer('$FILL')], fill })
        expect(at(reply, 'result.content.0.text')).toBe('é😀'.repeat(fill))
      }
      await isWell()
    },
  )

  test.each(['http', 'sse', 'modern'])(
    'CRLF, comments, fields of no meaning, and characters cut in the middle, from %s',
    async (server) => {
      const text = answer('é😀𝄞')
      const frame = `\r\n: c\r\nretry: 5\r\nfoo: bar\r\nid: 1\r\ndata:${text.slice(0, 17)}\r\ndata: ${text.slice(17)}\r\n\r\n`
      for (const client of [asLegacy, asModern]) {
        const { reply } = await client(server, { frames: [frame], chunk: 3, end: 'answer' })
        expect(at(reply, 'result.content.0.text')).toBe('é😀𝄞')
      }
      await isWell()
    },
  )
})

test("a modern server's own state goes back to it, whatever it looks like", async () => {
  const state = 'cst1.c29tZWJvZHkgZWxzZSdz'
  const frames = [
    `{"jsonrpc":"2.0","id":$CALL,"result":{"resultType":"input_required","requestState":"${state}"}}`,
  ]
  const about = params('modern', { frames })
  const first = await modernCaller(access).ask('tools/call', about)
  expect(at(first.reply, 'result.requestState')).toBe(state)
  const retry = await modernCaller(access).ask('tools/call', { ...about, requestState: state })
  expect(at(retry.reply, 'result.requestState')).toBe(state)
})

test('a modern server that asks for nothing sensible gets its call refused', async () => {
  for (const asked of ['{"a":null}', '{"a":{"method":"elicitation/create","params":null}}', '[]', '7']) {
    const frame = `{"jsonrpc":"2.0","id":$CALL,"result":{"resultType":"input_required","inputRequests":${asked}}}`
    const { reply } = await asLegacy('modern', { frames: [frame] })
    expect(at(reply, 'error') ?? at(reply, 'result.isError')).toBeTruthy()
  }
  await isWell()
})

test.each(['http', 'sse'])(
  'the list of %s loses a tool while it runs: the call ends, the next is refused',
  async (name) => {
    const server = servers.get(name === 'http' ? 'legacy' : 'sse')
    const caller = modernCaller(access)
    const running = caller.begin('tools/call', {
      ...params(name, { frames: [elicit('1')], answers: 1 }),
      _meta: { 'io.modelcontextprotocol/clientCapabilities': CAN },
    })
    const asked = await running.answer
    expect(at(asked.reply, 'result.resultType')).toBe('input_required')
    server?.list(['other'])
    server?.sayAside('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
    await until('it is gone', async () => {
      const names = namesIn(await caller.ask('tools/list'))
      return !names.includes(`${name}__play`) && names.includes(`${name}__other`)
    })
    // What runs there belongs to whoever called it, by the name that it was called by.
    const [key = ''] = Object.keys(at(asked.reply, 'result.inputRequests') ?? {})
    const retry = await caller.ask('tools/call', {
      ...params(name, { frames: [elicit('1')], answers: 1 }),
      _meta: { 'io.modelcontextprotocol/clientCapabilities': CAN },
      inputResponses: { [key]: { action: 'accept' } },
      requestState: at(asked.reply, 'result.requestState'),
    })
    server?.list(['play'])
    server?.sayAside('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
    expect([200, 400]).toContain(retry.status)
    expect(at(retry.reply, 'result.content') ?? at(retry.reply, 'error.code')).toBeTruthy()
  },
)
