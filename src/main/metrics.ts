import type { IncomingMessage } from 'node:http'
import type { Authorizer } from '../access/authorize.ts'
import { toFault, type Authenticator } from '../access/authenticate.ts'
import type { RecorderStats } from '../audit/recorder.ts'
import type { OpenThings } from '../gateway/open-things.ts'
import { Fault } from '../lib/fault.ts'
import { faultAnswer, type Answer } from './http-front.ts'

export interface MetricsDeps {
  readonly authenticator: Authenticator
  readonly authorizer: Pick<Authorizer, 'decide'>
  readonly audit: () => RecorderStats
  readonly openThings: () => OpenThings
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
    if (!deps.authorizer.decide(who.value, { verb: 'view', kind: 'daemon' }).allowed)
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
  openThings,
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
  for (const [name, key, help] of OPEN_THINGS)
    registry.registerMetric(
      new Gauge({
        name: `castellan_mcp_${name}`,
        help,
        registers: [],
        collect() {
          this.set(openThings()[key])
        },
      }),
    )
  return registry
}

// oxfmt-ignore
const OPEN_THINGS: readonly (readonly [name: string, key: keyof OpenThings, help: string])[] = [
  ['sessions',            'sessions',      'Legacy sessions in memory'],
  ['connections',         'connections',   'Connections to servers'],
  ['parked_calls',        'parkedCalls',   'Calls that wait for answers of a modern client'],
  ['expired_calls_total', 'expiredCalls',  'Parked calls that nobody came back to, since the start'],
  ['open_questions',      'openQuestions', 'Questions of servers that a legacy client has not answered'],
  ['listens',             'listens',       'Open subscriptions/listen streams of modern clients'],
]
