import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createIntentEncoder, decodeBody, encodeOther, encodeOutcome } from './encode.ts'
import type { Entry, Intent, Outcome } from './entry.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
)
const maybe = fc.option(text, { nil: undefined })

const intents: fc.Arbitrary<Intent> = fc.record({
  type: fc.constant('intent'),
  id: text,
  atMs: fc.integer(),
  event: text,
  principal: text,
  principalName: text,
  user: maybe,
  token: maybe,
  tokenSha: maybe,
  grant: maybe,
  injected: maybe,
  actor: maybe,
  project: maybe,
  server: maybe,
  target: maybe,
  session: maybe,
  decision: fc.constantFrom('allow', 'deny'),
  reason: maybe,
})

const outcomes: fc.Arbitrary<Outcome> = fc.record({
  type: fc.constant('outcome'),
  of: text,
  atMs: fc.integer(),
  status: fc.constantFrom('ok', 'tool-error', 'error', 'cancelled', 'lost'),
  durationMs: fc.integer({ min: 0, max: 10_000_000 }).map((hundredths) => hundredths / 100),
  code: maybe,
  session: maybe,
})

const encodeIntent = createIntentEncoder()
const encode = (entry: Intent | Outcome): string =>
  entry.type === 'intent' ? encodeIntent(entry) : encodeOutcome(entry)

describe('an entry', () => {
  test('comes back as it went in, and is one line of valid UTF-8', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(intents, outcomes), { minLength: 1, maxLength: 5 }), (entries) => {
        const body = entries.map(encode).join('\n')
        expect(body.split('\n')).toHaveLength(entries.length)
        expect(Buffer.from(body).toString()).toBe(body)
        const plain = JSON.parse(JSON.stringify(entries)) as Entry[]
        expect(decodeBody(body)).toEqual(plain)
      }),
    )
  })

  // oxfmt-ignore
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  test.each(bad)('is readable with %s for a time', (value) => {
    const line = encodeOutcome({ type: 'outcome', of: 'b-1', atMs: value, status: 'ok', durationMs: value })
    expect(JSON.parse(line)).toMatchObject({ atMs: 0, durationMs: 0 })
  })

  test('says who it was, also when one caller follows another under the same key', () => {
    const principals = fc.constantFrom('a', 'b')
    const few = fc.option(fc.constantFrom('x', 'y'), { nil: undefined })
    const who = fc.record({
      principal: principals,
      principalName: principals,
      user: few,
      token: few,
      tokenSha: few,
      actor: few,
    })
    fc.assert(
      fc.property(fc.array(who, { maxLength: 30 }), (callers) => {
        const rest = { type: 'intent', id: 'b-1', atMs: 1, event: 'ping', decision: 'allow' } as const
        const entries: Intent[] = callers.map((caller) => Object.assign({}, rest, caller))
        const encodeEach = createIntentEncoder()
        const read = entries.map((entry) => JSON.parse(encodeEach(entry)) as unknown)
        expect(read).toEqual(JSON.parse(JSON.stringify(entries)))
      }),
    )
  })

  test('is the same for more callers than are kept', () => {
    const encodeEach = createIntentEncoder()
    for (let round = 0; round < 2; round++)
      for (let i = 0; i < 1_200; i++) {
        const line = encodeEach({
          type: 'intent',
          id: 'b-1',
          atMs: 1,
          event: 'ping',
          principal: `token:${i}`,
          principalName: `t${i}`,
          decision: 'allow',
        })
        expect(JSON.parse(line)).toMatchObject({ principal: `token:${i}`, principalName: `t${i}` })
      }
  })

  test('of the rare kinds is plain JSON', () => {
    const gap = { type: 'gap', atMs: 2, sinceMs: 1, entriesLost: 3 } as const
    expect(decodeBody(encodeOther(gap))).toEqual([gap])
  })
})
