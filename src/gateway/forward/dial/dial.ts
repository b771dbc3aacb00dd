import type { Pool as HttpPool } from 'undici'
import type { HttpSpec, NamedValue, StdioSpec } from '../../../kinds/server.ts'
import type { Clock } from '../../../lib/clock.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { SecretValue } from '../../../lib/secret-value.ts'
import { NO_OFFER, type Offer } from '../../../protocol/client-offer.ts'
import type { Implementation } from '../../../protocol/envelope.ts'
import type { InstanceSpec, Runtime } from '../../../runtime/runtime.ts'
import {
  injectEnv,
  injectHeaders,
  missingSecrets,
  standIns,
  type OpenSecret,
} from '../../inject/credentials.ts'
import { grantUse, type GrantSource } from '../../inject/grants.ts'
import type { InjectionRecord } from '../../record/injections.ts'
import type { ServerView } from '../../snapshot.ts'
import { detectHttp, detectStdio } from './detect.ts'
import { granted, redactorFor } from './granted.ts'
import { LegacyHttp } from '../http/http-legacy.ts'
import { endHttpSession } from '../http/http-end-session.ts'
import { createModernHttp } from '../http/http-modern.ts'
import { SseUpstream } from '../http/http-sse.ts'
import { httpTarget, type HttpTarget } from '../http/http-target.ts'
import { StdioUpstream } from '../stdio/stdio.ts'
import { sharerDigest } from '../instances.ts'
import type { Upstream, UpstreamEvents, UpstreamFailure, UpstreamInfo } from '../upstream.ts'
import type { UpstreamSession, UpstreamSessionLog } from '../http/upstream-sessions.ts'
import { createVerdicts, type Detection, type Verdict } from './verdicts.ts'
import type { WireIds } from '../wire-id.ts'
import { eventsWithoutSecrets, withoutSecrets } from './without-secrets.ts'

export interface DialDeps {
  readonly runtime: Runtime
  readonly openSecret: OpenSecret
  readonly grants: GrantSource
  readonly injections: InjectionRecord
  readonly us: Implementation
  readonly ids: WireIds
  readonly clock: Clock
  readonly sessions: UpstreamSessionLog
}

/** For whom a connection is made. */
export interface For {
  /** '' for a connection that all share, else who it is for; part of the instance's key. */
  readonly sharer: string
  /** What a legacy server is told that it may ask. */
  readonly offer: Offer
}

/** Makes connections to Servers; who shares them is the pool's business. */
export interface Dial {
  connect(server: ServerView, whom: For, events: UpstreamEvents): Promise<Result<Upstream, UpstreamFailure>>
  /** How it was found out what the server speaks; undefined: not yet, or it failed since. */
  detection(server: ServerView): Detection | undefined
  /** Ends a session that somebody else has opened at this very address; false: it can be tried another time. */
  endSession(server: ServerView, session: UpstreamSession): Promise<boolean>
  close(): Promise<void>
}

/** Connections to one origin; each carries one request at a time. */
const MAX_CONNECTIONS = 256
/** How long a server may take to end a session; nobody waits for it. */
const END_LEFT_MS = 10_000

interface Origin {
  readonly calls: HttpPool
  readonly streams: HttpPool
}

