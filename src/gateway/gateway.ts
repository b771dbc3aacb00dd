import type { IncomingMessage, ServerResponse } from 'node:http'
import { assemble } from './assemble.ts'
import type { EndLeftSessions } from './forward/http/left-sessions.ts'
import type { GatewayDeps } from './gateway-deps.ts'
import { createHostCheck } from './listen/allowed-hosts.ts'
import type { InstanceView } from './forward/instances.ts'
import { createMcpHandler } from './listen/handler.ts'
import type { OpenThings } from './open-things.ts'
import type { PeerService } from './peers.ts'
import { createTraffic, type Traffic } from './record/traffic.ts'
import type { ServerView } from './snapshot.ts'
import { createGatewayStatus, type GatewayStatus } from './status.ts'

export interface Gateway {
  handle(request: IncomingMessage, response: ServerResponse): void
  readonly status: GatewayStatus
  readonly traffic: Traffic
  readonly openThings: () => OpenThings
  /** Running copies of stdio servers. */
  readonly instances: () => readonly InstanceView[]
  /** Ends one by its uid; false: there is none. */
  stopInstance(uid: string): Promise<boolean>
  /** What this process does for others on the same database. */
  readonly servePeer: PeerService
  /** Ends what a process that is gone has left at servers. */
  readonly endLeftSessions: EndLeftSessions
  /** Connections, lists and clients follow the configuration: called after each change, with what it touched. */
  configurationChanged(changed: readonly { readonly kind: string; readonly name: string }[]): void
  /**
   * What a server is reached with is another than before, has become usable, or has gone. Not for a token that is
   * renewed.
   *
   * @param holder whose grant; '': everybody's
   */
  grantChanged(server: string, holder: string): void
  /** Servers that could not be reached can be tried again at once: what was in the way of all of them is gone. */
  tryAgain(): void
  /** Ends the streams that would otherwise stay open for as long as their clients do; calls in flight go on. */
  drain(): void
  close(): Promise<void>
}

/** Kinds whose changes can end what a principal may use. */
const RIGHTS: ReadonlySet<string> = new Set([
  'Token',
  'User',
  'SignIn',
  'ServiceAccount',
  'Group',
  'RoleBinding',
])

export function createGateway(deps: GatewayDeps): Gateway {
  const traffic = createTraffic()
  const parts = assemble(deps, traffic)
  const { pool, catalog, sessions, announcer } = parts
  return {
    handle: createMcpHandler(parts.run, deps.clock.tickMs, createHostCheck(deps.hostNames)),
    traffic,
    openThings: parts.openThings,
    instances: () => pool.instances(),
    stopInstance: (uid) => pool.stopInstance(uid),
    servePeer: parts.servePeer,
    endLeftSessions: parts.endLeftSessions,
    status: createGatewayStatus({
      pool,
      catalog,
      sessions,
      sandbox: deps.runtime.sandbox,
      detection: parts.detection,
    }),
    configurationChanged(changed) {
      const current = deps.snapshot.current()
      catalog.reconcile((name, uid) => current.server(name, uid))
      pool.reconcile((name, uid) => current.server(name, uid))
      for (const { kind, name } of changed) {
        if (kind === 'Project' && current.project(name) === undefined) sessions.cutProject(name)
        if (kind === 'Project') announcer.projectChanged(name)
        if (kind === 'Server') announcer.serverChanged(name)
      }
      if (!changed.some(({ kind }) => RIGHTS.has(kind))) return
      sessions.endInactive()
      announcer.endInactive()
    },
    grantChanged(name, holder) {
      const current = deps.snapshot.current()
      const shared = current.server(name)
      if (shared === undefined) return
      const server = holder === '' ? shared : current.server(name, `${shared.uid}~${holder}`)
      if (server === undefined) return
      const others = (other: string, uid: string): ServerView | undefined =>
        uid === server.uid ? undefined : current.server(other, uid)
      catalog.reconcile(others)
      // A session there is somebody's: of another account, or of one that was taken back, it ends with what it is doing.
      pool.reconcile(others)
      announcer.reopened(server, '')
      if (holder === '') announcer.serverChanged(name)
      else announcer.grantChanged(server)
    },
    tryAgain() {
      pool.tryAgain()
      catalog.tryAgain()
    },
    drain() {
      sessions.endStreams()
      announcer.drain()
    },
    async close() {
      announcer.close()
      await sessions.close()
      parts.streams.close()
      parts.sse.close()
      await pool.close()
      await parts.closeDial()
    },
  }
}
