import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { BootEpoch } from '../../../lib/id.ts'
import { readOffer } from '../../../protocol/client-offer.ts'
import { readMessage, type Message } from '../../../protocol/message.ts'
import type { Outlet } from '../../reply/outlet.ts'
import type { Caller } from '../caller.ts'
import { createStateSealer } from './park-state.ts'
import { createParking, type Parking } from './parking.ts'
import { Rounds } from './rounds.ts'
import type { Question } from '../upstream.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const read = (text: string): Message => {
  const message = readMessage(Buffer.from(text), 'upstream')
  if (!message.ok) throw new TypeError(message.error)
  return message.value
}

interface Given {
  readonly result: {
    readonly resultType: string
    readonly inputRequests: Record<string, { method: string; params: unknown }>
    readonly requestState: string
  }
}

const sealer = createStateSealer(Buffer.alloc(32))
const ANSWER_MS = 5000
const clock = { nowMs: () => 1000, tickMs: () => 0 }
const newParking = (): Parking => createParking({ sealer, epoch: 'e' as BootEpoch, clock })

function setUp(parking = newParking(), capabilities = '{"elicitation":{},"sampling":{}}') {
  const given: Given[] = []
  const newCaller = (id: number): Caller => ({
    message: read(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"}}`),
    era: 'modern',
    kind: 'tools/call',
    session: undefined,
    offer: readOffer(capabilities),
    out: {
      answer: (_status: number, parts: readonly string[]) => given.push(JSON.parse(parts.join('')) as Given),
    } as unknown as Outlet,
    outcome: undefined,
    outcomeCode: undefined,
  })
  let caller: Caller | undefined = newCaller(1)
  const state = { abandoned: 0 }
  const rounds = new Rounds(
    {
      principal: 'token:a',
      server: 'one',
      answerMs: ANSWER_MS,
      caller: () => caller,
      detach: () => void (caller = undefined),
      attach: (retry) => void (caller = retry.caller),
      abandon: () => void state.abandoned++,
    },
    parking,
    caller,
  )
  const answers: string[] = []
  const ask = (name: string, method = 'elicitation/create'): Question => {
    const question: Question = {
      request: read(`{"jsonrpc":"2.0","id":"${name}","method":"${method}","params":{"message":"${name}"}}`),
      answer: (body) => void answers.push(`${name} ${body}`),
      tell() {},
    }
    rounds.asked(question, caller)
    return question
  }
  const resume = (round: number, responses: Record<string, string>): boolean =>
    rounds.resume({
      caller: newCaller(2),
      round,
      responses: new Map(Object.entries(responses)),
      conclude: () => {},
    })
  return { rounds, parking, given, answers, ask, resume, state }
}
const soon = (): void => void vi.advanceTimersByTime(10)

test('questions that come together are one round; the answers go where they belong; the next round has other keys', () => {
  const { given, answers, ask, resume, parking } = setUp()
  ask('a')
  ask('b', 'sampling/createMessage')
  soon()
  expect(given).toHaveLength(1)
  expect(given[0]?.result).toMatchObject({
    resultType: 'input_required',
    inputRequests: {
      'q1.1': { method: 'elicitation/create', params: { message: 'a' } },
      'q1.2': { method: 'sampling/createMessage' },
    },
  })
  expect(parking.find('pe.1')).toBeDefined()
  expect(sealer.open(given[0]?.result.requestState ?? '')).toMatchObject({
    node: 'e',
    park: 'pe.1',
    round: 1,
  })
  expect(resume(1, { 'q1.1': '{"action":"accept"}', 'q1.2': '{"x":1}', other: '{}' })).toBe(true)
  expect(answers).toEqual(['a "result":{"action":"accept"}', 'b "result":{"x":1}'])
  ask('c')
  soon()
  expect(Object.keys(given[1]?.result.inputRequests ?? {})).toEqual(['q2.1'])
})

test('a round is answered once: the second claim and one of another round are refused', () => {
  const { ask, resume, answers } = setUp()
  ask('a')
  soon()
  expect(resume(2, {})).toBe(false)
  expect(resume(1, { 'q1.1': '{}' })).toBe(true)
  expect(resume(1, { 'q1.1': '{"action":"decline"}' })).toBe(false)
  expect(answers).toEqual(['a "result":{}'])
})

test('what is left unanswered is asked again, as is what was asked while nobody was there', () => {
  const { given, ask, resume, answers } = setUp()
  ask('a')
  ask('b')
  soon()
  ask('late')
  resume(1, { 'q1.2': '{}' })
  soon()
  expect(answers).toEqual(['b "result":{}'])
  const asked = Object.values(given[1]?.result.inputRequests ?? {}).map(({ params }) => params)
  expect(asked).toEqual([{ message: 'a' }, { message: 'late' }])
})

test('what the client has not declared is declined and remembered', () => {
  const { rounds, given, ask, answers } = setUp(newParking(), '{"sampling":{}}')
  ask('a')
  soon()
  expect(given).toEqual([])
  expect(answers).toEqual(['a "result":{"action":"cancel"}'])
  expect(rounds.lacking).toEqual({ elicitation: { form: {} } })
})

test('a question that its server takes back is not asked, and not waited for', () => {
  const { rounds, given, ask, resume, answers } = setUp()
  const a = ask('a')
  ask('b')
  rounds.withdrawn(a)
  soon()
  expect(Object.keys(given[0]?.result.inputRequests ?? {})).toEqual(['q1.1'])
  resume(1, { 'q1.1': '{}' })
  expect(answers).toEqual(['b "result":{}'])
})

test('rounds, and parked calls of a principal and of a server, are bounded; who asks more is declined', () => {
  const { given, ask, resume, answers } = setUp()
  for (let round = 1; round <= 20; round++) {
    ask(`r${round}`)
    soon()
    resume(round, { [`q${round}.1`]: '{}' })
  }
  expect(given).toHaveLength(10)
  expect(answers.filter((answer) => answer.includes('cancel'))).toHaveLength(10)
  const parking = newParking()
  for (let i = 0; i < 32; i++) {
    setUp(parking).ask('a')
    soon()
  }
  expect(parking.size).toBe(32)
  const one = setUp(parking)
  one.ask('too much')
  soon()
  expect(one.given).toEqual([])
  expect(one.answers).toEqual(['too much "result":{"action":"cancel"}'])
})

test('when nobody comes back the call is given up; its end declines what is open and forgets it', () => {
  const { rounds, ask, answers, parking, state } = setUp()
  ask('a')
  soon()
  ask('b')
  vi.advanceTimersByTime(ANSWER_MS)
  expect(state.abandoned).toBe(1)
  expect(parking.expired).toBe(1)
  rounds.end()
  expect(answers).toEqual(['a "result":{"action":"cancel"}', 'b "result":{"action":"cancel"}'])
  expect(parking.size).toBe(0)
})
