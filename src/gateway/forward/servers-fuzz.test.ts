import type { IncomingMessage } from 'node:http'
import * as fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { chunked, damaged, FUZZ_TIMEOUT_MS, fuzzTurns, jsonText } from '../../../test/fixtures/fuzz.ts'
import {
  ScriptedHttp,
  ScriptedProcess,
  type ScriptedExchange,
} from '../../../test/fixtures/scripted-peers.ts'
import { scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import type { BootEpoch } from '../../lib/id.ts'
import { readOffer } from '../../protocol/client-offer.ts'
import { readMessage, type Message } from '../../protocol/message.ts'
import type { Era } from '../../protocol/revisions.ts'
import type { Session } from '../classify/session.ts'
import { createExchange, type Exchange } from '../exchange.ts'
import { createClientAsker } from '../reply/ask/ask-client.ts'
import { createSessionQuestions } from '../reply/ask/ask-question.ts'
import type { Outlet } from '../reply/outlet.ts'
import { createTaskHandles } from '../route/task-handles.ts'
import { ForwardedCall } from './forwarded-call.ts'
import { LegacyHttp } from './http/http-legacy.ts'
import { createModernHttp } from './http/http-modern.ts'
import { SseUpstream } from './http/http-sse.ts'
import type { HttpTarget } from './http/http-target.ts'
import { createParking } from './park/parking.ts'
import { createStateSealer } from './park/park-state.ts'
import { checkState, resumeHere } from './park/resume-here.ts'
import { StdioUpstream } from './stdio/stdio.ts'
import type { Upstream, UpstreamInfo } from './upstream.ts'
import { createWireIds } from './wire-id.ts'

/**
 * A call of a client of either era to a server of either era over every transport, while server and client do whatever
 * they like: it is answered once, or ended, and when the connection is closed nothing is left of it. The time is the
 * test's, and so are the two ends; everything between them is real.
 */

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const EPOCH = 'e' as BootEpoch
const US = { name: 'castellan', version: '0' }
const CALL_MS = 60_000
const ANSWER_MS = 600_000
const ALL = '{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}'

type Wire = Readonly<Record<string, unknown>>
const at = (value: unknown, ...path: string[]): unknown =>
  path.reduce<unknown>((part, key) => (part as Wire | null | undefined)?.[key], value)

const read = (text: string): Message => {
  const message = readMessage(Buffer.from(text), 'client')
  if (!message.ok) throw new TypeError(`${message.error}: ${text}`)
  return message.value
}

// What the server does.

const METHODS = [
  'ping',
  'elicitation/create',
  'sampling/createMessage',
  'roots/list',
  'tools/call',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/message',
  'notifications/resources/updated',
  'notifications/tools/list_changed',
  'notifications/subscriptions/acknowledged',
]
const KEYS = ['_meta', 'progressToken', 'requestId', 'uri', 'mode', 'message', 'requestedSchema', 'progress']
const RESULTS = ['resultType', 'inputRequests', 'requestState', 'content', 'a', 'method', 'params', 'isError']
/** `$CALL` becomes the id of the call. */
const id = fc.constantFrom('1', '2', '"x"', '"\\u0078"', 'null', '1.5', '$CALL', '{}')
const json = jsonText(KEYS, 3)
const object = fc
  .tuple(fc.constantFrom(...KEYS), json, fc.constantFrom('$CALL', '1', '2', '"x"'))
  .map(
    ([key, value, token]) =>
      `{"progressToken":${token},"requestId":${token},${JSON.stringify(key)}:${value}}`,
  )
const frame = fc.oneof(
  fc
    .tuple(id, fc.constantFrom(...METHODS), fc.oneof(object, fc.constant('{}'), json))
    .map(([one, method, params]) => `{"jsonrpc":"2.0","id":${one},"method":"${method}","params":${params}}`),
  fc
    .tuple(fc.constantFrom(...METHODS), fc.oneof(object, json))
    .map(([method, params]) => `{"jsonrpc":"2.0","method":"${method}","params":${params}}`),
  fc
    .tuple(
      id,
      fc.constantFrom('result', 'error'),
      jsonText([...RESULTS, 'code', 'data', 'task', 'taskId'], 4),
    )
    .map(([one, part, value]) => `{"jsonrpc":"2.0","id":${one},"${part}":${value}}`),
  fc.constantFrom(
    '{"jsonrpc":"2.0","id":$CALL,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"},"b":{"method":"elicitation/create","params":{"message":"?"}}}}}',
    '{"jsonrpc":"2.0","id":$CALL,"result":{"resultType":"input_required","requestState":"s"}}',
    '{"jsonrpc":"2.0","id":$CALL,"error":{"code":-32042,"message":"open","data":{"elicitations":[{"mode":"url","elicitationId":"1","url":"https://a.example/","message":"m"}]}}}',
    '{"jsonrpc":"2.0","id":$CALL,"error":{"code":-32020,"message":"header"}}',
    '{"jsonrpc":"2.0","id":$CALL,"result":{"content":[]}}',
    '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}',
  ),
)
const bytes = fc.oneof(
  { weight: 8, arbitrary: frame.map((text) => Buffer.from(text)) },
  { weight: 2, arbitrary: damaged(frame) },
  { weight: 1, arbitrary: fc.array(frame, { maxLength: 3 }).map((all) => Buffer.from(`[${all.join(',')}]`)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all)) },
)
const cuts = fc.array(fc.nat(), { maxLength: 2 })
const act = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('say' as const), bytes, cuts, aside: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('client-answers', 'client-answers-badly', 'client-reports', 'server-answers'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'ends',
        'breaks',
        'forgets',
        'refuses',
        'client-cancels',
        'client-leaves',
        'closes',
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('waits' as const), ms: fc.constantFrom(1, 10, 300, 5000) }),
  },
)
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

