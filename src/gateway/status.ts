import type { ServerStatus } from '../kinds/server.ts'
import type { Sessions } from './classify/sessions.ts'
import type { Dial } from './forward/dial/dial.ts'
import type { Pool, Scope } from './forward/pool.ts'
import type { UpstreamFailure } from './forward/upstream.ts'
import type { Catalog, ServerList } from './route/catalog.ts'
import type { ProjectView, ServerView } from './snapshot.ts'

/** What the gateway has seen of servers and projects, in the form in which the kinds show it. */
export interface GatewayStatus {
  server(server: ServerView): ServerStatus
  project(project: ProjectView): {
    readonly endpoint: string
    readonly servers: string
    readonly sessions: number
  }
}

export interface GatewayStatusDeps {
  readonly pool: Pool
  readonly catalog: Catalog
  readonly sessions: Sessions
  readonly sandbox: string
  readonly detection: Dial['detection']
}

const NOBODY: Scope = { principal: '', session: undefined }

export function createGatewayStatus(deps: GatewayStatusDeps): GatewayStatus {
  const { pool, catalog, sessions, sandbox } = deps

  function found(view: ServerView, version: string): Pick<ServerStatus, 'detection' | 'detectedAt'> {
    const detection = deps.detection(view)
    if (detection === undefined) return {}
    return {
      detection: `${version} ${detection.how}`,
      detectedAt: new Date(detection.atMs).toISOString(),
    }
  }

  /** There is no connection that is everybody's. */
  function ofHolders(view: ServerView, whose: string): ServerStatus {
    const all = pool.healthOfHolders(view)
    const reached = all.filter(({ info, failure }) => info !== undefined && failure === undefined)
    const info = reached[0]?.info
    const failing = all.length - reached.length
    const phase = info === undefined ? 'Pending' : failing > 0 ? 'Degraded' : 'Ready'
    const of =
      whose === 'per-project'
        ? 'each project has a credential of its own'
        : 'people connect their own accounts'
    const message = `${of}: ${reached.length} in use${failing > 0 ? `, ${failing} without one that works` : ''}; castellan grant list -o wide`
    if (info === undefined) return { phase, message }
    return { phase, message, era: info.era, protocolVersion: info.protocolVersion }
  }

  function server(view: ServerView): ServerStatus {
    const whose = view.spec.transport === 'stdio' ? undefined : view.spec.auth?.whose
    if (whose !== undefined && whose !== 'shared' && view.holder === undefined) return ofHolders(view, whose)
    const { info, failure, connections, losses } = pool.health(view)
    const stdio = view.spec.transport === 'stdio' ? { instances: connections, restarts: losses, sandbox } : {}
    const phase =
      failure !== undefined
        ? info === undefined
          ? 'Failed'
          : 'Degraded'
        : info === undefined
          ? 'Pending'
          : 'Ready'
    if (info === undefined) return { phase, message: failure?.message ?? 'not used yet', ...stdio }
    const tools = catalog.seen(view, NOBODY, 'tools')
    const problem = failure ?? tools?.failure
    return {
      phase: problem !== undefined && phase === 'Ready' ? 'Degraded' : phase,
      ...messageOf(problem, tools),
      era: info.era,
      protocolVersion: info.protocolVersion,
      ...found(view, info.protocolVersion),
      ...(info.serverInfo === undefined ? {} : { server: nameOf(info.serverInfo) }),
      ...(tools === undefined ? {} : { tools: tools.items.length }),
      ...stdio,
    }
  }

  return {
    server,
    project(view) {
      const ready = view.servers.filter((one) => server(one).phase === 'Ready').length
      return {
        endpoint: `/projects/${view.name}/mcp`,
        servers: `${ready}/${view.spec.servers.length}`,
        sessions: sessions.count(view.name),
      }
    },
  }
}

function messageOf(
  problem: UpstreamFailure | undefined,
  tools: ServerList | undefined,
): { readonly message?: string } {
  if (problem !== undefined) return { message: problem.message }
  const count = tools?.dropped.length ?? 0
  if (count === 0) return {}
  const message = `${count} ${count === 1 ? 'tool is' : 'tools are'} left out: x-mcp-header is not used as MCP 2026-07-28 says; the log of the daemon names what is wrong`
  return { message }
}

function nameOf(serverInfo: string): string {
  const { name, version } = JSON.parse(serverInfo) as { name?: unknown; version?: unknown }
  return [name, version]
    .filter((part) => typeof part === 'string')
    .join(' ')
    .slice(0, 200)
}
