import { setTimeout as sleep } from 'node:timers/promises'
import { SHARED } from '../../grants/holder.ts'
import type { ShownGrant } from '../render/grants.ts'
import { renderStatus, type StatusReport } from '../render/status.ts'
import { kindFor, listStored, reachStored } from './find.ts'
import { shownGrant, type GrantRouteDeps } from './grants/grant-routes.ts'
import { personOf } from './grants/whose-grant.ts'
import { present } from './present.ts'
import type { ReadDeps } from './read-routes.ts'
import type { ApiRecord } from './record.ts'
import { flag, json, oneOf, text, wholeNumber, type Call, type FixedRoute } from './route.ts'
import type { LogSource, StatusSource, VersionInfo } from './sources.ts'

export interface DaemonRouteDeps extends ReadDeps {
  readonly grants: Pick<GrantRouteDeps['grants'], 'list'>
  readonly status: StatusSource
  readonly logs: LogSource
  readonly record: ApiRecord
  readonly version: VersionInfo
  /** Ends the daemon; called after the answer to the request has been made. */
  readonly shutdown: () => void
}

export const LOG_QUERY = {
  tail: 'How many of the last lines; default 100.',
  follow: 'true: go on with what comes.',
}

/** The daemon itself: status, version, logs. */
export const daemonRoutes = (deps: DaemonRouteDeps): readonly FixedRoute[] => [
  {
    method: 'GET',
    path: '/api/v1/status',
    summary: 'The daemon, and the servers and projects that the caller sees.',
    query: { output: 'table or json; default json.' },
    permission: { use: 'signed-in' },
    answer: { status: 200, types: ['application/json', 'text/plain'] },
    async handle(call) {
      const output = oneOf('output', call.query['output'] ?? 'json', ['table', 'json'])
      const report = await statusReport(deps, call)
      return output === 'json' ? json(report) : text(renderStatus(report, deps.clock.nowMs()))
    },
  },
  {
    method: 'GET',
    path: '/api/v1/version',
    summary: 'What runs.',
    permission: { use: 'signed-in' },
    answer: { status: 200, types: ['application/json'] },
    handle: () => json(deps.version),
  },
  {
    method: 'GET',
    path: '/api/v1/logs',
    summary: 'The log of the daemon.',
    query: LOG_QUERY,
    permission: { operation: 'logs' },
    answer: { status: 200, types: ['text/plain'] },
    handle: ({ request, query }) => text(streamed(deps.logs.daemon(logRequest(request, query)))),
  },
  {
    method: 'GET',
    path: '/api/v1/servers/{name}/logs',
    summary: 'What a stdio Server wrote to its standard error.',
    query: LOG_QUERY,
    permission: { operation: 'logs', kind: 'servers', name: '{name}' },
    answer: { status: 200, types: ['text/plain'] },
    handle({ request, query, params, access }) {
      const wanted = { definition: kindFor('servers'), name: params['name'] ?? '', project: undefined }
      const { resource } = reachStored({ state: deps.snapshot.state(), access }, 'view', wanted)
      access.demand({ operation: 'logs', kind: 'servers', name: resource.metadata.name })
      return text(streamed(deps.logs.server(resource.metadata.name, logRequest(request, query))))
    },
  },
  {
    method: 'POST',
    path: '/api/v1/shutdown',
    summary: 'Ends the daemon, after what it is doing.',
    permission: { operation: 'shutdown' },
    answer: { status: 202, types: ['application/json'] },
    handle: (call) =>
      deps.record.act(call, { verb: 'run', kind: 'daemon', name: 'shutdown' }, () => {
        setImmediate(deps.shutdown)
        return Promise.resolve(json({ action: 'stopping' }, 202))
      }),
  },
]

async function statusReport(deps: DaemonRouteDeps, call: Call): Promise<StatusReport> {
  const { access } = call
  const daemon = deps.status.daemon()
  const shown = (plural: string) =>
    present(deps, listStored(deps.snapshot.state(), kindFor(plural), undefined).filter(access.sees))
  const inside = access.decide({ verb: 'view', kind: 'daemon' }).allowed
  return {
    ...(inside ? daemon : { url: daemon.url }),
    version: deps.version.version,
    uptimeSeconds: Math.max(0, Math.round((deps.clock.nowMs() - daemon.startedAtMs) / 1000)),
    servers: await shown('servers'),
    projects: await shown('projects'),
    grants: await grantsFor(deps, call),
  }
}

/** For how long what is kept of grants is waited for. */
const GRANTS_MS = 2000

/** Those that all share, for whoever may view them, and the caller's own. */
async function grantsFor(deps: DaemonRouteDeps, { access, principal }: Call): Promise<readonly ShownGrant[]> {
  const shared = access.decide({ verb: 'view', kind: 'grants' }).allowed
  const holders = [...(shared ? [SHARED] : []), ...personOf(principal)]
  const read = holders.map((holder) => deps.grants.list({ holder }))
  // Status is asked for when something is wrong: a database that is away must not take it with it.
  const lists = await Promise.race([Promise.all(read), sleep(GRANTS_MS, [], { ref: false })]).catch(() => [])
  return lists.flat().map((report) => shownGrant(deps, report))
}

export const logRequest = (request: Request, query: Call['query']) => ({
  tail: wholeNumber('tail', query['tail'], { max: 100_000, fallback: 100 }),
  follow: flag('follow', query['follow']),
  signal: request.signal,
})

export const streamed = (lines: AsyncIterable<string>): ReadableStream =>
  ReadableStream.from(lines).pipeThrough(new TextEncoderStream())