// The server's end of the line, for each transport.

interface Peer {
  readonly upstream: Upstream
  /** The last call that has arrived, as JSON text of its id. */
  readonly callId: () => string
  say(bytes: Buffer, cut: readonly number[], aside: boolean): void
  ends(): void
  breaks(): void
  forgets(): void
  refuses(): void
  /** Requests and processes that are still there. */
  readonly open: () => number
}

const events = (
  asked: (
    question: Parameters<Upstream['send']>[1]['asked'] extends (q: infer Q) => void ? Q : never,
  ) => void,
) => ({
  changed() {},
  notified() {},
  asked,
  withdrawn() {},
  lost() {},
})

const CAPABILITIES = '{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true}}'
const INITIALIZED = `{"protocolVersion":"2025-11-25","capabilities":${CAPABILITIES},"serverInfo":{"name":"s","version":"1"}}`
const DISCOVERED = `{"supportedVersions":["2026-07-28"],"capabilities":${CAPABILITIES}}`
const JSON_TYPE = { 'content-type': 'application/json' }
const STREAM = { 'content-type': 'text/event-stream' }

/** What every server answers by itself; undefined: that is for the case to say. */
function ownResult(method: unknown): string | undefined {
  if (method === 'initialize') return INITIALIZED
  if (method === 'server/discover') return DISCOVERED
  if (method === 'resources/subscribe' || method === 'tasks/cancel') return '{}'
  return undefined
}

interface Common {
  /** How long it takes for what it answers by itself. */
  readonly slowMs: number
  readonly offer: ReturnType<typeof readOffer>
  readonly oneClient: boolean
  readonly asked: Parameters<typeof events>[0]
}

function overPipe({ offer, oneClient, asked, slowMs }: Common, era: Era): Peer {
  let call = '1'
  const process = new ScriptedProcess((line) => {
    const message = JSON.parse(line) as Wire
    if (message['method'] === 'tools/call') call = JSON.stringify(message['id'])
    const result = ownResult(message['method'])
    if (message['id'] === undefined || result === undefined) return
    const text = `{"jsonrpc":"2.0","id":${JSON.stringify(message['id'])},"result":${result}}`
    setTimeout(() => process.line(Buffer.from(text)), slowMs)
  })
  const spec = {
    server: 's',
    key: 's',
    command: 's',
    args: [],
    env: {},
    mounts: [],
    memoryMiB: 1,
    messageMiB: 1,
  }
  const upstream = new StdioUpstream({
    runtime: process.runtime,
    spec: () => spec,
    us: US,
    offer,
    oneClient,
    ids: createWireIds(EPOCH),
    events: events(asked),
    tickMs: () => Date.now(),
    connectTimeoutMs: 1000,
    era,
    mayBeModern: false,
  })
  return {
    upstream,
    callId: () => call,
    say: (bytes) => process.line(bytes),
    ends: () => process.exit(),
    breaks: () => process.exit(),
    forgets() {},
    refuses() {},
    open: () => Number(process.running),
  }
}

