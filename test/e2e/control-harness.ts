import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthenticator } from '../../src/access/authenticate.ts'
import { createAuthorizer } from '../../src/access/authorize.ts'
import { openLocalAdmin } from '../../src/access/local-admin.ts'
import type { Entry, Recorder, Segment } from '../../src/audit/entry.ts'
import { createControlApi, type ControlApi } from '../../src/control/api/control-api.ts'
import { createChanges } from '../../src/control/change/change.ts'
import { createKeptAnswers } from '../../src/control/change/kept-answers.ts'
import { openSnapshot, type SnapshotSource } from '../../src/control/snapshot/snapshot.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { mintBootEpoch } from '../../src/lib/id.ts'
import { silentLog } from '../../src/lib/log.ts'
import { takeVariables } from '../../src/secrets/backends/env/take-variables.ts'
import type { SecretBackends } from '../../src/secrets/backends/registry.ts'
import { loadMasterKey } from '../../src/secrets/master-key.ts'
import { openProviders } from '../../src/grants/providers/registry.ts'
import { createGrantTester } from '../../src/main/grant-tester.ts'
import { openGrants } from '../../src/main/grants.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { openSecretSources } from '../../src/main/secret-sources.ts'
import { secretStatus } from '../../src/main/secret-status.ts'
import { openSignIn } from '../../src/main/sign-in/open-sign-in.ts'
import { openStore } from '../../src/store/open.ts'
import { listSealingKeys } from '../../src/store/sealed.ts'
import type { Store } from '../../src/store/store.ts'
import { listUses } from '../../src/store/token-use.ts'

/** A control plane on a real store, spoken to as a client would, without a port. */
export interface Control {
  readonly api: ControlApi
  readonly store: Store
  readonly snapshot: SnapshotSource
  readonly backends: SecretBackends
  readonly credential: string
  /** What went to the record. */
  readonly entries: Entry[]
  /** Whether the record takes entries, and whether they reach the disk. */
  readonly disk: { accepts: boolean; durable: boolean }
  readonly clock: Clock & { ms: number }
  readonly shutdowns: { count: number }
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<Answer>
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly headers: Headers
  readonly text: string
  /** Parsed, where it is JSON. */
  readonly json: Body
}

/** Loose on purpose: a test says with its expectations what it wants to find. */
type Body = Readonly<Record<string, unknown>> & {
  /** Of a refusal. */
  readonly code?: string
  readonly hint?: string
  readonly problems?: readonly string[]
  readonly items?: readonly Body[]
  readonly results?: readonly Readonly<Record<string, unknown>>[]
}

export const makeHome = (): Promise<string> => mkdtemp(join(tmpdir(), 'castellan-control-'))

