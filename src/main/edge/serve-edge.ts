import { isLoopback } from '../../lib/loopback.ts'
import { closeAll, type Closers } from '../closers.ts'
import type { AddressInfo } from 'node:net'
import { createCallers, type Callers } from '../../edge/callers.ts'
import { createControlPlane } from '../../edge/control-plane.ts'
import { createCallerGrants } from '../../edge/grants.ts'
import { createReach } from '../../edge/reach.ts'
import { createGateway, type Gateway } from '../../gateway/gateway.ts'
import { NO_DESK } from '../../gateway/connections.ts'
import { NO_PEERS } from '../../gateway/peers.ts'
import type { Snapshot } from '../../gateway/snapshot.ts'
import { systemClock as clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { mintBootEpoch } from '../../lib/id.ts'
import type { Log } from '../../lib/log.ts'
import type { Era } from '../../protocol/revisions.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import type { ServeConfig } from '../config.ts'
import { openDaemonLog, openStderrLog } from '../daemon-log.ts'
import { createFront, faultAnswer, type Answer } from '../http-front.ts'
import { endFront, listenOn } from '../listening.ts'
import type { Daemon } from '../serve.ts'
import { buildInfo } from '../version.ts'
import type { EdgeOptions } from './edge-options.ts'
import { openKept, type Kept } from './open-kept.ts'
import { createPassApi } from './pass-api.ts'

/** An edge gateway: the gateway of a daemon over what its control plane says for each caller, and nothing else of one. */
export async function serveEdge(config: ServeConfig, edge: EdgeOptions): Promise<Daemon> {
  const edgeLog =
    edge.home === undefined
      ? openStderrLog(config.logLevel)
      : openDaemonLog(edge.home, config.logLevel, config.logTo)
  const { log } = edgeLog
  const closers: Closers = [() => edgeLog.close()]
  try {
    warnOfPlainText(edge.control, log)
    const kept = await openKept(edge.home, log, closers)
    const parts = assembleEdge(config, { edge, kept, log, closers })
    let state: 'starting' | 'serving' | 'draining' = 'starting'
    const front = createFront({
      gateway: parts.gateway,
      api: createPassApi(parts.control),
      metrics: () => Promise.resolve(NOT_HERE),
      callback: () => Promise.resolve(NOT_HERE),
      signInCallback: () => Promise.resolve(NOT_HERE),
      about: () => ({ role: 'gateway', control: parts.control.url, version: buildInfo().version }),
      hostNames: namesOf(config),
      ready: () => state === 'serving' && parts.isReady(),
    })
    await listenOn(front, config)
    const { port } = front.address() as AddressInfo
    const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
    closers.push(() =>
      endFront(front, parts.gateway, { drainSeconds: config.drainSeconds ?? 0, log, alone: true }),
    )
    state = 'serving'
    log.info(
      { url, control: parts.control.url, keeps: kept.hasRecord },
      'castellan serves as an edge gateway',
    )
    const finished = Promise.withResolvers<void>()
    let stopping: Promise<void> | undefined
    return {
      url,
      stop() {
        state = 'draining'
        stopping ??= closeAll(closers, log).finally(finished.resolve)
        return stopping
      },
      stopped: finished.promise,
    }
  } catch (thrown) {
    await closeAll(closers, log)
    throw thrown
  }
}

interface Around {
  readonly edge: EdgeOptions
  readonly kept: Kept
  readonly log: Log
  readonly closers: Closers
}

function assembleEdge(config: ServeConfig, { edge, kept, log, closers }: Around) {
  const control = createControlPlane(edge.control)
  closers.push(() => control.close())
  const reach = createReach({
    isThere: () => control.isThere(),
    clock,
    log,
    back: () => gateway.tryAgain(),
  })
  closers.push(() => reach.close())
  const changes = gather((changed) => gateway.configurationChanged(changed))
  const callers: Callers = createCallers({
    control,
    times: edge.times,
    mayReach: kept.hasRecord,
    clock,
    log,
    changed: (project) => changes.add({ kind: 'Project', name: project }),
    lapsed: () => changes.add({ kind: 'Token', name: '' }),
    heard: (failure) => reach.heard(failure),
  })
  closers.push(() => callers.close())
  const gateway: Gateway = createGateway({
    snapshot: {
      current: () => snapshot,
      viewer: (_project, principal, era) => `${era} ${principal}`,
      secretValue: () => undefined,
    },
    authenticator: callers,
    authorizer: { project: (principal, name) => callers.access(principal, name) },
    grants: createCallerGrants(callers, control.url),
    desk: NO_DESK,
    recorder: kept.recorder,
    sessions: kept.sessions,
    stateKey: kept.stateKey,
    upstreamSessions: { opened: () => () => {} },
    accessOf: (key, project) => callers.accessOf(key, project),
    runtime: NO_PROCESSES,
    peers: NO_PEERS,
    clock,
    epoch: mintBootEpoch(),
    log,
    hostNames: namesOf(config),
    us: { name: 'castellan', version: buildInfo().version },
  })
  const snapshot: Snapshot = {
    revision: 0,
    project(name, viewer) {
      const [, era, principal] = /^(legacy|modern) (.*)$/.exec(viewer ?? '') ?? []
      return callers.view(name, principal, era as Era | undefined)
    },
    projects: () => callers.views(),
    server: (_name, uid) => (uid === undefined ? undefined : callers.server(uid)),
  }
  closers.push(() => gateway.close())
  return { control, gateway, isReady: () => reach.isReady() }
}

const namesOf = ({ host, hostNames }: ServeConfig): readonly string[] => [host, ...(hostNames ?? [])]

type Changed = { readonly kind: string; readonly name: string }

/** What changes within a moment is told together: thousands of callers can share one project. */
const TOGETHER_MS = 25

function gather(tell: (changed: readonly Changed[]) => void): { add(changed: Changed): void } {
  const waiting = new Map<string, Changed>()
  return {
    add(changed) {
      waiting.set(`${changed.kind} ${changed.name}`, changed)
      if (waiting.size > 1) return
      setTimeout(() => {
        const all = [...waiting.values()]
        waiting.clear()
        tell(all)
      }, TOGETHER_MS).unref()
    },
  }
}

/** Whatever has to run runs at the control plane. */
const NO_PROCESSES: Runtime = {
  sandbox: 'reaper',
  start: () => Promise.reject(new TypeError('an edge starts no processes')),
  close: () => Promise.resolve(),
}

const NOT_HERE: Answer = faultAnswer(
  new Fault('no_endpoint', { hint: 'this is an edge gateway; ask its control plane' }),
)

function warnOfPlainText({ protocol, hostname }: URL, log: Log): void {
  if (protocol === 'http:' && !isLoopback(hostname))
    log.warn('the control plane is reached without TLS: whoever is on the way can read the tokens of callers')
}