function overHttp({ offer, oneClient, asked, slowMs }: Common, kind: 'legacy' | 'modern' | 'sse'): Peer {
  let call = '1'
  let aside: ScriptedExchange | undefined
  let posted: ScriptedExchange | undefined
  let status = 200
  const http = new ScriptedHttp((request) => {
    const message = (request.body === '' ? {} : JSON.parse(request.body)) as Wire
    const isCall = message['method'] === 'tools/call'
    if (isCall) {
      call = JSON.stringify(message['id'])
      posted = request
    }
    if (request.method === 'GET' || message['method'] === 'subscriptions/listen') {
      aside = request
      request.begin(status, STREAM)
      if (kind === 'sse') request.say(Buffer.from('event: endpoint\ndata: /post\n\n'))
      return
    }
    if (isCall) answer(request, message, isCall)
    else setTimeout(() => answer(request, message, isCall), slowMs)
  })

  function answer(request: ScriptedExchange, message: Wire, isCall: boolean): void {
    const result = ownResult(message['method'])
    const text = `{"jsonrpc":"2.0","id":${JSON.stringify(message['id'])},"result":${result}}`
    if (kind === 'sse') {
      request.begin(status === 200 ? 202 : status, {})
      request.end()
      if (result !== undefined && message['id'] !== undefined) aside?.say(event(text))
    } else if (result !== undefined && message['id'] !== undefined) {
      request.begin(200, { ...JSON_TYPE, ...(kind === 'legacy' ? { 'mcp-session-id': `s${call}` } : {}) })
      request.say(Buffer.from(text))
      request.end()
    } else if (isCall) {
      request.begin(status, status === 200 ? STREAM : {})
      if (status !== 200) request.end()
      status = 200
    } else {
      request.begin(202, {})
      request.end()
    }
  }

  const target: HttpTarget = {
    origin: 'http://s.example',
    path: '/mcp',
    dispatcher: http,
    streams: http,
    connectTimeoutMs: 1000,
    injected: () => ({}),
  }
  const about = {
    target,
    us: US,
    ids: createWireIds(EPOCH),
    events: events(asked),
    tickMs: () => Date.now(),
    offer,
    oneClient,
  }
  const info: UpstreamInfo = {
    era: 'modern',
    protocolVersion: '2026-07-28',
    capabilities: JSON.parse(CAPABILITIES) as object,
    serverInfo: undefined,
    instructions: undefined,
    stateful: false,
  }
  const upstream =
    kind === 'legacy'
      ? new LegacyHttp({ ...about, listen: true })
      : kind === 'sse'
        ? new SseUpstream(about)
        : createModernHttp({ ...about, info })
  return {
    upstream,
    callId: () => call,
    say(bytes, cut, isAside) {
      const to = isAside || kind === 'sse' ? aside : posted
      for (const chunk of chunked(event(bytes.toString('latin1')), cut)) to?.say(chunk)
    },
    ends: () => (kind === 'sse' ? aside : posted)?.end(),
    breaks: () => (kind === 'sse' ? aside : posted)?.fail(),
    forgets() {
      status = 404
      posted?.fail()
    },
    refuses() {
      status = 400
      aside?.end()
    },
    open: () => http.open.size,
  }
}

const event = (text: string): Buffer => Buffer.from(`id: 7\ndata: ${text}\r\n\r\n`, 'latin1')

// The client's end.