export function createDial(deps: DialDeps): Dial {
  const origins = new Map<string, Origin>()
  const verdicts = createVerdicts(deps.clock)

  /** Why what is configured cannot be sent as it stands. */
  function unfitFor(entries: readonly NamedValue[]): UpstreamFailure | undefined {
    const missing = missingSecrets(entries, deps.openSecret)
    if (missing.length > 0) return secretMissing(missing)
    const stubs = standIns(entries, deps.openSecret)
    return stubs.length > 0 ? standInLeaked(stubs) : undefined
  }

  async function originOf(url: string): Promise<Origin> {
    // Loaded with the first server that needs it: it is a large part of what a daemon would load at its start.
    const { Pool } = await import('undici')
    const { origin } = new URL(url)
    let found = origins.get(origin)
    if (found === undefined) {
      const options = { pipelining: 1, connect: { timeout: 30_000 } }
      found = {
        calls: new Pool(origin, { ...options, connections: MAX_CONNECTIONS }),
        // As many as there are upstreams that hold one, and those are bounded.
        streams: new Pool(origin, { ...options, connections: null }),
      }
      origins.set(origin, found)
    }
    return found
  }

  async function targetOf(server: ServerView, spec: HttpSpec): Promise<Result<HttpTarget, UpstreamFailure>> {
    const unfit = unfitFor(spec.headers)
    if (unfit !== undefined) return err(unfit)
    const dispatchers = granted(
      await originOf(spec.url),
      grantUse(deps.grants, server, spec),
      deps.injections,
    )
    return ok(httpTarget(spec, dispatchers, () => injectHeaders(spec, deps.openSecret)))
  }

  async function connectHttp(
    server: ServerView,
    spec: HttpSpec,
    { sharer, offer }: For,
    events: UpstreamEvents,
  ): Promise<Result<Upstream, UpstreamFailure>> {
    const found = await targetOf(server, spec)
    if (!found.ok) return found
    const target = found.value
    const verdict = await verdicts.of(server, () => judgeRemote(spec, target, deps))
    if (!verdict.ok) return verdict
    const about = { target, us: deps.us, ids: deps.ids, tickMs: deps.clock.tickMs, events }
    const options = { ...about, offer, oneClient: isOneClient(sharer) }
    const { speaks } = verdict.value
    if (speaks === 'modern') return opened(createModernHttp({ ...options, info: saidBy(verdict.value) }))
    if (speaks === 'sse') return opened(new SseUpstream(options))
    const note = (id: string, protocolVersion: string): (() => void) =>
      deps.sessions.opened({ ...placeOf(server, spec), protocolVersion, id: new SecretValue(id) })
    const listen = sharer === '' || offer !== NO_OFFER
    const legacy = await opened(new LegacyHttp({ ...options, listen, note }))
    if (legacy.ok || !mayBeSse(legacy.error)) return legacy
    const sse = await opened(new SseUpstream(options))
    // Why `initialize` failed says more than that there is no stream either.
    if (!sse.ok) return legacy
    const how = `by initialize over HTTP+SSE: a posted initialize was answered with HTTP status ${legacy.error.status ?? 'unknown'}`
    verdicts.set(server, { speaks: 'sse', mayBeModern: false, how })
    return sse
  }

  async function connectStdio(
    server: ServerView,
    spec: StdioSpec,
    { sharer, offer }: For,
    events: UpstreamEvents,
  ): Promise<Result<Upstream, UpstreamFailure>> {
    const unfit = unfitFor(spec.env)
    if (unfit !== undefined) return err(unfit)
    const about = {
      runtime: deps.runtime,
      us: deps.us,
      ids: deps.ids,
      tickMs: deps.clock.tickMs,
      connectTimeoutMs: spec.timeouts.connectSeconds * 1000,
    }
    const makeSpec = (): InstanceSpec => instanceSpec(server.name, sharer, spec, deps.openSecret)
    const verdict = await verdicts.of(server, async () =>
      ok(await detectStdio({ ...about, spec: makeSpec() }, spec.protocol)),
    )
    if (!verdict.ok) return verdict
    const { value } = verdict
    const era = value.speaks === 'modern' ? 'modern' : 'legacy'
    const mayBeModern = value.speaks !== 'modern' && value.mayBeModern
    const oneClient = isOneClient(sharer)
    const upstream = new StdioUpstream({
      ...about,
      spec: makeSpec,
      offer,
      oneClient,
      events,
      era,
      mayBeModern,
    })
    const result = await opened(upstream)
    const info = await upstream.open()
    if (info.ok && info.value.era !== era)
      verdicts.set(server, {
        speaks: 'modern',
        info: undefined,
        how: 'by server/discover: it refused initialize',
      })
    return result
  }

  function connectAny(
    server: ServerView,
    whom: For,
    events: UpstreamEvents,
  ): Promise<Result<Upstream, UpstreamFailure>> {
    const { spec } = server
    return spec.transport === 'stdio'
      ? connectStdio(server, spec, whom, events)
      : connectHttp(server, spec, whom, events)
  }

  return {
    async connect(server, whom, given) {
      const redact = redactorFor(deps, server)
      const events = redact === undefined ? given : eventsWithoutSecrets(given, redact)
      const upstream = await connectAny(server, whom, events)
      // A verdict that no longer holds must not outlive the first failure.
      if (!upstream.ok) verdicts.drop(server)
      return upstream.ok && redact !== undefined ? ok(withoutSecrets(upstream.value, redact)) : upstream
    },
    detection: (server) => verdicts.detection(server),
    async endSession(server, { id, protocolVersion }) {
      const { spec } = server
      if (spec.transport === 'stdio') throw new TypeError('a process has no sessions over HTTP')
      const target = await targetOf(server, spec)
      if (!target.ok) return false
      const headers = {
        ...target.value.injected(),
        'mcp-protocol-version': protocolVersion,
        'mcp-session-id': id.reveal(),
      }
      return endHttpSession(target.value, headers, END_LEFT_MS)
    },
    async close() {
      const pools = [...origins.values()].flatMap(({ calls, streams }) => [calls, streams])
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}

const placeOf = (
  { name, uid }: ServerView,
  { url }: HttpSpec,
): Pick<UpstreamSession, 'server' | 'serverUid' | 'url'> => ({ server: name, serverUid: uid, url })

async function opened(upstream: Upstream): Promise<Result<Upstream, UpstreamFailure>> {
  const info = await upstream.open()
  if (info.ok) return ok(upstream)
  await upstream.close()
  return info
}

function judgeRemote(
  spec: HttpSpec,
  target: HttpTarget,
  asker: Pick<DialDeps, 'us' | 'ids'>,
): Promise<Result<Verdict, UpstreamFailure>> {
  if (spec.transport === 'http') return detectHttp(target, spec.protocol, asker)
  const how = 'by initialize over HTTP+SSE: spec.transport is sse'
  return Promise.resolve(ok({ speaks: 'sse', mayBeModern: false, how }))
}

function saidBy({ info }: Extract<Verdict, { readonly speaks: 'modern' }>): UpstreamInfo {
  if (info === undefined)
    throw new TypeError('a server over HTTP is found to be modern by what it says of itself')
  return info
}

/** Nothing that speaks JSON-RPC was found there (MCP 2025-11-25, transports, "Backwards compatibility"). */
const mayBeSse = ({ status }: UpstreamFailure): boolean => status === 400 || status === 404 || status === 405

function instanceSpec(server: string, sharer: string, spec: StdioSpec, open: OpenSecret): InstanceSpec {
  const digest = sharerDigest(sharer)
  return {
    server,
    key: digest === undefined ? server : `${server}-${digest}`,
    command: spec.command,
    args: spec.args,
    env: injectEnv(spec, open),
    cwd: spec.cwd,
    mounts: spec.mounts,
    memoryMiB: spec.limits.memoryMiB,
    messageMiB: spec.limits.messageMiB,
  }
}

const isOneClient = (sharer: string): boolean => sharer.startsWith('session:')

const secretMissing = (names: readonly string[]): UpstreamFailure => ({
  kind: 'refused',
  message: `it needs a secret value that is not there (${names.join(', ')}); castellan describe secret ${names[0]?.split('/')[0] ?? 'NAME'} says why`,
})

const standInLeaked = (names: readonly string[]): UpstreamFailure => ({
  kind: 'refused',
  message: `${names.join(', ')} holds a stand-in that agents are given, and not a credential; put the real one into its Secret: castellan create secret`,
})
