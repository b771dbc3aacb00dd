import { homedir } from 'node:os'
import { dirname } from 'node:path'
import { createAuthenticator } from '../access/authenticate.ts'
import { createAuthorizer, type Authorizer } from '../access/authorize.ts'
import { openLocalAdmin } from '../access/local-admin.ts'
import { openRecorder, type AuditRecorder } from '../audit/recorder.ts'
import { openSnapshot, type SnapshotSource } from '../control/snapshot/snapshot.ts'
import { systemClock, type Clock } from '../lib/clock.ts'
import { mintBootEpoch } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import { openRuntime, type RuntimeOptions } from '../runtime/open-runtime.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { deriveKey } from '../secrets/derive-key.ts'
import type { Keyring } from '../secrets/keys/keyring.ts'
import { takeVariables } from '../secrets/backends/env/take-variables.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/store.ts'
import type { Closers } from './closers.ts'
import { VARIABLES, type ServeConfig } from './config.ts'
import { openDatabaseClock } from './database-clock.ts'
import { KEY_VARIABLES } from './keys/key-options.ts'
import { KeyService } from './keys/key-service.ts'
import { openKeys } from './keys/open-keys.ts'
import { serverLogRedactor } from './server-redaction.ts'
import { NO_DIRECTORIES, openSecretSources, type SecretSources } from './secret-sources.ts'
import { createTokenUses } from './token-uses.ts'

/** What has files, threads or processes of its own. */
export interface OpenedParts {
  readonly store: Store
  /** The same for all daemons of a database. */
  readonly clock: Clock
  readonly snapshot: SnapshotSource
  readonly recorder: AuditRecorder
  readonly runtime: Runtime
  readonly authenticator: ReturnType<typeof createAuthenticator>
  readonly authorizer: Authorizer
  readonly sealer: Keyring
  /** Follows what becomes of the master key. */
  readonly keys: KeyService
  readonly secrets: SecretSources
  readonly uses: ReturnType<typeof createTokenUses>
  readonly epoch: ReturnType<typeof mintBootEpoch>
  /** Seals what clients carry between the rounds of a call. */
  readonly stateKey: Buffer
  /** Of the daemon, without what was taken out of it for nobody else to find. */
  readonly env: NodeJS.ProcessEnv
  /** Authenticates what daemons on one database say to each other. */
  readonly peerKey: Buffer
  /** Seals what a browser carries to an identity provider and back. */
  readonly signInKey: Buffer
}

/** Opens all of them; what was opened is in `closers`, also when a later one fails. */
export async function openParts(config: ServeConfig, log: Log, closers: Closers): Promise<OpenedParts> {
  const { home, database, keyFile } = config
  // From here on it is in memory only: no child may find it in its environment.
  for (const name of KEY_VARIABLES) delete process.env[name]
  const secretSources = config.secretSources ?? NO_DIRECTORIES
  const variables = takeVariables(process.env, secretSources.envPrefix, Object.keys(VARIABLES))
  let redact: RuntimeOptions['redact']
  // Looking for a sandbox takes as long as opening the store, and neither needs the other.
  const [store, runtime] = await openBoth(
    openStore({ home, databaseUrl: database }, log),
    openRuntime({
      home,
      kept: keyFile === undefined ? [] : [dirname(keyFile)],
      userHome: homedir(),
      log,
      env: process.env,
      redact: (server, text) => redact?.(server, text) ?? text,
    }),
    closers,
  )
  const clock = await openDatabaseClock(store, systemClock, log)
  closers.push(() => clock.close())
  const epoch = mintBootEpoch()
  const opened = await openKeys(config, { store, node: epoch, nowMs: clock.nowMs, log })
  const { ring: sealer, storeKey } = opened
  const secrets = openSecretSources({
    options: secretSources,
    variables,
    never: keyFile === undefined ? [home] : [home, keyFile],
    store,
    sealer,
    clock,
    log,
  })
  closers.push(() => secrets.close())
  const [recorder, snapshot, admin] = await Promise.all([
    openRecorder({
      home,
      clock,
      log,
      database:
        database === undefined ? undefined : { url: database, environment: postgresVariables(process.env) },
      macKey: deriveKey(storeKey, 'audit-mac'),
      signKey: deriveKey(storeKey, 'audit-sign'),
    }).then((opened) => {
      closers.push(() => opened.close())
      return opened
    }),
    openSnapshot({ db: store.control, sealer, references: secrets.references }),
    openLocalAdmin(home),
  ])
  const keys = new KeyService({
    store,
    record: opened.record,
    source: opened.source,
    ring: sealer,
    storeKey,
    startedWith: opened.startsWith,
    shared: database !== undefined,
    recorder,
    bootEpoch: epoch,
    log,
    clock,
  })
  closers.push(() => keys.close())
  await keys.begin()
  redact = serverLogRedactor(snapshot)
  const uses = createTokenUses(store.state, clock, log)
  closers.push(() => uses.close())
  const authenticator = createAuthenticator({ credentials: snapshot.credentials, admin, clock })
  const authorizer = createAuthorizer({ view: snapshot.access })
  return {
    store,
    clock,
    snapshot,
    recorder,
    runtime,
    authenticator,
    authorizer,
    sealer,
    secrets,
    uses,
    env: process.env,
    stateKey: deriveKey(storeKey, 'request-state'),
    peerKey: deriveKey(storeKey, 'peer-mac'),
    signInKey: deriveKey(storeKey, 'sign-in'),
    epoch,
    keys,
  }
}

/** What the driver of the database reads besides the address; a thread gets no other environment. */
const postgresVariables = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value !== undefined && (name === 'HOME' || name.startsWith('PG')) ? [[name, value]] : [],
    ),
  )

/** Whatever was opened is closed at the end, also when the other could not be. */
async function openBoth(
  store: Promise<Store>,
  runtime: Promise<Runtime>,
  closers: Closers,
): Promise<[Store, Runtime]> {
  const [openedStore, openedRuntime] = await Promise.allSettled([store, runtime])
  if (openedStore.status === 'fulfilled') closers.push(() => openedStore.value.close())
  if (openedRuntime.status === 'fulfilled') closers.push(() => openedRuntime.value.close())
  if (openedStore.status === 'rejected') throw openedStore.reason
  if (openedRuntime.status === 'rejected') throw openedRuntime.reason
  return [openedStore.value, openedRuntime.value]
}