function clientOf(era: Era, kind: string, capabilities: string) {
  const offer = readOffer(capabilities)
  const clock = { nowMs: () => Date.now(), tickMs: () => Date.now() }
  const sealer = createStateSealer(Buffer.alloc(32))
  const parking = createParking({ sealer, epoch: EPOCH, clock })
  const asker = createClientAsker(EPOCH)
  const session = {
    id: 's',
    protocolVersion: '2025-11-25',
    clientInfo: '{}',
    offer,
    logLevel: undefined,
    calls: new Map<string, () => void>(),
  } as unknown as Session
  const questions = createSessionQuestions(asker, { send: (_session, text) => void heard(text) })
  const open: string[] = []
  const state = { answers: 0, ended: 0, made: 0, gone: () => {}, retry: undefined as Wire | undefined }

  function heard(text: Buffer | string): boolean {
    const message = JSON.parse(text.toString()) as Wire
    expect(message['jsonrpc']).toBe('2.0')
    if (message['id'] !== undefined && message['method'] !== undefined)
      open.push(JSON.stringify(message['id']))
    return open.length % 3 !== 2
  }

  const newOutlet = (own: string): Outlet => {
    let answered = false
    return {
      gone: false,
      streaming: false,
      after() {},
      resumable() {},
      mayTakeLong() {},
      event: heard,
      onDrain: (listener) => void setTimeout(listener, 5),
      answer(_status, parts) {
        expect(answered).toBe(false)
        answered = true
        state.answers++
        const reply = JSON.parse(parts.map(String).join('')) as Wire
        expect(JSON.stringify(reply['id'])).toBe(own)
        if (at(reply, 'result', 'resultType') === 'input_required') state.retry = reply['result'] as Wire
      },
      empty() {},
      cancelled() {},
      onGone: (listener) => void (state.gone = listener),
    }
  }

  function exchange(more: string): Exchange {
    const own = String(++state.made)
    const meta = `"_meta":{"progressToken":9,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":${capabilities}}`
    const text = `{"jsonrpc":"2.0","id":${own},"method":"tools/call","params":{"name":"t","arguments":{},${meta}${more}}}`
    const request = { headers: {} } as unknown as IncomingMessage
    const x = createExchange({ request, out: newOutlet(own) } as never)
    x.era = era
    x.kind = 'tools/call'
    x.message = read(text)
    x.principal = {
      kind: 'token',
      key: 'token:a',
      uid: 'a',
      name: 'a',
      project: 'p',
      owner: undefined,
      digest: '',
    }
    x.offer = offer
    if (era === 'legacy') x.session = session
    x.route = {
      server: scriptedView('s', {
        timeouts: { callSeconds: CALL_MS / 1000, answerSeconds: ANSWER_MS / 1000 },
      }),
      others: [],
      key: 't',
      exposed: 't',
      params: undefined,
      asTask: kind === 'task',
      edits: [],
    }
    return x
  }

  const concluded = (): void => void state.ended++

  return {
    state,
    asker,
    parking,
    session,
    asked: (question: Parameters<typeof questions.asked>[1]) =>
      questions.asked(era === 'legacy' ? session : undefined, question),
    start(upstream: Upstream, info: UpstreamInfo): void {
      const x = exchange('')
      const lease = { upstream, info, sharer: 'session:s', heard() {} }
      const tasks = createTaskHandles(Buffer.alloc(32))
      const deps = { readListAgain: () => Promise.resolve(), asker, parking, tasks }
      new ForwardedCall(
        deps,
        { x, route: x.route as NonNullable<Exchange['route']>, lease },
        concluded,
        undefined,
      ).start()
    },
    /** Of a question that is open, or of one that never was. */
    answers(result: string): void {
      if (era === 'legacy')
        return void asker.answered(session, read(`{"jsonrpc":"2.0","id":${open.shift() ?? '"q"'},${result}}`))
      const { retry } = state
      const sealed = retry?.['requestState']
      if (typeof sealed !== 'string') return
      if (result.startsWith('"result"')) state.retry = undefined
      const responses = Object.keys(at(retry, 'inputRequests') ?? {}).map(
        (key) => `${JSON.stringify(key)}:{"action":"accept"}`,
      )
      const x = exchange(
        `,"inputResponses":{${responses.join(',')}},"requestState":${JSON.stringify(sealed)}`,
      )
      const found = checkState({ sealer, clock }, sealed, {
        principal: 'token:a',
        message: x.message as Message,
      })
      // A modern server's own state, or that of a request to make again.
      if ('code' in found || found.park === '') return concluded()
      void resumeHere(parking, x, found).then(concluded)
    },
    reports: () =>
      void asker.progress(
        session,
        read(
          `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${open.at(-1) ?? 1},"progress":1}}`,
        ),
      ),
    cancels: () => session.calls.get('1')?.(),
  }
}

