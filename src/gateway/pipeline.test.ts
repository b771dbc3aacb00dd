import { expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { readMessage } from '../protocol/message.ts'
import type { Era } from '../protocol/revisions.ts'
import { createExchange, KINDS, type Exchange, type Refusal } from './exchange.ts'
import { createRunner } from './pipeline.ts'
import type { Traffic } from './record/traffic.ts'
import type { Record } from './record/record.ts'
import type { Outlet } from './reply/outlet.ts'
import type { Pipeline, Step } from './steps.ts'

function setUp(era: Era, head: readonly Step[], tail: readonly Step[] = []) {
  const answers: { status: number; body: string; headers: object | undefined }[] = []
  const recorded: string[] = []
  const out = {
    answer: (status: number, parts: string[], headers?: object) =>
      answers.push({ status, body: parts.join(''), headers }),
  } as unknown as Outlet
  const record = {
    refused: (_: Exchange, { code }: Refusal) => recorded.push(`refused ${code}`),
    outcome: ({ outcome, outcomeCode }: Exchange) =>
      recorded.push(`outcome ${outcome ?? '-'} ${outcomeCode ?? '-'}`),
  } as unknown as Record
  const traffic = { count: () => recorded.push('counted') } as unknown as Traffic
  const pipeline = {
    head,
    tail: Object.fromEntries(KINDS.map((kind) => [kind, tail])),
  } as unknown as Pipeline
  const x = createExchange({ request: { method: 'POST' }, target: { project: 'p' }, out } as never)
  x.era = era
  x.kind = 'ping'
  const message = readMessage(Buffer.from('{"jsonrpc":"2.0","id":"\\u0061","method":"ping"}'), 'client')
  if (message.ok) x.message = message.value
  return { run: () => createRunner(pipeline, { record, traffic, log: silentLog })(x), x, answers, recorded }
}

const passes: Step = () => undefined
const refuses =
  (code: Refusal['code']): Step =>
  () => ({ code })

// oxfmt-ignore
test.each([
  // refusal               era        status  JSON-RPC code  headers
  ['unauthenticated',      'legacy',  401,    -32600,        { 'www-authenticate': 'Bearer realm="castellan"' }],
  ['unavailable',          'legacy',  503,    -32603,        { 'retry-after': '1' }],
  ['too_large',            'legacy',  413,    -32600,        { connection: 'close' }],
  ['not_found',            'legacy',  200,    -32602,        {}],
  ['not_found',            'modern',  200,    -32602,        {}],
  ['resource_not_found',   'legacy',  200,    -32002,        {}],
  ['resource_not_found',   'modern',  200,    -32602,        {}],
  ['method_unavailable',   'legacy',  200,    -32601,        {}],
  ['method_unavailable',   'modern',  404,    -32601,        {}],
  ['method_not_found',     'modern',  404,    -32601,        {}],
  ['session_missing',      'legacy',  400,    -32600,        {}],
  ['session_lost',         'legacy',  404,    -32001,        {}],
  ['header_mismatch',      'modern',  400,    -32020,        {}],
  ['invalid_envelope',     'modern',  400,    -32602,        {}],
  ['upstream_unreachable', 'modern',  200,    -32603,        {}],
] as const)('%s to a %s client', async (...row) => {
  const [code, era, status, rpc, headers] = row
  const { run, answers } = setUp(era, [passes], [refuses(code)])
  await run()
  expect(answers).toHaveLength(1)
  expect(answers[0]).toMatchObject({ status, headers })
  expect(answers[0]?.body).toContain(`"id":"\\u0061","error":{"code":${rpc},`)
  expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({ error: { data: { code } } })
})

test('the first refusal ends the way; nothing after it runs; it is recorded, and so is the outcome', async () => {
  const ran: string[] = []
  const note =
    (name: string): Step =>
    () =>
      void ran.push(name)
  const { run, recorded } = setUp('legacy', [note('1'), refuses('forbidden'), note('2')], [note('3')])
  await run()
  expect(ran).toEqual(['1'])
  expect(recorded).toEqual(['refused forbidden', 'outcome error forbidden', 'counted'])
})

test('steps that wait and steps that do not run in order', async () => {
  const ran: number[] = []
  const later: Step = async () => {
    await new Promise(setImmediate)
    ran.push(2)
    return undefined
  }
  const { run, answers } = setUp('legacy', [() => void ran.push(1), later], [() => void ran.push(3)])
  await run()
  expect([ran, answers]).toEqual([[1, 2, 3], []])
})

test.each([
  [
    'thrown',
    (): undefined => {
      throw new TypeError('private')
    },
  ],
  ['rejected', () => Promise.reject(new Error('private'))],
] as const)('a bug that is %s is one answer that shows nothing of it', async (_, step) => {
  const { run, answers, recorded } = setUp('legacy', [passes], [step])
  await run()
  expect(answers.map(({ status }) => status)).toEqual([500])
  expect(JSON.stringify(answers)).not.toContain('private')
  expect(recorded).toEqual(['refused internal', 'outcome error internal', 'counted'])
})

test('what was known of the outcome before is kept', async () => {
  const { run, x, recorded } = setUp('legacy', [refuses('upstream_timeout')])
  x.outcome = 'lost'
  await run()
  expect(recorded).toContain('outcome lost upstream_timeout')
})

test('every exchange has all its fields from the start, in one order, and gains none: all have one shape', async () => {
  const about = { request: {}, response: {}, target: {}, startedMs: 0, out: {} }
  const turned = { out: {}, startedMs: 1, target: {}, response: {}, request: {} }
  const fields = Object.keys(createExchange(about as never))
  expect(Object.keys(createExchange(turned as never))).toEqual(fields)
  const { run, x } = setUp('modern', [refuses('not_found')])
  await run()
  expect(Object.keys(x)).toEqual(fields)
})

test('a table that never says what a request is is a bug, not a way past the steps', async () => {
  const { run, x, answers } = setUp('legacy', [passes], [passes])
  x.kind = 'unclassified'
  await run()
  expect(answers[0]).toMatchObject({ status: 500 })
})
