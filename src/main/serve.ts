import { homedir } from 'node:os'
import type { AddressInfo } from 'node:net'
import { createAuthenticator } from '../access/authenticate.ts'
import { openLocalAdmin } from '../access/local-admin.ts'
import { openRecorder, type AuditRecorder } from '../audit/recorder.ts'
import { createControlApi } from '../control/api/control-api.ts'
import { createChanges } from '../control/change/change.ts'
import { openSnapshot, type SnapshotSource } from '../control/snapshot/snapshot.ts'
import { createGateway } from '../gateway/gateway.ts'
import { systemClock as clock } from '../lib/clock.ts'
import { mintBootEpoch } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import { openRuntime, type RuntimeOptions } from '../runtime/open-runtime.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { deriveKey } from '../secrets/derive-key.ts'
import { loadMasterKey } from '../secrets/master-key.ts'
import { createSealer } from '../secrets/sealing.ts'
import { openStore } from '../store/open.ts'
import { listSealingKeys } from '../store/sealed.ts'
import type { Store } from '../store/store.ts'
import type { ServeConfig } from './config.ts'
import { openDaemonLog } from './daemon-log.ts'
import { auditState, createLogSource, createStatusSource, databaseLabel } from './daemon-sources.ts'
import { createFront } from './http-front.ts'
import { createMetrics } from './metrics.ts'
import { closeFront, listenOn } from './listening.ts'
import { serverLogRedactor } from './server-redaction.ts'
import { createSessionStore } from './session-store.ts'
import { isActivePrincipal } from './active-principal.ts'
import { createTokenUses } from './token-uses.ts'
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
  const startedAtMs = clock.nowMs()
  const daemonLog = openDaemonLog(config.home, config.logLevel, config.logTo)
  const { log } = daemonLog
  const closers: (() => Promise<void> | void)[] = [() => daemonLog.close()]
  try {
    const parts = await openParts(config, log, closers)
    const { store, snapshot, recorder, runtime, authenticator, sealer, uses, epoch } = parts
    const build = buildInfo()
    const hostNames = [config.host]
    const gateway = createGateway({
      snapshot,
      recorder,
      runtime,
      clock,
      epoch,
      log,
      hostNames,
      authenticator: uses.watch(authenticator),
      sessions: createSessionStore(store.state, clock),
      isActive: (principal) => isActivePrincipal(snapshot, principal, clock.nowMs()),
      us: { name: 'castellan', version: build.version },
    })
    closers.push(() => gateway.close())
    snapshot.subscribe(({ changed }) => gateway.configurationChanged(changed))
    let state: 'starting' | 'ready' | 'draining' = 'starting'
    let url = ''
    let stopping: Promise<void> | undefined
    const shutdown = (): void => void stop()
    const api = createControlApi({
      snapshot,
      recorder,
      clock,
      log,
      authenticator,
      shutdown,
      bootEpoch: epoch,
      changes: createChanges({ store, sealer, snapshot, clock }),
      status: createStatusSource(snapshot, gateway.status, () => ({
        pid: process.pid,
        startedAtMs,
        home: config.home,
        url,
        database: databaseLabel(config.database),
        audit: auditState(recorder),
        sandbox: runtime.sandbox,
      })),
      tokenUses: () => uses.all(),
      logs: createLogSource(config.home),
      audit: recorder,
      version: {
        version: build.version,
        commit: build.commit ?? 'unknown',
        buildDate: build.buildDate ?? 'from source',
        node: build.node,
      },
    })
    const metrics = createMetrics({ authenticator, audit: () => recorder.stats() })
    const front = createFront({ gateway, api, metrics, hostNames, ready: () => state === 'ready' })
    await listenOn(front, config)
    const { port } = front.address() as AddressInfo
    url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
    closers.push(() => {
      const closed = closeFront(front)
      gateway.drain()
      return closed
    })
    state = 'ready'
    log.info({ url, version: build.version, sandbox: runtime.sandbox }, 'castellan is ready')
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

interface OpenedParts {
  readonly store: Store
  readonly snapshot: SnapshotSource
  readonly recorder: AuditRecorder
  readonly runtime: Runtime
  readonly authenticator: ReturnType<typeof createAuthenticator>
  readonly sealer: ReturnType<typeof createSealer>
  readonly uses: ReturnType<typeof createTokenUses>
  readonly epoch: ReturnType<typeof mintBootEpoch>
}

async function openParts(
  config: ServeConfig,
  log: Log,
  closers: (() => Promise<void> | void)[],
): Promise<OpenedParts> {
  const { home, database, keyFile } = config
  const store = await openStore({ home, databaseUrl: database }, log)
  closers.push(() => store.close())
  const master = await loadMasterKey({ home, keyFile, sealedWith: await listSealingKeys(store.control) })
  const recorder = await openRecorder({
    home,
    clock,
    log,
    chain: 'daemon',
    macKey: deriveKey(master, 'audit-mac'),
    signKey: deriveKey(master, 'audit-sign'),
  })
  closers.push(() => recorder.close())
  const sealer = createSealer(master)
  const [snapshot, admin] = await Promise.all([
    openSnapshot({ db: store.control, sealer }),
    openLocalAdmin(home),
  ])
  const runtimeOptions: RuntimeOptions = {
    home,
    userHome: homedir(),
    log,
    env: process.env,
    redact: serverLogRedactor(snapshot),
  }
  const runtime = await openRuntime(runtimeOptions)
  closers.push(() => runtime.close())
  const uses = createTokenUses(store.state, clock, log)
  closers.push(() => uses.close())
  const authenticator = createAuthenticator({ tokens: snapshot.tokens, admin, clock })
  return { store, snapshot, recorder, runtime, authenticator, sealer, uses, epoch: mintBootEpoch() }
}

async function closeAll(closers: readonly (() => Promise<void> | void)[], log: Log): Promise<void> {
  for (const close of closers.toReversed()) {
    try {
      await close()
    } catch (thrown) {
      log.error({ err: thrown }, 'a part did not close cleanly')
    }
  }
}
