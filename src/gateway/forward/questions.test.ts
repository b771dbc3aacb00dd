import { expect, test } from 'vitest'
import { readMessage, type Message } from '../../protocol/message.ts'
import { OpenQuestions, theOne } from './questions.ts'
import { decline, type Question, type Sink } from './upstream.ts'

const message = (text: string): Message => {
  const read = readMessage(Buffer.from(text), 'upstream')
  if (!read.ok) throw new TypeError(read.error)
  return read.value
}
const request = (id: string, method = 'elicitation/create'): Message =>
  message(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{}}`)

function setUp(): {
  readonly open: OpenQuestions
  readonly sent: string[]
  readonly asked: Question[]
  readonly withdrawn: Question[]
  take(request: Message): void
  settled: number
} {
  const sent: string[] = []
  const asked: Question[] = []
  const withdrawn: Question[] = []
  const open = new OpenQuestions((text) => sent.push(text))
  const state = {
    open,
    sent,
    asked,
    withdrawn,
    settled: 0,
    take: (one: Message): void =>
      open.take(
        one,
        { asked: (question) => asked.push(question), withdrawn: (question) => withdrawn.push(question) },
        () => state.settled++,
      ),
  }
  return state
}

test('an answer goes back once, under the id of the server, and ends the waiting', () => {
  const state = setUp()
  state.take(request('7'))
  state.asked[0]?.answer('"result":{"action":"accept"}')
  state.asked[0]?.answer('"result":{"action":"decline"}')
  expect(state.sent).toEqual(['{"jsonrpc":"2.0","id":7,"result":{"action":"accept"}}'])
  expect(state.settled).toBe(1)
})

test('ping is answered at once, and no caller hears of it', () => {
  const state = setUp()
  state.take(request('"p"', 'ping'))
  expect(state.sent).toEqual(['{"jsonrpc":"2.0","id":"p","result":{}}'])
  expect(state.asked).toEqual([])
})

test('a second question under an open id is not asked; `7` and `"7"` are two ids', () => {
  const state = setUp()
  state.take(request('7'))
  state.take(request('7'))
  state.take(request('"7"'))
  expect(state.asked.map((question) => question.request.idText)).toEqual(['7', '"7"'])
  expect(state.settled).toBe(1)
})

test('what the server takes back, and what is open when the connection ends, is withdrawn and not answered', () => {
  const state = setUp()
  state.take(request('1'))
  state.take(request('2'))
  const cancelled = message('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
  expect(state.open.withdraw(cancelled)).toBe(true)
  expect(state.open.withdraw(cancelled)).toBe(false)
  state.open.dropAll()
  expect(state.withdrawn.map((question) => question.request.idText)).toEqual(['1', '2'])
  for (const question of state.asked) question.answer('"result":{}')
  expect(state.sent).toEqual([])
})

test('whatever becomes of what the server sends, the time of its call goes on', () => {
  const state = setUp()
  state.take(request('1', 'ping'))
  expect(state.settled).toBe(1)
  state.take(request('2'))
  state.open.withdraw(
    message('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}'),
  )
  expect(state.settled).toBe(2)
  state.take(request('3'))
  state.open.dropAll()
  expect(state.settled).toBe(3)
})

test.each(['null', '[]', '"text"', '7'])('no client is asked with params of %s', (params) => {
  const state = setUp()
  state.take(message(`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":${params}}`))
  expect(state.asked).toEqual([])
  expect(JSON.parse(state.sent[0] ?? '')).toMatchObject({ id: 1, error: { code: -32602 } })
  expect(state.settled).toBe(1)
})

test('a connection that asks without end is told so', () => {
  const state = setUp()
  for (let id = 0; id < 101; id++) state.take(request(String(id)))
  expect(state.asked).toHaveLength(100)
  expect(state.sent).toHaveLength(1)
  expect(JSON.parse(state.sent[0] ?? '')).toMatchObject({ id: 100, error: { code: -32603 } })
})

test('who is not there cancels an elicitation and knows nothing else', () => {
  const state = setUp()
  state.take(request('1'))
  state.take(request('2', 'roots/list'))
  state.asked.forEach(decline)
  expect(state.sent.map((text) => JSON.parse(text) as unknown)).toMatchObject([
    { id: 1, result: { action: 'cancel' } },
    { id: 2, error: { code: -32601 } },
  ])
})

const calls = (...mayBeAsked: boolean[]): { readonly sink: Sink; readonly at: number }[] =>
  mayBeAsked.map((may, at) => ({ sink: { mayBeAsked: may } as Sink, at }))

// oxfmt-ignore
test.each([
  // calls in flight            one client's  whose it is
  [[],                          false,        undefined],
  [[true],                      false,        0],
  [[false],                     false,        0],
  [[false, true, false],        false,        1],
  [[false, false],              false,        undefined],
  [[true, true],                false,        undefined],
  [[true, true],                true,         1],
  [[true, true, false],         true,         1],
])('of calls that may be asked %j, all one client\'s: %s, it is number %s', (may, oneClient, expected) => {
  expect(theOne(calls(...may), oneClient)?.at).toBe(expected)
})