const TRANSPORTS = {
  'a pipe, legacy': (common: Common) => overPipe(common, 'legacy'),
  'a pipe, modern': (common: Common) => overPipe(common, 'modern'),
  'HTTP, legacy': (common: Common) => overHttp(common, 'legacy'),
  'HTTP, modern': (common: Common) => overHttp(common, 'modern'),
  'HTTP+SSE': (common: Common) => overHttp(common, 'sse'),
}

const aCase = fc.record({
  era: fc.constantFrom<Era>('legacy', 'modern'),
  capabilities: fc.constantFrom('{}', ALL, ALL),
  kind: fc.constantFrom('plain', 'plain', 'plain', 'task'),
  oneClient: fc.boolean(),
  slowMs: fc.constantFrom(0, 0, 50),
  acts: fc.array(act, { maxLength: 8 }),
})

type Client = ReturnType<typeof clientOf>

function perform(one: Act, peer: Peer, client: Client): void {
  const call = peer.callId()
  switch (one.do) {
    case 'say': {
      const said = Buffer.from(one.bytes.toString('latin1').replaceAll('$CALL', call), 'latin1')
      return peer.say(said, one.cuts, one.aside)
    }
    case 'server-answers':
      return peer.say(Buffer.from(`{"jsonrpc":"2.0","id":${call},"result":{"content":[]}}`), [], false)
    case 'client-answers':
      return client.answers('"result":{"action":"accept"}')
    case 'client-answers-badly':
      return client.answers('"error":{"code":1,"message":"no"}')
    case 'client-reports':
      return client.reports()
    case 'client-cancels':
      return client.cancels()
    case 'client-leaves':
      return client.state.gone()
    case 'closes':
      return void peer.upstream.close()
    case 'ends':
    case 'breaks':
    case 'forgets':
    case 'refuses':
      return peer[one.do]()
    case 'waits':
      return
  }
}

test.each(Object.entries(TRANSPORTS))('over %s', { timeout: FUZZ_TIMEOUT_MS }, async (_name, connect) => {
  await fuzzTurns(aCase, async ({ era, capabilities, kind, oneClient, slowMs, acts }) => {
    vi.clearAllTimers()
    const client = clientOf(era, kind, capabilities)
    const peer = connect({ offer: readOffer(capabilities), oneClient, slowMs, asked: client.asked })
    const opening = peer.upstream.open()
    await vi.advanceTimersByTimeAsync(200)
    const info = await opening
    if (!info.ok) throw new Error(info.error.message)
    client.start(peer.upstream, info.value)
    await vi.advanceTimersByTimeAsync(1)
    for (const one of acts) {
      perform(one, peer, client)
      await vi.advanceTimersByTimeAsync(one.do === 'waits' ? one.ms : 0)
    }
    // Whoever still waits gives up: the call, its questions, what is parked.
    await vi.advanceTimersByTimeAsync(2 * CALL_MS)
    if (client.state.ended < client.state.made || client.parking.size + client.asker.open > 0)
      await vi.advanceTimersByTimeAsync(2 * (CALL_MS + ANSWER_MS))
    expect({
      concluded: client.state.ended,
      parked: client.parking.size,
      asked: client.asker.open,
      calls: client.session.calls.size,
      idle: peer.upstream.idle,
    }).toEqual({ concluded: client.state.made, parked: 0, asked: 0, calls: 0, idle: true })
    const closing = peer.upstream.close()
    await vi.advanceTimersByTimeAsync(2 * CALL_MS)
    await closing
    expect({ open: peer.open(), timers: vi.getTimerCount() }).toEqual({ open: 0, timers: 0 })
  })
})
