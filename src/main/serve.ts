import type { AddressInfo } from 'node:net'
import { followStore } from '../control/snapshot/follow.ts'
import { createGateway } from '../gateway/gateway.ts'
import type { ServeConfig } from './config.ts'
import { openDaemonLog } from './daemon-log.ts'
import { auditState, createLogSource, createStatusSource, databaseLabel } from './daemon-sources.ts'
import type { ControlListenerDeps } from './control-listener.ts'
import { browserOrigin, openGrants } from './grants.ts'
import { createFront, type FrontDeps } from './http-front.ts'
import { createMetrics } from './metrics.ts'
import { housekeeping } from './housekeeping.ts'
import { runJobs } from './leases/jobs.ts'
import { createInstanceSource } from './instance-source.ts'
import { createLeases } from './leases/leases.ts'
import { createLeftGrants } from './left-grants.ts'
import { createLeftSessions } from './left-sessions.ts'
import { createConnectDesk, type OpenDesk } from './connect/desk.ts'
import { isLoopback } from '../lib/loopback.ts'
import { createTickets } from './connect/ticket.ts'
import { createPersonalViews } from './personal-views.ts'
import { endFront, listenOn } from './listening.ts'
import { openPeers } from './peers/open-peers.ts'
import { closeAll, type Closers } from './closers.ts'
import { openParts } from './open-parts.ts'
import { createSessionStore } from './session-store.ts'
import { hasExpired } from './sign-in/expired.ts'
import { createUpstreamSessionLog } from './upstream-session-log.ts'
import { activePrincipal } from './active-principal.ts'
import { buildInfo } from './version.ts'

export interface Daemon {
  /** Where it listens, with the port that was taken. */
  readonly url: string
  /** Gracefully; resolves when everything is closed. */
  stop(): Promise<void>
  /** Resolves once it has stopped, whoever asked for it. */
  readonly stopped: Promise<void>
}

