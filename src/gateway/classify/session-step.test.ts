import { expect, test } from 'vitest'
import type { Era } from '../../protocol/revisions.ts'
import { createExchange, type Exchange, type Kind } from '../exchange.ts'
import { createSessionStep } from './session-step.ts'
import type { EventLogs } from '../reply/event-logs.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'

const OWN = { id: 'own', principal: 'token:a', project: 'demo', server: undefined } as Session
const SINGLE = { ...OWN, id: 'single', server: 'one' } as Session
const FOREIGN = { ...OWN, id: 'foreign', principal: 'token:b' } as Session
const ELSEWHERE = { ...OWN, id: 'elsewhere', project: 'other' } as Session
const KEPT = { ...OWN, id: 'kept' } as Session

function setUp() {
  const seen: Session[] = []
  const known = new Map([OWN, SINGLE, FOREIGN, ELSEWHERE].map((session) => [session.id as string, session]))
  const sessions = {
    peek: (id: string) => known.get(id),
    find: (id: string) => Promise.resolve(id === 'kept' ? KEPT : undefined),
    seen: (session: Session) => seen.push(session),
  } as unknown as Sessions
  return { step: createSessionStep(sessions, {} as EventLogs), seen }
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
  x.principal = { kind: 'token', key: 'token:a', uid: 'a', name: 'a', project: 'demo' }
  return x
}

// oxfmt-ignore
test.each([
  ['its own session',                      { id: 'own' },                              'own'],
  ['a session from before a restart',      { id: 'kept' },                             'kept'],
  ['a legacy version header',              { id: 'own', version: '2025-03-26' },       'own'],
  ['the session of one server, there',     { id: 'single', server: 'one' },            'single'],
  ['no session id',                        {},                                         'session_missing'],
  ['an empty session id',                  { id: '' },                                 'session_missing'],
  ['a session that nobody knows',          { id: 'gone' },                             'session_lost'],
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
