import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { mintUid } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import { isLoopbackHost } from '../oauth/client/addresses.ts'
import { checkCallback, requestAuthorization } from '../oauth/client/authorization.ts'
import { discover } from '../oauth/client/discovery.ts'
import type { Grant, GrantStore } from './grant.ts'
import { createFetcher, type Fetcher } from '../oauth/client/guarded-fetch.ts'
import { createKeeper, mendCommand, type Keeper } from './keeper.ts'
import { createPending, type Attempt, type AttemptState } from './pending.ts'
import { identifyClient } from '../oauth/client/registration.ts'
import { chooseScopes } from '../oauth/client/scopes.ts'
import { revokeToken } from '../oauth/client/revocation.ts'
import { exchangeCode } from '../oauth/client/token-endpoint.ts'

export interface StartRequest {
  /** `oauth:NAME` */
  readonly name: string
  readonly server: { readonly name: string; readonly url: string }
  readonly client: { readonly clientId: string; readonly secret: SecretValue | undefined } | undefined
  /** Address of a client ID metadata document. */
  readonly document: string | undefined
  readonly scopes: readonly string[] | undefined
}

export interface Started {
  readonly attempt: string
  /** For the browser of the user. */
  readonly authorizeUrl: string
  readonly redirectUri: string
  readonly issuer: string
  readonly scopes: readonly string[]
}

/** A grant as people may see it. */
export interface GrantReport {
  readonly name: string
  readonly server: string
  readonly origin: string
  readonly issuer: string
  /** `waiting`: it was started and not finished. `expired`: it will be refreshed with its next use. */
  readonly state: 'ready' | 'waiting' | 'expired' | 'needs-login' | 'needs-scope' | 'refused'
  readonly scopes: readonly string[]
  readonly expiresAtMs: number | undefined
  readonly obtainedAtMs: number | undefined
  readonly renewable: boolean
  /** What is wrong, with the command that mends it. */
  readonly problem: string | undefined
}

/** OAuth towards servers: grants are authorized by a user, kept, refreshed, taken back. */
export interface OAuthGrants extends Pick<Keeper, 'current' | 'ready' | 'refused'> {
  list(): readonly GrantReport[]
  /** @throws Fault when the server or its authorization server cannot be used */
  start(request: StartRequest): Promise<Started>
  /** The answer that the browser brings back. */
  finish(name: string, answer: URLSearchParams): Promise<Result<void, string>>
  /** How an attempt stands; waits for its end, but no longer than that. */
  attempt(id: string, waitMs: number): Promise<AttemptState | undefined>
  /** @returns undefined when there is no such grant; else whether the authorization server has taken it back too */
  revoke(name: string): Promise<{ readonly revoked: boolean } | undefined>
  close(): Promise<void>
}

export interface OAuthGrantsDeps {
  readonly store: GrantStore
  readonly clock: Clock
  readonly log: Log
  /** Where browsers reach this daemon, without a slash at the end. */
  readonly publicOrigin: () => string
  /** A grant has become usable, or has gone. */
  readonly changed: (name: string, server: string) => void
}

/** What an attempt will become when its answer is good. */
interface Draft {
  readonly grant: Grant
  readonly scopes: readonly string[]
}

const MAX_CLIENTS = 16

