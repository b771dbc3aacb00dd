import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { mintUid } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import { err, ok } from '../lib/result.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import { isLoopbackHost } from '../oauth/client/addresses.ts'
import { createFetcher, type Fetcher } from '../oauth/client/guarded-fetch.ts'
import { revokeToken } from '../oauth/client/revocation.ts'
import type { TokenFailure } from '../oauth/client/token-answer.ts'
import { ATTEMPT_MS, createAttempts, type Attempts, type AttemptStore } from './attempts.ts'
import { createExchange, type SignInSource } from './exchange.ts'
import { prepareExchange, type PreparedExchange, type PrepareRequest } from './exchange-preparation.ts'
import {
  credentialOf,
  type Grant,
  type GrantFilter,
  type GrantKey,
  type GrantStore,
  type Source,
} from './grant.ts'
import { openClient } from './authorized-grant.ts'
import { justIssued } from './held-secret.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import { createOAuthFlow, type OAuthFlow, type OAuthFlowDeps } from './oauth-flow.ts'
import type { Holder } from './holder.ts'
import { canRenew, createRenewal, type RenewalDeps } from './renewal.ts'
import { reportOf, type GrantReport } from './report.ts'
import type { Recorded } from './recorded.ts'
import { isOurs } from './registrations.ts'
import { createGrantSource, type GrantSource } from './source.ts'

/** A credential that somebody has by them, to be kept. */
export interface Given {
  readonly key: GrantKey
  readonly server: string | undefined
  readonly origins: readonly string[]
  readonly values: Readonly<Record<string, SecretValue>>
  readonly settings: Readonly<Record<string, string>>
  readonly expiresAtMs: number | undefined
  readonly source: Source
}

/** Credentials that others issued to us: given by people, kept, renewed, sent, taken back. */
export interface Grants extends GrantSource, Omit<OAuthFlow, 'close'>, Pick<Attempts, 'find'> {
  list(filter?: GrantFilter): Promise<readonly GrantReport[]>
  report(key: GrantKey): Promise<GrantReport | undefined>
  /** @throws Fault `invalid`, `upstream_invalid` */
  prepareExchange(request: PrepareRequest): Promise<PreparedExchange>
  /** As it is kept. */
  stored(key: GrantKey): Promise<Grant | undefined>
  /**
   * An attempt that ends once somebody has given this grant, in whatever way.
   *
   * @param startedBy key of the principal
   */
  awaitGiven(key: GrantKey, startedBy: string): Promise<string>
  /** Keeps a credential, in place of what was there by that key. */
  give(given: Given): Promise<GrantReport>
  /** Where it may be sent from here on. @returns undefined: there is none */
  bind(key: GrantKey, origins: readonly string[]): Promise<GrantReport | undefined>
  /** Renews it at once. @returns undefined: there is none @throws Fault `upstream_invalid`, `conflict` */
  refresh(key: GrantKey): Promise<GrantReport | undefined>
  /** @returns undefined when there is no such grant; else whether the authorization server has taken it back too */
  revoke(key: GrantKey): Promise<{ readonly revoked: boolean } | undefined>
  /** The way to what a grant was given for. */
  readonly fetcherFor: (origin: string, hosts?: readonly string[]) => Fetcher
  /** Nothing that was given in exchange for this holder's sign-in is sent any more; undefined: for anybody's. */
  signInEnded(holder: Holder | undefined): void
  readonly keeper: Pick<Keeper, 'update' | 'reload' | 'remove'>
  close(): Promise<void>
}

export interface GrantsDeps {
  readonly store: GrantStore
  readonly attempts: AttemptStore
  readonly clock: Clock
  readonly log: Log
  /** Boot epoch of this process. */
  readonly self: string
  /** Other processes write to the same store. */
  readonly shared: boolean
  /** Which of these processes live no more. */
  readonly goneOf: (nodes: readonly string[]) => Promise<readonly string[]>
  /** Where browsers reach this daemon, without a slash at the end. */
  readonly publicOrigin: () => string
  /** A grant has become usable, or has gone, here or in another process. */
  readonly changed: (key: string) => void
  /** Who is signed in at an identity provider, and what that has issued with it. */
  readonly signIns: SignInSource & RenewalDeps['signIns']
  readonly fileOf: OAuthFlowDeps['fileOf']
  readonly recorded: Recorded
  /** When grants were last sent. */
  readonly uses: {
    readonly note: (uid: string) => void
    readonly all: () => Promise<ReadonlyMap<string, number>>
  }
}

