import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { BootEpoch } from '../../../lib/id.ts'
import { readOffer } from '../../../protocol/client-offer.ts'
import { readMessage, type Message } from '../../../protocol/message.ts'
import type { Session } from '../../classify/session.ts'
import { canAsk, createClientAsker } from './ask-client.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const session = (id: string): Session => ({ id }) as Session
const read = (text: string): Message => {
  const message = readMessage(Buffer.from(text), 'client')
  if (!message.ok) throw new TypeError(message.error)
  return message.value
}

function setUp() {
  const asker = createClientAsker('e' as BootEpoch)
  const said: string[] = []
  const settled: string[] = []
  const told: string[] = []
  const ask = (of: Session, params = '{}', progressToken?: string): (() => void) =>
    asker.ask(
      of,
      {
        method: 'sampling/createMessage',
        params,
        progressToken,
        settled: (body) => settled.push(body),
        told: (text) => told.push(text),
      },
      (text) => said.push(text),
    )
  return { asker, said, settled, told, ask }
}

test('a question leaves with an id of ours and everything else as it came; its answer comes back as it was written', () => {
  const { asker, said, settled, ask } = setUp()
  const one = session('s1')
  ask(one, '{"n":9007199254740993,"_meta":{"progressToken":5,"x":1}}', '5')
  expect(said).toEqual([
    '{"jsonrpc":"2.0","id":"qe.1","method":"sampling/createMessage","params":{"n":9007199254740993,"_meta":{"progressToken":"qe.1","x":1}}}',
  ])
  const answer = read('{"jsonrpc":"2.0","id":"qe.1","result":{"n":1e400}}')
  expect(asker.answered(session('s2'), answer)).toBe(false)
  expect(asker.answered(one, answer)).toBe(true)
  expect(settled).toEqual(['"result":{"n":1e400}'])
  // A second answer, and one to a question that was never asked.
  expect(asker.answered(one, answer)).toBe(false)
  expect(asker.answered(one, read('{"jsonrpc":"2.0","id":"qe.2","error":{"code":1,"message":"m"}}'))).toBe(
    false,
  )
  expect(settled).toHaveLength(1)
})

test('progress of the client reaches who asked, under the token that it knows', () => {
  const { asker, told, ask } = setUp()
  const one = session('s1')
  ask(one, '{"_meta":{"progressToken":"t"}}', '"t"')
  const progress = (token: string): Message =>
    read(
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1}}`,
    )
  expect(asker.progress(one, progress('"qe.1"'))).toBe(true)
  expect(asker.progress(session('s2'), progress('"qe.1"'))).toBe(false)
  expect(asker.progress(one, progress('"t"'))).toBe(false)
  expect(told).toHaveLength(1)
  expect(JSON.parse(told[0] ?? '')).toMatchObject({ params: { progressToken: 't', progress: 1 } })
})

test('taken back, unanswered for too long, or left behind by its session: settled once, and the client is told', () => {
  const { asker, said, settled, ask } = setUp()
  const one = session('s1')
  ask(one)()
  expect(JSON.parse(said[1] ?? '')).toMatchObject({
    method: 'notifications/cancelled',
    params: { requestId: 'qe.1' },
  })
  expect(settled).toEqual([])
  ask(one)
  vi.advanceTimersByTime(600_000)
  ask(one)
  asker.sessionEnded(one)
  expect(settled.map((body) => (JSON.parse(`{${body}}`) as { error: { code: number } }).error.code)).toEqual([
    -32603, -32603,
  ])
  expect(asker.open).toBe(0)
})

test('a client has so many questions at most', () => {
  const { said, settled, ask } = setUp()
  for (let i = 0; i < 40; i++) ask(SAME)
  expect(said).toHaveLength(32)
  expect(settled).toHaveLength(8)
})
const SAME = session('same')

// oxfmt-ignore
test.each([
  ['{}',                                   'roots/list',             '{}',              false],
  ['{"roots":{}}',                         'roots/list',             '{}',              true],
  ['{"sampling":{}}',                      'sampling/createMessage', '{}',              true],
  ['{"elicitation":{}}',                   'elicitation/create',     '{}',              true],
  ['{"elicitation":{}}',                   'elicitation/create',     '{"mode":"form"}', true],
  ['{"elicitation":{}}',                   'elicitation/create',     '{"mode":"url"}',  false],
  ['{"elicitation":{"url":{}}}',           'elicitation/create',     '{"mode":"url"}',  true],
  ['{"elicitation":{"url":{}}}',           'elicitation/create',     '{}',              false],
  ['{"elicitation":{"form":{},"url":{}}}', 'elicitation/create',     '{"mode":"url"}',  true],
  ['{"roots":{},"sampling":{}}',           'tools/call',             '{}',              false],
  ['{"roots":true,"sampling":null}',       'roots/list',             '{}',              false],
])('a client that declares %s can be asked %s %s: %s', (capabilities, method, params, expected) => {
  expect(canAsk(readOffer(capabilities), method, params)).toBe(expected)
})
