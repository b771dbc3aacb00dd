import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { BootEpoch } from '../../../lib/id.ts'
import type { InstanceEvents, InstanceSpec, Runtime } from '../../../runtime/runtime.ts'
import { NO_OFFER } from '../../../protocol/client-offer.ts'
import { detectStdio } from '../dial/detect.ts'
import { StdioUpstream, type StdioOptions } from './stdio.ts'
import { createWireIds } from '../wire-id.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

type Wire = Readonly<Record<string, unknown>>
/** What a process says to a request: a member of a response, its end, or nothing. */
type Says = (request: { id: string; method: string; params?: Wire }) => Wire | 'ends' | 'nothing'

/** Processes that only the test speaks for. */
function scriptedRuntime(says: Says) {
  const started: string[] = []
  const heard: string[] = []
  const running = new Set<string>()
  const runtime: Runtime = {
    sandbox: 'reaper',
    close: async () => {},
    start(spec, events) {
      started.push(`${spec.key} beside ${running.size}`)
      running.add(spec.key)
      return Promise.resolve(processOf(spec, events))
    },
  }

  function processOf(spec: InstanceSpec, events: InstanceEvents) {
    const take = (line: Buffer): void => {
      const request = JSON.parse(line.toString()) as Parameters<Says>[0]
      heard.push(`${spec.key}: ${request.method}`)
      const said = request.id === undefined ? 'nothing' : says(request)
      if (said === 'ends') {
        running.delete(spec.key)
        events.ended({ why: 'exit', message: 'it ended by itself with status 1' })
      } else if (said !== 'nothing')
        events.line(Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: request.id, ...said })))
    }
    return {
      pid: 1,
      write(message: Buffer) {
        setImmediate(take, message)
        return true
      },
      drained: async () => {},
      async stop() {
        running.delete(spec.key)
      },
    }
  }

  return { runtime, started, heard, running }
}

const SPEC = {
  server: 'a',
  key: 'a',
  command: 'a',
  args: [],
  env: {},
  mounts: [],
  memoryMiB: 64,
  messageMiB: 1,
} as const

const US = { name: 'castellan', version: '0' }
const ids = createWireIds('e' as BootEpoch)
const refusal = (code: number, data?: object): Wire => ({ error: { code, message: 'no', data } })
const DISCOVERED: Wire = { result: { supportedVersions: ['2026-07-28'], capabilities: {} } }
const INITIALIZED: Wire = { result: { protocolVersion: '2025-06-18', capabilities: {} } }

describe('what a copy of the process is found to speak', () => {
  const detect = (says: Says, pinned: 'auto' | 'legacy' | 'modern' = 'auto', connectTimeoutMs = 30_000) => {
    const script = scriptedRuntime(says)
    const about = { runtime: script.runtime, spec: SPEC, us: US, ids, connectTimeoutMs }
    return { ...script, verdict: detectStdio(about, pinned) }
  }

  // oxfmt-ignore
  const ROWS: readonly (readonly [what: string, says: Says, speaks: string, how: string])[] = [
    ['a modern answer', () => DISCOVERED, 'modern', 'by server/discover'],
    ['any error', () => refusal(-32_601), 'legacy', 'by initialize: server/discover was answered with error -32601'],
    ['an error of another kind', () => refusal(-32_000), 'legacy', 'by initialize: server/discover was answered with error -32000'],
    ['its end', () => 'ends', 'legacy', 'by initialize: asked for server/discover, it ended by itself with status 1'],
    ['silence', () => 'nothing', 'legacy', 'by initialize: it did not answer server/discover within 5 s'],
    ['a result of another kind', () => ({ result: {} }), 'legacy', 'by initialize: its answer to server/discover names no revision that we share'],
    ['other revisions only', () => refusal(-32_022, { supported: ['2031-01-01'] }), 'legacy', 'by initialize: server/discover was answered with error -32022, which names no modern revision that we share'],
  ]

  test.each(ROWS)('%s', async (_what, says, speaks, how) => {
    const { verdict, started, running } = detect(says)
    await vi.advanceTimersByTimeAsync(6000)
    expect(await verdict).toMatchObject({ speaks, how })
    expect({ started, running: [...running] }).toEqual({ started: ['a-probe beside 0'], running: [] })
  })

  test('one that wants our revision named again is asked once more, and no third time', async () => {
    let asked = 0
    const wants = (): Wire => {
      asked += 1
      return asked === 2 ? DISCOVERED : refusal(-32_022, { supported: ['2026-07-28'] })
    }
    const { verdict } = detect(wants)
    await vi.advanceTimersByTimeAsync(10)
    expect(await verdict).toMatchObject({ speaks: 'modern' })
    const stubborn = detect(() => refusal(-32_022, { supported: ['2026-07-28'] }))
    await vi.advanceTimersByTimeAsync(10)
    expect(await stubborn.verdict).toMatchObject({ speaks: 'legacy', mayBeModern: true })
    expect(stubborn.heard).toHaveLength(2)
  })

  test('a short spec.timeouts.connectSeconds leaves time for the process that is to serve', async () => {
    const { verdict } = detect(() => 'nothing', 'auto', 1000)
    await vi.advanceTimersByTimeAsync(501)
    expect(await verdict).toMatchObject({ how: expect.stringContaining('within 0.5 s') as unknown })
  })

  test.each(['legacy', 'modern'] as const)('spec.protocol %s starts nothing', async (pinned) => {
    const { verdict, started } = detect(() => 'nothing', pinned)
    expect(await verdict).toMatchObject({ speaks: pinned })
    expect(started).toEqual([])
  })
})

describe('the process that serves', () => {
  const open = (says: Says, more: Pick<StdioOptions, 'era' | 'mayBeModern'>) => {
    const script = scriptedRuntime(says)
    const upstream = new StdioUpstream({
      runtime: script.runtime,
      spec: () => SPEC,
      us: US,
      ids,
      events: { changed() {}, asked() {}, withdrawn() {}, notified() {}, lost() {} },
      offer: NO_OFFER,
      oneClient: false,
      tickMs: () => 0,
      connectTimeoutMs: 30_000,
      ...more,
    })
    return { ...script, opened: upstream.open() }
  }

  test('hears initialize first when it is legacy', async () => {
    const { opened, heard } = open(() => INITIALIZED, { era: 'legacy', mayBeModern: false })
    await vi.advanceTimersByTimeAsync(10)
    expect(await opened).toMatchObject({ ok: true, value: { era: 'legacy' } })
    expect(heard).toEqual(['a: initialize', 'a: notifications/initialized'])
  })

  test('one that was only too slow for the copy is modern after all', async () => {
    const says: Says = ({ method }) => (method === 'initialize' ? refusal(-32_601) : DISCOVERED)
    const { opened, heard } = open(says, { era: 'legacy', mayBeModern: true })
    await vi.advanceTimersByTimeAsync(10)
    expect(await opened).toMatchObject({ ok: true, value: { era: 'modern' } })
    expect(heard).toEqual(['a: initialize', 'a: server/discover'])
  })

  test('one that has said that it is legacy is not asked again', async () => {
    const { opened, heard } = open(() => refusal(-32_601), { era: 'legacy', mayBeModern: false })
    await vi.advanceTimersByTimeAsync(10)
    expect(await opened).toMatchObject({ ok: false, error: { kind: 'invalid' } })
    expect(heard).toEqual(['a: initialize'])
  })
})