export function createGrants(deps: GrantsDeps): Grants {
  const { clock, log } = deps
  const fetchers = createFetchers()
  const ended = new AbortController()
  const keeper = createKeeper(deps)
  const renewal = createRenewal({ ...deps, keeper, fetcherFor: fetchers.of })
  const attempts = createAttempts(deps.attempts, clock)
  const changed = (grant: GrantKey): void => deps.changed(`${grant.profile}/${grant.holder}/${grant.name}`)
  const flow = createOAuthFlow({
    keeper,
    attempts,
    clock,
    log,
    fetcherFor: fetchers.of,
    publicOrigin: deps.publicOrigin,
    fileOf: deps.fileOf,
    recorded: deps.recorded,
    changed,
  })
  const exchange = createExchange({
    keeper,
    renewal,
    clock,
    log,
    fetcherFor: fetchers.of,
    signIns: deps.signIns,
    recorded: deps.recorded,
  })
  const source = createGrantSource({
    keeper,
    renewal,
    clock,
    obtain: exchange.obtain,
    ahead: exchange.ahead,
    used: deps.uses.note,
  })
  const sweeper = setInterval(() => void renewal.renewDue(keeper.known()), SWEEP_MS).unref()

  /** In this process: when it ends, somebody asks again. Never rejects. */
  async function followGiven(key: GrantKey, id: string): Promise<void> {
    const untilTick = clock.tickMs() + ATTEMPT_MS
    const startedMs = clock.nowMs()
    try {
      while (clock.tickMs() < untilTick && !ended.signal.aborted) {
        const grant = await keeper.reload(key)
        if (grant !== undefined && grant.givenAtMs >= startedMs && credentialOf(grant) !== undefined)
          return await attempts.settle(id, { state: 'done' })
        await sleep(LOOK_MS, undefined, { ref: false })
      }
    } catch (thrown) {
      log.warn({ err: thrown, grant: key.name }, 'nobody can say whether a grant was given')
    }
  }

  async function described(grant: Grant | undefined): Promise<GrantReport | undefined> {
    return grant && reportOf(grant, clock.nowMs(), (await deps.uses.all()).get(grant.uid))
  }

  return {
    current: source.current,
    ready: source.ready,
    refused: source.refused,
    start: (request) => flow.start(request),
    async prepareExchange(request) {
      const prepared = await prepareExchange({ ...deps, keeper, fetcherFor: fetchers.of }, request)
      changed(request.key)
      return prepared
    },
    preview: (request) => flow.preview(request),
    arrive: (qualifier, answer, back) => flow.arrive(qualifier, answer, back),
    finish: (qualifier, answer) => flow.finish(qualifier, answer),
    paste: (attempt, text) => flow.paste(attempt, text),
    find: (id, waitMs) => attempts.find(id, waitMs),
    fetcherFor: fetchers.of,
    signInEnded: (holder) => exchange.forget(holder),
    keeper,
    async list(filter = {}) {
      const [grants, used] = await Promise.all([deps.store.list(filter), deps.uses.all()])
      return grants
        .filter((grant) => !isOurs(grant))
        .map((grant) => reportOf(grant, clock.nowMs(), used.get(grant.uid)))
    },
    report: async (key) => described(await keeper.reload(key)),
    stored: (key) => keeper.reload(key),
    async awaitGiven(key, startedBy) {
      const id = await attempts.wait(startedBy)
      void followGiven(key, id)
      return id
    },
    async give(given) {
      const kept = await keeper.update(given.key, (stored) => grantOf(given, stored, clock.nowMs()))
      log.info({ grant: given.key.name, source: given.source }, 'a grant was given')
      changed(given.key)
      return reportOf(kept as Grant, clock.nowMs(), undefined)
    },
    async bind(key, origins) {
      const kept = await keeper.update(key, (stored) => stored && { ...stored, origins })
      if (kept !== undefined) changed(key)
      return described(kept)
    },
    async refresh(key) {
      const grant = await keeper.reload(key)
      if (grant === undefined) return undefined
      if (!canRenew(grant))
        throw new Fault('conflict', {
          hint: 'this grant cannot be renewed; give it again when it has run out',
        })
      const renewed = await renewal.renew(grant)
      if (!renewed.ok) throw new Fault('upstream_invalid', { hint: renewed.error })
      return described(renewed.value)
    },
    async revoke(key) {
      const grant = await keeper.reload(key)
      if (grant === undefined) return undefined
      // Not sent any more from here on, however long its authorization server takes to hear of it.
      await keeper.remove(key)
      changed(key)
      const fetcher = fetchers.of(grant.origins[0] ?? '', grant.oauth?.hosts)
      return { revoked: await revokeBoth(grant, { fetcher, clock, recorded: deps.recorded }) }
    },
    async close() {
      clearInterval(sweeper)
      ended.abort()
      flow.close()
      keeper.close()
      await fetchers.close()
    },
  }
}

