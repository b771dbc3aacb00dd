import type { IncomingMessage } from 'node:http'
import { authorize } from '../access/authorize.ts'
import { toFault, type Authenticator } from '../access/authenticate.ts'
import type { RecorderStats } from '../audit/recorder.ts'
import { Fault } from '../lib/fault.ts'
import { faultAnswer, type Answer } from './http-front.ts'

export interface MetricsDeps {
  readonly authenticator: Authenticator
  readonly audit: () => RecorderStats
  readonly traffic: () => Iterable<{
    readonly kind: string
    readonly outcome: string
    readonly count: number
  }>
}

/** Prometheus text. The library is loaded with the first scrape. */
export function createMetrics(deps: MetricsDeps): (request: IncomingMessage) => Promise<Answer> {
  let registry: Promise<{ metrics(): Promise<string>; contentType: string }> | undefined
  return async (request) => {
    const who = deps.authenticator.authenticate(request.headers.authorization)
    if (!who.ok) return faultAnswer(toFault(who.error))
    if (authorize(who.value, { verb: 'view', kind: 'daemon' }) !== undefined)
      return faultAnswer(new Fault('forbidden'))
    registry ??= createRegistry(deps)
    const { metrics, contentType } = await registry.then((one) => ({
      metrics: one.metrics(),
      contentType: one.contentType,
    }))
    return { status: 200, type: contentType, body: await metrics }
  }
}

async function createRegistry({
  audit,
  traffic,
}: MetricsDeps): Promise<{ metrics(): Promise<string>; contentType: string }> {
  const { collectDefaultMetrics, Gauge, Registry } = await import('prom-client')
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'castellan_' })
  const gauge = (name: string, help: string, value: (stats: RecorderStats) => number): void => {
    registry.registerMetric(
      new Gauge({
        name: `castellan_audit_${name}`,
        help,
        registers: [],
        collect() {
          this.set(value(audit()))
        },
      }),
    )
  }
  gauge('queued_entries', 'Entries that are not on disk yet', (stats) => stats.queuedEntries)
  gauge('committed_entries', 'Entries written since the start', (stats) => stats.committedEntries)
  gauge('committed_segments', 'Segments written since the start', (stats) => stats.committedSegments)
  gauge('lost_entries', 'Entries dropped because the disk took none', (stats) => stats.lostEntries)
  gauge('failing', '1 while commits fail and calls are refused', (stats) =>
    stats.failing === undefined ? 0 : 1,
  )
  registry.registerMetric(
    new Gauge({
      name: 'castellan_mcp_requests_total',
      help: 'MCP requests since the start, by what was asked for and how it ended (a fault code for a refusal)',
      labelNames: ['kind', 'outcome'],
      registers: [],
      collect() {
        for (const { kind, outcome, count } of traffic()) this.set({ kind, outcome }, count)
      },
    }),
  )
  return registry
}
