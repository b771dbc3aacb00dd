import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { readMessage, type Message } from '../../protocol/message.ts'
import { splice } from '../../protocol/splice.ts'
import { sendAsTask } from './task-call.ts'
import type { Question, Sink, Upstream, UpstreamRequest } from './upstream.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const read = (text: string): Message => {
  const message = readMessage(Buffer.from(text), 'upstream')
  if (!message.ok) throw new TypeError(message.error)
  return message.value
}
const result = (value: object): Message => read(JSON.stringify({ jsonrpc: '2.0', id: 1, result: value }))
const error = (code: number): Message =>
  read(JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message: 'no' } }))

const TIMEOUT_MS = 5000
const made = { task: { taskId: 't', status: 'working', pollInterval: 200 } }
const working = { taskId: 't', status: 'working', pollInterval: 200 }
const REQUEST: UpstreamRequest = {
  method: 'tools/call',
  message: read('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}'),
  edits: [],
  timeoutMs: TIMEOUT_MS,
}

/** A server that answers as the test says, and a caller that notes what it hears. */
function call(answers: (method: string, asked: number) => Message | undefined) {
  const sent: string[] = []
  const heard: string[] = []
  const sinks: Sink[] = []
  const bodies: string[] = []
  const upstream = {
    send({ method, message, edits }: UpstreamRequest, sink: Sink) {
      sent.push(method)
      sinks.push(sink)
      bodies.push(splice(message.bytes, edits).toString())
      const answer = answers(method, sent.filter((one) => one === method).length)
      if (answer !== undefined) queueMicrotask(() => sink.reply(answer))
      return { cancel: () => void sent.push(`cancel ${method}`) }
    },
  } as unknown as Upstream
  const running = sendAsTask(upstream, REQUEST, {
    mayBeAsked: true,
    event: ({ method }) => void heard.push(`event ${method}`),
    asked: (question) => void heard.push(`asked ${question.request.method}`),
    withdrawn: () => void heard.push('withdrawn'),
    reply: ({ bytes }) => void heard.push(bytes.toString()),
    failed: ({ kind }) => void heard.push(kind),
  })
  return { sent, heard, sinks, bodies, running }
}

test('a task is made, watched as often as it wants, and fetched', async () => {
  const plain = result({ content: [] })
  const { sent, heard, bodies } = call((method, asked) => {
    if (method === 'tools/call') return result(made)
    if (method === 'tasks/result') return plain
    return result(asked < 3 ? working : { ...working, status: 'completed' })
  })
  await vi.advanceTimersByTimeAsync(700)
  expect(sent).toEqual(['tools/call', 'tasks/get', 'tasks/get', 'tasks/get', 'tasks/result'])
  expect(heard).toEqual([plain.bytes.toString()])
  expect(JSON.parse(bodies[0] ?? '')).toMatchObject({ params: { name: 'a', task: { ttl: 65_000 } } })
})

test('a server that answers at once is believed', async () => {
  const plain = result({ content: [] })
  const { sent, heard } = call(() => plain)
  await vi.advanceTimersByTimeAsync(10)
  expect([sent, heard]).toEqual([['tools/call'], [plain.bytes.toString()]])
})

test('a task that never ends is cancelled when its time is over, and not watched any more', async () => {
  const { sent, heard } = call((method) => result(method === 'tools/call' ? made : working))
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS + 1000)
  expect(heard).toEqual(['timeout'])
  expect(sent.filter((one) => one === 'tasks/cancel')).toHaveLength(1)
  const { length } = sent
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS)
  expect(sent).toHaveLength(length)
})

test('however often a task wants to be looked at, it is not looked at all the time', async () => {
  const hasty = { ...working, pollInterval: 0 }
  const { sent } = call((method) => result(method === 'tools/call' ? { task: hasty } : hasty))
  await vi.advanceTimersByTimeAsync(1050)
  expect(sent.filter((one) => one === 'tasks/get').length).toBeLessThanOrEqual(10)
})

test.each([
  ['an error', error(-32_602)],
  ['something else', result({ content: [] })],
])('a server that answers with %s when it is asked for its task has not kept to it', async (_, answer) => {
  const { heard } = call((method) => (method === 'tools/call' ? result(made) : answer))
  await vi.advanceTimersByTimeAsync(1000)
  expect(heard).toEqual(['invalid'])
})

test('an error in place of the result is the answer', async () => {
  const failed = { task: { ...working, status: 'failed' } }
  const { heard } = call((method) => (method === 'tools/call' ? result(failed) : error(-32_603)))
  await vi.advanceTimersByTimeAsync(10)
  expect(heard).toEqual([error(-32_603).bytes.toString()])
})

test('a look that fails ends the call, once', async () => {
  const { heard, sinks } = call((method) => (method === 'tools/call' ? result(made) : undefined))
  await vi.advanceTimersByTimeAsync(250)
  sinks.at(-1)?.failed({ kind: 'unreachable', message: 'away' })
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS * 2)
  expect(heard).toEqual(['unreachable'])
})

test('a call that is taken back takes its task back', async () => {
  const { sent, heard, running } = call((method) => result(method === 'tools/call' ? made : working))
  await vi.advanceTimersByTimeAsync(250)
  running.cancel()
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS)
  expect(sent.at(-1)).toBe('tasks/cancel')
  expect(heard).toEqual([])
})

test('its time stands still while it waits for an answer of the client', async () => {
  const asks = { ...working, status: 'input_required' }
  const { heard, sinks } = call((method) => (method === 'tools/call' ? result({ task: asks }) : undefined))
  await vi.advanceTimersByTimeAsync(10)
  const answered: string[] = []
  const question: Question = {
    request: read('{"jsonrpc":"2.0","id":9,"method":"elicitation/create","params":{}}'),
    answer: (body) => void answered.push(body),
    tell() {},
  }
  sinks.at(-1)?.asked(question)
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS * 3)
  expect(heard).toEqual(['asked elicitation/create'])
  sinks.at(-1)?.withdrawn(question)
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS)
  expect(heard).toEqual(['asked elicitation/create', 'withdrawn', 'timeout'])
})
