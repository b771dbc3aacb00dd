import { expect, test } from 'vitest'
import type { Era } from '../../protocol/revisions.ts'
import { createExchange, type Exchange, type Kind } from '../exchange.ts'
import { createSessionStep } from './session-step.ts'
import type { EventLogs } from '../reply/events/event-logs.ts'
import type { CompiledProject } from '../route/compiled-project.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'

const OWN = { id: 'own', principal: 'token:a', project: 'demo', server: undefined } as Session
const SINGLE = { ...OWN, id: 'single', server: 'one' } as Session
const FOREIGN = { ...OWN, id: 'foreign', principal: 'token:b' } as Session
const ELSEWHERE = { ...OWN, id: 'elsewhere', project: 'other' } as Session
const KEPT_ID = 'k'.repeat(32)
const GONE_ID = 'g'.repeat(32)
const KEPT = { ...OWN, id: KEPT_ID } as Session

function setUp() {
  const seen: Session[] = []
  const looked: string[] = []
  const known = new Map([OWN, SINGLE, FOREIGN, ELSEWHERE].map((session) => [session.id as string, session]))
  const sessions = {
    peek: (id: string) => known.get(id),
    find: (id: string) => Promise.resolve(looked.push(id) > 0 && id === KEPT_ID ? KEPT : undefined),
    seen: (session: Session) => seen.push(session),
  } as unknown as Sessions
  return { step: createSessionStep(sessions, {} as EventLogs), seen, looked }
}

interface Asked {
  readonly id?: string
  readonly version?: string
  readonly era?: Era
  readonly kind?: Kind
  readonly server?: string
}

function exchange({ id, version, era = 'legacy', kind = 'tools/list', server }: Asked): Exchange {
  const headers = { 'mcp-session-id': id, 'mcp-protocol-version': version }
  const x = createExchange({ request: { headers }, target: { project: 'demo', server } } as never)
  x.era = era
  x.kind = kind
  x.principal = {
    kind: 'token',
    key: 'token:a',
    uid: 'a',
    name: 'a',
    project: 'demo',
    owner: undefined,
    digest: '',
  }
  return x
}

// oxfmt-ignore
test.each([
  ['its own session',                      { id: 'own' },                              'own'],
  ['a session from before a restart',      { id: KEPT_ID },                            KEPT_ID],
  ['a legacy version header',              { id: 'own', version: '2025-03-26' },       'own'],
  ['the session of one server, there',     { id: 'single', server: 'one' },            'single'],
  ['no session id',                        {},                                         'session_missing'],
  ['an empty session id',                  { id: '' },                                 'session_missing'],
  ['a session that nobody knows',          { id: GONE_ID },                            'session_lost'],
  ['an id that was sent twice',            { id: `${KEPT_ID}, ${KEPT_ID}` },           'session_lost'],
  ['an id with characters that no id has', { id: `${'k'.repeat(31)}*` },               'session_lost'],
  ['an id that is far too long',           { id: 'k'.repeat(8000) },                   'session_lost'],
  ['the session of somebody else',         { id: 'foreign' },                          'session_lost'],
  ['a session of another project',         { id: 'elsewhere' },                        'session_lost'],
  ['the session of one server, elsewhere', { id: 'single' },                           'session_lost'],
  ['the session of the project, at one server', { id: 'own', server: 'one' },          'session_lost'],
  ['a version that is not legacy',         { id: 'own', version: '2026-07-28' },       'unsupported_version'],
  ['a version that is none',               { id: 'own', version: 'latest' },           'unsupported_version'],
  ['ending a session that nobody knows',   { id: 'gone', kind: 'end' },                undefined],
  ['ending the session of somebody else',  { id: 'foreign', kind: 'end' },             undefined],
  ['ending without an id',                 { kind: 'end' },                            'session_missing'],
  ['a modern request, which has none',     { era: 'modern' },                          undefined],
  ['a modern request with an id, ignored', { era: 'modern', id: 'own' },               undefined],
] as const)('%s', async (_, asked: Asked, expected) => {
  const { step, seen } = setUp()
  const x = exchange(asked)
  const refusal = await step(x)
  expect(refusal?.code ?? x.session?.id).toBe(expected)
  // Only who may use a session keeps it alive.
  expect(seen).toEqual(x.session === undefined ? [] : [x.session])
})

// oxfmt-ignore
test.each([
  ['a call',                           {},                                                undefined],
  ['a list, of a revision that it names', { kind: 'tools/list', version: '2025-06-18' },  undefined],
  ['a notification',                   { kind: 'notification' },                          undefined],
  ['what is not a revision',           { version: 'latest' },                             'unsupported_version'],
  ['the stream of a session',          { kind: 'stream' },                                'session_missing'],
  ['the end of a session',             { kind: 'end' },                                   'session_missing'],
  ['the level of a session',           { kind: 'logging/setLevel' },                      'session_missing'],
  ['a subscription of a session',      { kind: 'resources/subscribe' },                   'session_missing'],
  ['a session that nobody knows',      { id: GONE_ID },                                   'session_lost'],
] as const)('where sessions are optional, without one: %s', async (_, asked: Asked, expected) => {
  const { step } = setUp()
  const x = exchange({ kind: 'tools/call', ...asked })
  x.project = { view: { spec: { sessions: 'optional' } } } as CompiledProject
  expect((await step(x))?.code).toBe(expected)
  expect(x.session).toBeUndefined()
})

test('an id that cannot be one of ours is not looked for in the store', async () => {
  const { step, looked } = setUp()
  for (const id of ['x', `${KEPT_ID}, ${KEPT_ID}`, '../../etc', `${'k'.repeat(31)}\u00e9`])
    await step(exchange({ id }))
  expect(looked).toEqual([])
})

test.each(['stream', 'end'] as const)('a modern client has no session to %s', async (kind) => {
  const x = exchange({ kind, id: 'own', version: '2026-07-28' })
  expect([(await setUp().step(x))?.code, x.era]).toEqual(['method_not_allowed', 'modern'])
})
