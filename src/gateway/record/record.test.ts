import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import type { Entry, Recorder, Segment } from '../../audit/entry.ts'
import { Project } from '../../kinds/project.ts'
import type { BootEpoch } from '../../lib/id.ts'
import { createExchange, type Exchange, type Kind } from '../exchange.ts'
import type { Outlet } from '../reply/outlet.ts'
import { createProjectCompiler } from '../route/compiled-project.ts'
import { createRecord } from './record.ts'

/** A recorder whose disk is in the hands of the test. */
function openRecorder() {
  const entries: Entry[] = []
  const refused: string[] = []
  const disk = { takes: true }
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const segment: Segment & { committed: boolean } = { committed: false, durable: promise }
  const recorder: Recorder = {
    accepts: () => disk.takes,
    intent(entry) {
      entries.push(entry)
      return segment
    },
    outcome: (entry) => void entries.push(entry),
    refused: (source, reason) => void refused.push(`${source} ${reason}`),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  const commit = (durable: boolean): void => {
    segment.committed = durable
    resolve(durable)
  }
  return { recorder, entries, refused, disk, segment, commit }
}

type Durability = 'before-reply' | 'before-forward' | 'batched'

function setUp(durability: Durability = 'before-reply') {
  const kept = openRecorder()
  const time = { nowMs: 5000, tickMs: 100 }
  const clock = { nowMs: () => time.nowMs, tickMs: () => time.tickMs }
  const record = createRecord({ recorder: kept.recorder, clock, epoch: 'boot' as BootEpoch })
  const waits: unknown[] = []
  const out = { after: (segment: unknown) => waits.push(segment) } as unknown as Outlet
  const exchange = (kind: Kind = 'tools/call', known = true): Exchange => {
    const request = { socket: { remoteAddress: '192.0.2.1' } } as unknown as IncomingMessage
    const target = { project: 'demo', server: undefined }
    const x = createExchange({ request, response: {} as ServerResponse, target, startedMs: 98.5, out })
    x.kind = kind
    if (known)
      x.principal = {
        kind: 'token',
        key: 'token:t',
        uid: 't',
        name: 'laptop',
        project: 'demo',
        owner: undefined,
        digest: '',
      }
    const spec = Project.spec.parse({ audit: { durability } })
    x.project = createProjectCompiler()({ uid: 'prj', name: 'demo', spec, servers: [] })
    return x
  }
  return { ...kept, record, exchange, waits, time }
}

// oxfmt-ignore
test.each([
  // durability        the reply waits  the step waits for the disk
  ['before-reply',     true,            false],
  ['before-forward',   true,            true],
  ['batched',          false,           false],
] as const)('%s: the reply waits: %s, forwarding waits: %s', async (durability, reply, forward) => {
  const { record, exchange, waits, segment, commit } = setUp(durability)
  const done = record.step(exchange())
  expect(waits).toEqual(reply ? [segment] : [])
  expect(done instanceof Promise).toBe(forward)
  commit(true)
  expect(await done).toBeUndefined()
})

test('before-forward: what could not be written is not forwarded', async () => {
  const { record, exchange, commit } = setUp('before-forward')
  const done = record.step(exchange())
  commit(false)
  expect(await done).toMatchObject({ code: 'unavailable' })
})

test('before-forward: a segment that is on disk already costs no promise', () => {
  const { record, exchange, commit } = setUp('before-forward')
  commit(true)
  expect(record.step(exchange())).toBeUndefined()
})

test('while the record takes nothing, calls are refused before they are forwarded, whatever the durability', async () => {
  for (const durability of ['before-reply', 'before-forward', 'batched'] as const) {
    const { record, exchange, disk, entries } = setUp(durability)
    disk.takes = false
    const x = exchange()
    const refusal = await record.step(x)
    expect(refusal).toMatchObject({ code: 'unavailable' })
    if (refusal !== undefined) record.refused(x, refusal)
    x.outcome = 'error'
    record.outcome(x)
    expect(entries).toEqual([])
  }
})

test('intent and outcome say who, what, where and how long, and nothing of what was said', () => {
  const { record, exchange, entries, time } = setUp()
  const x = exchange()
  x.route = { server: { name: 'one' }, exposed: 'one__echo' } as never
  x.session = { digest: 'abcd' } as never
  void record.step(x)
  x.outcome = 'tool-error'
  time.nowMs = 6000
  record.outcome(x)
  expect(entries).toEqual([
    {
      type: 'intent',
      id: 'boot-1',
      atMs: 5000,
      event: 'tools/call',
      principal: 'token:t',
      principalName: 'laptop',
      user: undefined,
      token: 'laptop',
      tokenSha: '',
      project: 'demo',
      server: 'one',
      target: 'one__echo',
      session: 'abcd',
      decision: 'allow',
      reason: undefined,
    },
    { type: 'outcome', of: 'boot-1', atMs: 6000, status: 'tool-error', durationMs: 1.5, code: undefined },
  ])
})

test('a refusal of somebody known is a denial with its reason', () => {
  const { record, exchange, entries } = setUp()
  record.refused(exchange(), { code: 'not_found', detail: 'denied by spec.tools' })
  record.refused(exchange('ping'), { code: 'session_lost', detail: { not: 'a text' } })
  expect(entries).toMatchObject([
    { event: 'tools/call', decision: 'deny', reason: 'not_found: denied by spec.tools' },
    { event: 'ping', decision: 'deny', reason: 'session_lost' },
  ])
})

test('a refusal of somebody unknown is counted by source, not chained', () => {
  const { record, exchange, entries, refused } = setUp()
  record.refused(exchange('tools/call', false), { code: 'unauthenticated', detail: 'unknown token' })
  expect(entries).toEqual([])
  expect(refused).toEqual(['192.0.2.1 unauthenticated: unknown token'])
})

test('what was let through and then failed is one intent with an outcome, not a denial as well', () => {
  const { record, exchange, entries } = setUp()
  const x = exchange()
  void record.step(x)
  record.refused(x, { code: 'upstream_timeout' })
  x.outcome = 'lost'
  x.outcomeCode = 'upstream_timeout'
  record.outcome(x)
  expect(entries.map(({ type }) => type)).toEqual(['intent', 'outcome'])
})

test('no id comes twice, and none is given to what is not recorded', () => {
  const { record, exchange, entries } = setUp()
  for (let i = 0; i < 3; i++) void record.step(exchange())
  const silent = exchange('ping')
  silent.outcome = 'ok'
  record.outcome(silent)
  expect(entries.map((entry) => ('id' in entry ? entry.id : ''))).toEqual(['boot-1', 'boot-2', 'boot-3'])
})

test('a name of any length takes at most 512 characters', () => {
  const { record, exchange, entries } = setUp()
  const x = exchange('resources/read')
  x.route = { server: { name: 'one' }, exposed: `file:///${'x'.repeat(5000)}` } as never
  void record.step(x)
  expect(entries[0]).toMatchObject({ target: expect.stringMatching(/^.{512}$/) as string })
})
