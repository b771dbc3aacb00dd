import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { faultCodes } from '../lib/fault.ts'
import { KINDS, type Kind } from './exchange.ts'
import { compilePipeline, STEPS, type Step, type StepName, type StepTable } from './steps.ts'

/** Steps that say their own name when they run, and what they answer. */
function namedTable(said: string[]): StepTable {
  const say =
    (name: string): Step =>
    (): undefined => {
      said.push(name)
      return undefined
    }
  const answer = Object.fromEntries(KINDS.map((kind) => [kind, say(`answer ${kind}`)]))
  const steps = Object.fromEntries(STEPS.map(({ step }) => [step, say(step)]))
  return { ...steps, answer } as unknown as StepTable
}

function wayOf(kind: Kind): string[] {
  const said: string[] = []
  const { head, tail } = compilePipeline(namedTable(said))
  for (const step of [...head, ...tail[kind]]) void step({} as never)
  return said
}

const HEAD = ['admit', 'identify', 'enter', 'receive', 'attach', 'classify']

describe('each kind of request passes exactly these steps after the head', () => {
  // oxfmt-ignore
  test.each([
    ['initialize',               'record, answer initialize'],
    ['server/discover',          'record, answer server/discover'],
    ['ping',                     'session, answer ping'],
    ['tools/list',               'session, record, answer tools/list'],
    ['prompts/list',             'session, record, answer prompts/list'],
    ['resources/list',           'session, record, answer resources/list'],
    ['resources/templates/list', 'session, record, answer resources/templates/list'],
    ['tools/call',               'session, route, authorize, compare, record, forward'],
    ['tasks/get',                'session, route, authorize, record, forward'],
    ['tasks/update',             'session, route, authorize, record, forward'],
    ['tasks/cancel',             'session, route, authorize, record, forward'],
    ['prompts/get',              'session, route, authorize, record, forward'],
    ['resources/read',           'session, route, authorize, record, forward'],
    ['completion/complete',      'session, route, authorize, record, forward'],
    ['resources/subscribe',      'session, route, authorize, record, forward'],
    ['resources/unsubscribe',    'session, route, authorize, record, forward'],
    ['logging/setLevel',         'session, record, answer logging/setLevel'],
    ['subscriptions/listen',     'session, record, answer subscriptions/listen'],
    ['notification',             'session, answer notification'],
    ['response',                 'session, answer response'],
    ['batch',                    'session, answer batch'],
    ['connect',                  'answer connect'],
    ['stream',                   'session, answer stream'],
    ['end',                      'session, answer end'],
  ] as const)('%s', (kind, expected) => {
    expect(wayOf(kind)).toEqual([...HEAD, ...expected.split(', ')])
  })

  test('and no kind is left out', () => {
    expect(KINDS.filter((kind) => wayOf(kind).length <= HEAD.length)).toEqual([])
  })
})

test('laws of the order', () => {
  const at = (step: StepName): number => STEPS.findIndex((row) => row.step === step)
  const order = (...steps: StepName[]) =>
    expect(steps.map(at)).toEqual(steps.map(at).toSorted((a, b) => a - b))
  // Nothing is read before it is known who asks, nothing is looked up before it is allowed.
  order('admit', 'identify', 'enter', 'receive')
  // Nothing is forwarded that was not authorised and put on the record.
  order('route', 'authorize', 'compare', 'record', 'forward')
  // Every step before the kind is known applies to every kind, but for reading a body that is not there.
  for (const { step, on } of STEPS.slice(0, at('classify') + 1))
    expect(
      KINDS.filter((kind) => !on.includes(kind)),
      step,
    ).toEqual(step === 'receive' || step === 'attach' ? ['connect', 'stream', 'end'] : [])
})

/** Where the code of each step is. */
const SOURCES: Readonly<Record<string, readonly StepName[]>> = {
  'listen/receive.ts': ['admit', 'receive', 'classify'],
  'identify/identify.ts': ['identify', 'enter'],
  'classify/classify.ts': ['classify'],
  'classify/batch.ts': ['receive', 'classify'],
  'classify/session-step.ts': ['session'],
  'classify/compare-params.ts': ['compare'],
  'route/route.ts': ['route', 'forward'],
  'authorize/authorize-call.ts': ['authorize'],
  'record/record.ts': ['record'],
  'forward/forward.ts': ['forward'],
  'forward/bridge.ts': ['forward'],
  ...Object.fromEntries(
    readdirSync(join(import.meta.dirname, 'reply'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => [`reply/${file}`, ['answer'] as const]),
  ),
  'reply/sse/sse-connections.ts': ['attach', 'answer'],
  'reply/listen/subscriptions.ts': ['forward'],
}

test.each(Object.entries(SOURCES))('every fault that %s can end in stands in the table', (file, steps) => {
  const source = readFileSync(join(import.meta.dirname, file), 'utf8')
  const told = new Set<string>(
    STEPS.filter(({ step }) => steps.includes(step)).flatMap(({ faults }) => faults),
  )
  const used = faultCodes().filter((code) => source.includes(`'${code}'`))
  expect(used.filter((code) => !told.has(code))).toEqual([])
})