const SWEEP_MS = 20_000
/** Whether somebody has given a grant that is waited for. */
const LOOK_MS = 1000

const grantOf = (
  { key, server, origins, values, settings, expiresAtMs, source }: Given,
  before: Grant | undefined,
  nowMs: number,
): Grant => ({
  ...key,
  uid: before?.uid ?? mintUid('grt', nowMs),
  server,
  origins,
  source,
  values: Object.fromEntries(Object.entries(values).map(([field, value]) => [field, justIssued(value)])),
  settings,
  expiresAtMs,
  oauth: undefined,
  trouble: undefined,
  refreshed: undefined,
  givenAtMs: nowMs,
  renewing: undefined,
  version: before?.version ?? 0,
})

/** One for each origin: strangers may name public addresses only, but for servers that are on loopback themselves. */
function createFetchers(): {
  readonly of: (serverOrigin: string, hosts?: readonly string[]) => Fetcher
  close(): Promise<void>
} {
  const made = new Map<string, Fetcher>()
  return {
    of(serverOrigin, named = []) {
      const hosts = [hostOf(serverOrigin), ...named]
      const key = hosts.join(' ')
      const known = made.get(key)
      if (known !== undefined) return known
      const fetcher = createFetcher({ loopback: hosts.some(isLoopbackHost), hosts: new Set(hosts) })
      const [oldest] = made
      if (made.size >= MAX_FETCHERS && oldest !== undefined) {
        made.delete(oldest[0])
        // What it is doing comes to its end.
        setTimeout(() => void oldest[1].close(), CLOSE_AFTER_MS).unref()
      }
      made.set(key, fetcher)
      return fetcher
    },
    close: async () => void (await Promise.all([...made.values()].map((one) => one.close()))),
  }
}

/** Of those that are used at one time. */
const MAX_FETCHERS = 500
const CLOSE_AFTER_MS = 60_000

/** Of a bound origin; a pattern stands for nobody in particular. */
const hostOf = (origin: string): string =>
  URL.canParse(origin) && !origin.includes('*') ? new URL(origin).hostname : 'invalid'

const NOT_TAKEN_BACK: TokenFailure = { message: 'it was not taken back', final: true, code: undefined }

/** RFC 7009: the refresh token first, since it could make others. What an authorization server has not issued it cannot take back. */
async function revokeBoth(
  { holder, profile, name, server, oauth }: Grant,
  { fetcher, clock, recorded }: Pick<GrantsDeps, 'clock' | 'recorded'> & { readonly fetcher: Fetcher },
): Promise<boolean> {
  const client = oauth?.clients[oauth.authorizationServer.issuer]
  if (oauth === undefined) return false
  if (oauth.tokens === undefined || client === undefined) return true
  const { authorizationServer, resource, tokens } = oauth
  try {
    const source = {
      authorizationServer,
      client: openClient(client),
      resource: resource.identifier,
      fetcher,
      nowMs: clock.nowMs,
    }
    const done = await recorded({ doing: 'revoke', holder, profile, name, server }, async () => {
      const refresh =
        tokens.refresh === undefined || (await revokeToken(source, tokens.refresh.open(), 'refresh_token'))
      return (await revokeToken(source, tokens.access.open(), 'access_token')) && refresh
        ? ok(undefined)
        : err(NOT_TAKEN_BACK)
    })
    return done.ok
  } catch (thrown) {
    // What does not open cannot be shown to anybody; it goes all the same.
    if (thrown instanceof Fault) return false
    throw thrown
  }
}
