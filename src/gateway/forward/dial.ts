import { createHash } from 'node:crypto'
import type { Pool as HttpPool } from 'undici'
import type { StdioSpec } from '../../kinds/server.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { NO_OFFER, type Offer } from '../../protocol/client-offer.ts'
import type { Implementation } from '../../protocol/envelope.ts'
import type { Era } from '../../protocol/revisions.ts'
import type { InstanceSpec, Runtime } from '../../runtime/runtime.ts'
import {
  injectEnv,
  injectHeaders,
  missingSecrets,
  type OpenSecret,
} from '../inject/credentials.ts'
import type { GrantSource } from '../inject/grants.ts'
import type { ServerView } from '../snapshot.ts'
import { granted, grantUse, redactorFor } from './granted.ts'
import { LegacyHttp } from './http-legacy.ts'
import { createModernHttp } from './http-modern.ts'
import { probeHttp, type Verdict } from './http-probe.ts'
import { httpTarget } from './http-target.ts'
import { StdioUpstream } from './stdio.ts'
import type { Upstream, UpstreamEvents, UpstreamFailure } from './upstream.ts'
import type { WireIds } from './wire-id.ts'
import { eventsWithoutSecrets, withoutSecrets } from './without-secrets.ts'

export interface DialDeps {
  readonly runtime: Runtime
  readonly openSecret: OpenSecret
  readonly grants: GrantSource
  readonly us: Implementation
  readonly ids: WireIds
  readonly tickMs: () => number
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
  close(): Promise<void>
}

/** A legacy verdict may be outlived by an upgrade of the server, which would go on to answer `initialize`. */
const LEGACY_VERDICT_MS = 24 * 3600 * 1000

/** Connections to one origin; each carries one request at a time. */
const MAX_CONNECTIONS = 256

interface Origin {
  readonly calls: HttpPool
  readonly streams: HttpPool
}

export function createDial(deps: DialDeps): Dial {
  const origins = new Map<string, Origin>()
  const eras = new Map<
    string,
    { readonly era: Era; readonly verdict: Verdict | undefined; readonly untilMs: number }
  >()

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

  function remember(server: ServerView, era: Era, verdict?: Verdict): void {
    eras.set(server.fingerprint, {
      era,
      verdict,
      untilMs: deps.tickMs() + (era === 'legacy' ? LEGACY_VERDICT_MS : Infinity),
    })
  }

  function known(
    server: ServerView,
  ): { readonly era: Era; readonly verdict: Verdict | undefined } | undefined {
    const found = eras.get(server.fingerprint)
    if (found !== undefined && found.untilMs > deps.tickMs()) return found
    eras.delete(server.fingerprint)
    return undefined
  }

  async function connectHttp(
    server: ServerView,
    { sharer, offer }: For,
    events: UpstreamEvents,
  ): Promise<Result<Upstream, UpstreamFailure>> {
    if (server.spec.transport !== 'http') throw new TypeError('not an http server')
    const { spec } = server
    const missing = missingSecrets(spec.headers, deps.openSecret)
    if (missing.length > 0) return err(secretMissing(missing))
    const dispatchers = granted(await originOf(spec.url), grantUse(deps.grants, server.name, spec))
    const target = httpTarget(spec, dispatchers, () => injectHeaders(spec, deps.openSecret))
    let verdict = known(server)?.verdict
    if (verdict === undefined) {
      const probed = await probeHttp(target, deps.us, deps.ids)
      if (!probed.ok) return probed
      verdict = probed.value
      remember(server, verdict.era, verdict)
    }
    const options = { target, us: deps.us, ids: deps.ids, tickMs: deps.tickMs, events }
    return ok(
      verdict.era === 'modern'
        ? createModernHttp({ ...options, info: verdict.info })
        : new LegacyHttp({
            ...options,
            offer,
            oneClient: isOneClient(sharer),
            listen: sharer === '' || offer !== NO_OFFER,
          }),
    )
  }

  function connectStdio(
    server: ServerView,
    { sharer, offer }: For,
    events: UpstreamEvents,
  ): Result<Upstream, UpstreamFailure> {
    if (server.spec.transport !== 'stdio') throw new TypeError('not a stdio server')
    const { spec } = server
    const missing = missingSecrets(spec.env, deps.openSecret)
    if (missing.length > 0) return err(secretMissing(missing))
    const upstream = new StdioUpstream({
      runtime: deps.runtime,
      spec: () => instanceSpec(server.name, sharer, spec, deps.openSecret),
      us: deps.us,
      offer,
      oneClient: isOneClient(sharer),
      ids: deps.ids,
      events,
      connectTimeoutMs: spec.timeouts.connectSeconds * 1000,
      knownEra: known(server)?.era,
    })
    void upstream.open().then((opened) => opened.ok && remember(server, opened.value.era))
    return ok(upstream)
  }

  return {
    async connect(server, whom, given) {
      const redact = redactorFor(deps, server)
      const events = redact === undefined ? given : eventsWithoutSecrets(given, redact)
      const upstream =
        server.spec.transport === 'http'
          ? await connectHttp(server, whom, events)
          : connectStdio(server, whom, events)
      if (!upstream.ok) return upstream
      const opened = await upstream.value.open()
      if (opened.ok) return redact === undefined ? upstream : ok(withoutSecrets(upstream.value, redact))
      // A verdict that no longer holds must not outlive the first failure.
      eras.delete(server.fingerprint)
      await upstream.value.close()
      return opened
    },
    async close() {
      const pools = [...origins.values()].flatMap(({ calls, streams }) => [calls, streams])
      await Promise.all(pools.map((pool) => pool.destroy()))
    },
  }
}

function instanceSpec(server: string, sharer: string, spec: StdioSpec, open: OpenSecret): InstanceSpec {
  const suffix = sharer === '' ? '' : `-${createHash('sha256').update(sharer).digest('hex').slice(0, 12)}`
  return {
    server,
    key: `${server}${suffix}`,
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
  message: `it needs a secret that is not there (${names.join(', ')}); create it with: castellan create secret`,
})