export async function createOAuthGrants(deps: OAuthGrantsDeps): Promise<OAuthGrants> {
  const { clock, log } = deps
  const fetchers = createFetchers()
  const keeper = await createKeeper({ ...deps, fetcherFor: fetchers.of })
  const pending = createPending<Draft>(clock.tickMs)

  async function start(request: StartRequest): Promise<Started> {
    const { origin } = new URL(request.server.url)
    const fetcher = fetchers.of(origin)
    const before = await keeper.reload(request.name)
    const found = must(await discover(request.server.url, fetcher, before?.authorizationServer.issuer))
    const { authorizationServer, resource, challenge } = found
    const same = before?.authorizationServer.issuer === authorizationServer.issuer && before.origin === origin
    const scopes = chooseScopes({
      given: request.scopes,
      challenged: [...challenge.scopes, ...(same ? before.demanded : [])],
      resource: resource.scopes,
      authorizationServer: authorizationServer.scopes_supported,
      before: same ? before.requested : [],
    })
    const redirectUri = `${deps.publicOrigin()}/oauth/callback/${request.name.replace(/^oauth:/, '')}`
    const client = must(
      await identifyClient(
        authorizationServer,
        {
          given: request.client,
          document: request.document,
          remembered: before?.origin === origin ? before.clients[authorizationServer.issuer] : undefined,
          redirectUri,
          scopes,
        },
        fetcher,
      ),
    )
    const leg = must(
      requestAuthorization(authorizationServer, client, { scopes, resource: resource.identifier }),
    )
    const clients = before?.origin === origin ? Object.entries(before.clients).slice(-MAX_CLIENTS) : []
    const grant: Grant = {
      uid: before?.uid ?? mintUid('grt', clock.nowMs()),
      name: request.name,
      server: request.server.name,
      origin,
      resource,
      authorizationServer,
      clients: { ...Object.fromEntries(clients), [authorizationServer.issuer]: client },
      requested: scopes,
      granted: [],
      tokens: undefined,
      trouble: undefined,
      demanded: [],
      renewingUntilMs: undefined,
      version: 0,
    }
    // The client that was registered is remembered even when nobody finishes; a grant that works goes on working.
    await keeper.update(request.name, (stored) =>
      stored?.tokens === undefined ? grant : { ...stored, clients: { ...stored.clients, ...grant.clients } },
    )
    const attempt = pending.add(request.name, leg, { grant, scopes })
    log.info({ grant: request.name, server: request.server.name }, 'an authorization was started')
    return {
      attempt: attempt.id,
      authorizeUrl: leg.url,
      redirectUri,
      issuer: authorizationServer.issuer,
      scopes,
    }
  }

  async function finish(name: string, answer: URLSearchParams): Promise<Result<void, string>> {
    const attempt = pending.take(name, answer.get('state') ?? '')
    if (attempt === undefined)
      return err('this answer belongs to no authorization that is under way; start it again')
    const done = await complete(attempt, answer).catch((thrown: unknown) => {
      attempt.settle({ state: 'failed', problem: 'the daemon could not keep it; its log says why' })
      throw thrown
    })
    attempt.settle(done.ok ? { state: 'done' } : { state: 'failed', problem: done.error })
    log.info({ grant: name, ok: done.ok }, 'an authorization has ended')
    return done
  }

  async function complete(
    { draft, leg, name }: Attempt<Draft>,
    answer: URLSearchParams,
  ): Promise<Result<void, string>> {
    const { grant, scopes } = draft
    const { authorizationServer } = grant
    const checked = checkCallback(authorizationServer, answer)
    if (!checked.ok) return checked
    const client = grant.clients[authorizationServer.issuer]
    if (client === undefined) throw new TypeError('an attempt without a client')
    const issued = await exchangeCode(
      {
        authorizationServer,
        client,
        resource: grant.resource.identifier,
        fetcher: fetchers.of(grant.origin),
        nowMs: clock.nowMs,
      },
      leg,
      answer,
    )
    if (!issued.ok) return err(issued.error.message)
    await keeper.update(name, () => ({
      ...grant,
      tokens: issued.value.tokens,
      granted: issued.value.scopes ?? scopes,
    }))
    deps.changed(name, grant.server)
    return ok(undefined)
  }

  return {
    current: keeper.current,
    ready: keeper.ready,
    refused: keeper.refused,
    list: () => [...keeper.grants.values()].map((grant) => reportOf(grant, clock.nowMs())),
    start,
    finish,
    async attempt(id, waitMs) {
      const attempt = pending.find(id)
      if (attempt === undefined) return undefined
      if (attempt.result.state === 'waiting' && waitMs > 0) await orLater(attempt.settled, waitMs)
      return attempt.result
    },
    async revoke(name) {
      const grant = await keeper.reload(name)
      if (grant === undefined) return undefined
      const revoked = await revokeBoth(grant, fetchers.of(grant.origin), clock)
      await keeper.remove(name)
      deps.changed(name, grant.server)
      return { revoked }
    },
    async close() {
      keeper.close()
      await fetchers.close()
    },
  }
}

/** Two at most: strangers may name public addresses only, but for servers that are on loopback themselves. */
function createFetchers(): {
  readonly of: (serverOrigin: string) => Fetcher
  close(): Promise<void>
} {
  const made = new Map<string, Fetcher>()
  return {
    of(serverOrigin) {
      const { hostname } = new URL(serverOrigin)
      const known = made.get(serverOrigin)
      if (known !== undefined) return known
      const fetcher = createFetcher({ loopback: isLoopbackHost(hostname), hosts: new Set([hostname]) })
      made.set(serverOrigin, fetcher)
      return fetcher
    },
    close: async () => void (await Promise.all([...made.values()].map((one) => one.close()))),
  }
}

/** Of what strangers say, and so no bug of ours. */
function must<T>(result: Result<T, string>): T {
  if (result.ok) return result.value
  throw new Fault('upstream_invalid', { hint: result.error })
}

/** RFC 7009: the refresh token first, since it could make others. */
async function revokeBoth(grant: Grant, fetcher: Fetcher, clock: Clock): Promise<boolean> {
  const { tokens, authorizationServer, resource } = grant
  const client = grant.clients[authorizationServer.issuer]
  if (tokens === undefined || client === undefined) return true
  const source = { authorizationServer, client, resource: resource.identifier, fetcher, nowMs: clock.nowMs }
  const refresh = tokens.refresh === undefined || (await revokeToken(source, tokens.refresh))
  return (await revokeToken(source, tokens.access)) && refresh
}

function reportOf(grant: Grant, nowMs: number): GrantReport {
  const { tokens, trouble } = grant
  const expired = tokens?.expiresAtMs !== undefined && tokens.expiresAtMs <= nowMs
  const renewable = tokens?.refresh !== undefined
  const mend = `authorize it: ${mendCommand(grant.name, grant.server)}`
  return {
    name: grant.name,
    server: grant.server,
    origin: grant.origin,
    issuer: grant.authorizationServer.issuer,
    state: stateOf(grant, expired),
    scopes: grant.granted,
    expiresAtMs: tokens?.expiresAtMs,
    obtainedAtMs: tokens?.obtainedAtMs,
    renewable,
    problem: trouble?.message ?? (tokens === undefined || (expired && !renewable) ? mend : undefined),
  }
}

function stateOf({ tokens, trouble }: Grant, expired: boolean): GrantReport['state'] {
  if (trouble?.kind === 'login') return 'needs-login'
  if (trouble?.kind === 'scope') return 'needs-scope'
  if (trouble?.kind === 'refused') return 'refused'
  if (tokens === undefined) return 'waiting'
  if (!expired) return 'ready'
  return tokens.refresh === undefined ? 'needs-login' : 'expired'
}

function orLater(settled: Promise<void>, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs)
    void settled.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