export async function openControl(home: string): Promise<Control> {
  const clock = {
    ms: Date.parse('2026-01-02T03:04:05Z'),
    nowMs: () => clock.ms,
    tickMs: () => performance.now(),
  }
  const store = await openStore({ home }, silentLog)
  const { master } = await loadMasterKey({ home, usedWith: await listSealingKeys(store.control) })
  const sealer = createSealer(master)
  const { backends, references, close } = openSecretSources({
    options: { directories: [], envPrefix: 'CASTELLAN_SECRET_' },
    variables: takeVariables({ CASTELLAN_SECRET_TEST: 'from-the-environment' }, 'CASTELLAN_', []),
    never: [],
    store,
    sealer,
    clock,
    log: silentLog,
  })
  const snapshot = await openSnapshot({ db: store.control, sealer, references })
  const admin = await openLocalAdmin(home)
  const disk = { accepts: true, durable: true }
  const entries: Entry[] = []
  const shutdowns = { count: 0 }
  const changes = createChanges({ store, sealer, backends, snapshot, clock })
  const grants = openGrants({
    store,
    sealer,
    snapshot,
    recorder: memoryRecorder(entries, disk),
    uses: { note() {}, all: () => Promise.resolve(new Map()) },
    clock,
    log: silentLog,
    home,
    self: 'this',
    goneOf: () => Promise.resolve([]),
    url: () => 'http://127.0.0.1:7411',
    changed() {},
  })
  const providers = openProviders(join(home, 'providers'))
  const api = createControlApi({
    answers: createKeptAnswers({ sealer, clock }),
    authenticator: createAuthenticator({ credentials: snapshot.credentials, admin, clock }),
    authorizer: createAuthorizer({ view: snapshot.access }),
    changes,
    backends,
    signIns: openSignIn({
      store,
      sealer,
      snapshot,
      changes,
      clock,
      signInKey: Buffer.alloc(32, 7),
      signInHours: 12,
      keepTokens: grants.signIns.keep,
      origin: () => 'http://127.0.0.1:7411',
    }),
    snapshot,
    instances: { list: () => [], stop: () => Promise.resolve(false) },
    keys: { report: () => Promise.resolve({ keys: [], daemons: [] }), rotate: () => Promise.resolve('mk_1') },
    recorder: memoryRecorder(entries, disk),
    bootEpoch: mintBootEpoch(),
    status: {
      server: (name) =>
        name === 'broken' ? { phase: 'Failed', message: 'the command does not exist' } : undefined,
      project: () => ({ sessions: 0 }),
      secret: (secret) => secretStatus(references, secret),
      daemon: () => ({
        pid: 1,
        startedAtMs: clock.ms - 65_000,
        home: '/home',
        database: 'sqlite',
        url: 'http://127.0.0.1:7411',
        audit: 'ok',
        sandbox: 'reaper',
        peers: [],
      }),
    },
    logs: { daemon: () => lines(['one\n', 'two\n']), server: (name) => lines([`${name}\n`]) },
    audit: {
      query: () => Promise.resolve([]),
      sessions: () => Promise.resolve({ items: [], complete: true }),
    },
    grants,
    providers,
    pages: {
      link: () => Promise.resolve(undefined),
      isLocal: () => true,
      callback: () => 'http://127.0.0.1:7411',
    },
    tester: createGrantTester({ grants, snapshot, providers, env: {} }),
    tokenUses: async () =>
      new Map((await listUses(store.state)).map(({ uid, used_at_ms }) => [uid, used_at_ms])),
    version: { version: '0.1.0', commit: 'abc', buildDate: '2026-01-01', node: process.version },
    shutdown: () => void (shutdowns.count += 1),
    clock,
    log: silentLog,
  })
  const credential = (await readFile(join(home, 'admin-credential'), 'utf8')).trim()
  return {
    api,
    store,
    snapshot,
    backends,
    credential,
    entries,
    disk,
    clock,
    shutdowns,
    call: (method, path, body, headers = {}) => callApi(api, { method, path, body, headers, credential }),
    close() {
      close()
      return store.close()
    },
  }
}

export async function withControl(work: (control: Control) => Promise<void>): Promise<void> {
  const home = await makeHome()
  const control = await openControl(home)
  try {
    await work(control)
  } finally {
    await control.close()
    await rm(home, { recursive: true, force: true })
  }
}

async function* lines(all: readonly string[]): AsyncGenerator<string> {
  for (const line of all) yield await Promise.resolve(line)
}

/** The recorder's contract, kept in memory: the real one has its own tests. */
function memoryRecorder(entries: Entry[], disk: Control['disk']): Recorder {
  return {
    accepts: () => disk.accepts,
    intent(entry): Segment {
      entries.push(entry)
      return { committed: false, durable: Promise.resolve(disk.durable) }
    },
    outcome: (entry) => void entries.push(entry),
    refused: (source, reason) => void entries.push({ type: 'refusals', atMs: 0, source, reason, count: 1 }),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}

interface Sent {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly headers: Record<string, string>
  readonly credential: string
}

/** Text goes as YAML, everything else as JSON. */
async function callApi(api: ControlApi, { method, path, body, headers, credential }: Sent): Promise<Answer> {
  const isText = typeof body === 'string'
  const request = new Request(`http://127.0.0.1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${credential}`,
      ...(body === undefined ? {} : { 'content-type': isText ? 'application/yaml' : 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
  })
  const response = await api.fetch(request, { source: '127.0.0.1' })
  const text = await response.text()
  const type = response.headers.get('content-type') ?? ''
  return {
    status: response.status,
    type,
    headers: response.headers,
    text,
    json: (/^application\/(?:problem\+)?json$/.test(type) ? JSON.parse(text) : {}) as Body,
  }
}

/** One of each kind, referring to each other. */
export const EVERYTHING = `
apiVersion: castellan/v1
kind: Token
metadata: {name: laptop, project: demo}
spec: {description: laptop of Ada, ttl: 30d}
---
apiVersion: castellan/v1
kind: Project
metadata: {name: demo, labels: {team: blue}}
spec: {servers: [notes, remote]}
---
apiVersion: castellan/v1
kind: Server
metadata: {name: remote}
spec:
  transport: http
  url: https://mcp.example.com/mcp
  headers:
    - {name: Authorization, valueFrom: {secretRef: {name: keys, key: token}, prefix: 'Bearer '}}
---
apiVersion: castellan/v1
kind: Server
metadata: {name: notes}
spec: {transport: stdio, command: notes-server, args: [--readonly]}
---
apiVersion: castellan/v1
kind: Secret
metadata: {name: keys}
spec: {data: {token: planted-7f3c9a-secret}}
`