/** The only place where the planes meet: opens each, hands each what it needs, closes them in the opposite order. */
export async function serve(config: ServeConfig): Promise<Daemon> {
  const daemonLog = openDaemonLog(config.home, config.logLevel, config.logTo)
  const { log } = daemonLog
  const closers: Closers = [() => daemonLog.close()]
  try {
    const parts = await openParts(config, log, closers)
    const { store, clock, snapshot, recorder, runtime, authenticator, authorizer, sealer, uses, epoch } =
      parts
    const startedAtMs = clock.nowMs()
    const build = buildInfo()
    const hostNames = [config.host, ...publicHost(config), ...(config.hostNames ?? [])]
    const network = await openPeers(config.peers, {
      clock,
      log,
      self: epoch,
      db: store.state,
      key: parts.peerKey,
      onGone: () => left.sweep(),
    })
    let url = ''
    const grants = openGrants({
      store,
      sealer,
      snapshot,
      recorder,
      clock,
      log,
      uses,
      home: config.home,
      self: epoch,
      goneOf: (nodes) => network.goneOf(nodes),
      url: () => config.publicUrl ?? url,
      changed(server, holder) {
        gateway.grantChanged(server, holder)
        desk.changed(server, holder)
      },
    })
    const desk = createConnectDesk({
      grants,
      server: (name) => snapshot.current().server(name)?.spec,
      tickets: createTickets(parts.signInKey, clock),
      clock,
      origin: () => config.publicUrl ?? browserOrigin(url),
    })
    closers.push(() => grants.close())
    const upstreamSessions = createUpstreamSessionLog({ db: store.state, sealer, node: epoch, clock, log })
    closers.push(() => upstreamSessions.close())
    const gateway = createGateway({
      snapshot: createPersonalViews(snapshot),
      grants,
      desk,
      recorder,
      runtime,
      clock,
      epoch,
      log,
      hostNames,
      stateKey: parts.stateKey,
      peers: network.peers,
      authenticator: uses.watch(authenticator),
      authorizer,
      sessions: createSessionStore(store.state, clock),
      upstreamSessions,
      accessOf: (key, project) => {
        const principal = activePrincipal(snapshot, key, clock.nowMs())
        return principal === undefined ? undefined : authorizer.project(principal, project)
      },
      us: { name: 'castellan', version: build.version },
    })
    closers.push(() => gateway.close())
    const left = createLeftSessions({
      db: store.state,
      sealer,
      self: epoch,
      log,
      goneOf: (nodes) => network.goneOf(nodes),
      end: gateway.endLeftSessions,
    })
    closers.push(() => left.close())
    snapshot.subscribe(({ changed }) => gateway.configurationChanged(changed))
    const following = followStore({ store, snapshot, log })
    closers.push(() => following?.close())
    let state: 'starting' | 'ready' | 'draining' = 'starting'
    let stopping: Promise<void> | undefined
    const shutdown = (): void => void stop()
    const ending = new AbortController()
    const controlDeps: ControlListenerDeps = {
      snapshot,
      store,
      sealer,
      backends: parts.secrets.backends,
      recorder,
      clock,
      log,
      authenticator,
      authorizer,
      shutdown,
      ending: ending.signal,
      bootEpoch: epoch,
      signInKey: parts.signInKey,
      signInHours: config.signInHours,
      keepTokens: grants.signIns.keep,
      origin: () => config.publicUrl ?? browserOrigin(url),
      status: createStatusSource({
        snapshot,
        gateway: gateway.status,
        references: parts.secrets.references,
        daemon: () => ({
          pid: process.pid,
          startedAtMs,
          home: config.home,
          url,
          database: databaseLabel(config.database),
          audit: auditState(recorder),
          sandbox: runtime.sandbox,
          peers: network.daemons(),
        }),
      }),
      tokenUses: () => uses.all(),
      keys: parts.keys,
      instances: createInstanceSource({ gateway, snapshot }),
      grants,
      pages: connectPages(desk, () => config.publicUrl ?? browserOrigin(url)),
      home: config.home,
      env: parts.env,
      logs: createLogSource(config.home),
      audit: recorder,
      version: {
        version: build.version,
        commit: build.commit ?? 'unknown',
        buildDate: build.buildDate ?? 'from source',
        node: build.node,
      },
    }
    const control = once(async () => {
      const { createControlListener } = await import('./control-listener.ts')
      const listener = createControlListener(controlDeps)
      closers.push(() => listener.close())
      return listener
    })
    const api: FrontDeps['api'] = async (request, response) => (await control()).handle(request, response)
    const metrics = createMetrics({
      authenticator,
      authorizer,
      audit: () => recorder.stats(),
      traffic: () => gateway.traffic.entries(),
      openThings: gateway.openThings,
    })
    const front = createFront({
      gateway,
      api,
      metrics,
      hostNames,
      callback: async (...came) => (await control()).pages.callback(...came),
      signInCallback: async (...came) => (await control()).signInAnswered(...came),
      connect: async (request) => (await control()).pages.handle(request),
      ready: () => state === 'ready',
    })
    await listenOn(front, config)
    const { port } = front.address() as AddressInfo
    url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
    closers.push(() => network.close())
    await network.start(gateway.servePeer)
    const leases = createLeases({
      db: store.state,
      self: epoch,
      shared: config.database !== undefined,
      log,
      tickMs: clock.tickMs,
    })
    closers.push(() => leases.close())
    const jobs = housekeeping({
      network,
      control: store.control,
      state: store.state,
      nowMs: clock.nowMs,
      endKeptSignIns: () => grants.signIns.sweep(),
      // Looked for without the control API, which a daemon that nobody signs in to never loads.
      endExpiredSignIns: async () => {
        if (hasExpired(snapshot, clock.nowMs())) await (await control()).endExpired()
      },
    })
    runJobs(leases, log, jobs)
    leases.withLease('replace-keys', (signal) => parts.keys.lead(signal))
    leases.withLease('left-grants', createLeftGrants({ db: store.control, grants, snapshot, log }))
    // Not before: who has sessions and is not to be found is taken for one that is gone.
    upstreamSessions.begin()
    const served = {
      drain() {
        ending.abort()
        gateway.drain()
      },
      openThings: gateway.openThings,
    }
    closers.push(() => endFront(front, served, { drainSeconds: config.drainSeconds ?? 0, log }))
    state = 'ready'
    log.info({ url, version: build.version, sandbox: runtime.sandbox }, 'castellan is ready')
    left.sweep()
    leases.begin()
    const finished = Promise.withResolvers<void>()
    async function stop(): Promise<void> {
      state = 'draining'
      stopping ??= closeAll(closers, log).finally(finished.resolve)
      return stopping
    }
    return { url, stop, stopped: finished.promise }
  } catch (thrown) {
    await closeAll(closers, log)
    throw thrown
  }
}

const publicHost = ({ publicUrl }: ServeConfig): readonly string[] =>
  publicUrl === undefined ? [] : [new URL(publicUrl).hostname]

const connectPages = (desk: Pick<OpenDesk, 'link'>, origin: () => string): ControlListenerDeps['pages'] => ({
  link: async (server, holder) => (await desk.link({ server, holder }))?.url,
  isLocal: () => isLoopback(new URL(origin()).hostname),
  callback: origin,
})

/** The first call begins it; all calls share what comes of it. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}
