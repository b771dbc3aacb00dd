import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { BootEpoch } from '../../lib/id.ts'
import type { InstanceEvents, Runtime } from '../../runtime/runtime.ts'
import { NO_OFFER } from '../../protocol/client-offer.ts'
import { StdioUpstream } from './stdio.ts'
import { createWireIds } from './wire-id.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A process that only the test speaks for. */
function scriptedRuntime() {
  const received: { id: string; method: string }[] = []
  let events: InstanceEvents | undefined
  const runtime: Runtime = {
    sandbox: 'reaper',
    close: async () => {},
    async start(_, given) {
      events = given
      return {
        pid: 1,
        write: (message) =>
          received.push(JSON.parse(message.toString()) as { id: string; method: string }) > 0,
        drained: async () => {},
        stop: async () => {},
      }
    },
  }
  const say = (message: object): void =>
    events?.line(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })))
  return { runtime, received, say }
}

test('a legacy server that starts slowly is initialised once, though it also answers the probe in the end', async () => {
  const { runtime, received, say } = scriptedRuntime()
  const upstream = new StdioUpstream({
    runtime,
    spec: () => ({
      server: 'a',
      key: 'a',
      command: 'a',
      args: [],
      env: {},
      mounts: [],
      memoryMiB: 64,
      messageMiB: 1,
    }),
    us: { name: 'castellan', version: '0' },
    ids: createWireIds('e' as BootEpoch),
    events: { changed() {}, asked() {}, withdrawn() {}, notified() {}, lost() {} },
    offer: NO_OFFER,
    oneClient: false,
    connectTimeoutMs: 30_000,
    knownEra: undefined,
  })
  const opened = upstream.open()
  await vi.advanceTimersByTimeAsync(6000)
  const [probe, initialize] = received
  say({ id: probe?.id, error: { code: -32601, message: 'unknown' } })
  await vi.advanceTimersByTimeAsync(0)
  say({ id: initialize?.id, result: { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: {} } })
  expect(await opened).toMatchObject({ ok: true, value: { era: 'legacy' } })
  expect(received.map(({ method }) => method)).toEqual([
    'server/discover',
    'initialize',
    'notifications/initialized',
  ])
})
