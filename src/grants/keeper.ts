import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Log } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import { readChallenge } from '../oauth/client/challenge.ts'
import type { Grant, GrantStore, Trouble } from './grant.ts'
import type { Fetcher } from '../oauth/client/guarded-fetch.ts'
import type { Issued } from '../oauth/client/token-answer.ts'
import { refreshTokens } from '../oauth/client/token-endpoint.ts'

/** For whom a token is wanted: a Server, by its name and the origin it is at. */
export interface Purpose {
  readonly server: string
  readonly origin: string
}

/** How a server refused a request that carried a token. */
export interface Refused {
  readonly used: SecretValue | undefined
  readonly status: number
  /** `WWW-Authenticate`, as it came. */
  readonly challenge: string | undefined
}

/** Keeps the tokens of grants: in memory for calls, durable before they are used, refreshed before they run out. */
export interface Keeper {
  readonly grants: ReadonlyMap<string, Grant>
  /** Of the process, or as another one on the same database has stored it meanwhile. */
  reload(name: string): Promise<Grant | undefined>
  /**
   * Changes what is stored, by a function of it that may be asked again when another was faster; undefined: leave it.
   * @returns what is stored then, durably
   * @throws Fault `conflict`
   */
  update(name: string, change: (stored: Grant | undefined) => Grant | undefined): Promise<Grant | undefined>
  remove(name: string): Promise<void>
  /** The token that can go on the wire at this moment, if there is one. A token close to its end is refreshed meanwhile. */
  readonly current: (name: string, origin: string) => SecretValue | undefined
  /** The same, with all that can be done without a user; else one public sentence that says what to do. */
  readonly ready: (name: string, purpose: Purpose) => Promise<Result<SecretValue, string>>
  /** @returns ok: send it again; undefined: that was not about the grant; else one public sentence */
  readonly refused: (name: string, how: Refused) => Promise<Result<void, string | undefined>>
  close(): void
}

export interface KeeperDeps {
  readonly store: GrantStore
  readonly clock: Clock
  readonly log: Log
  readonly fetcherFor: (serverOrigin: string) => Fetcher
}

const SWEEP_MS = 20_000
/** Tokens of servers that nobody has asked for an hour are refreshed when somebody does. */
const IN_USE_MS = 3600_000
const RETRY_MS = 10_000
/** Longer than a token endpoint may take; a process that ends meanwhile leaves the others waiting no longer than this. */
const LEASE_MS = 40_000
const LOOK_MS = 200
const MAX_TRIES = 20
/** So often may a server refuse a token that has not run out. */
const MAX_RENEWALS = 5
const RENEWALS_WITHIN_MS = 60_000
/** Just as much as a request may be on its way. */
const MARGIN_MS = 2000

const hasTokensOf = (one: Grant, other: Grant): boolean =>
  one.uid === other.uid && one.tokens?.obtainedAtMs === other.tokens?.obtainedAtMs

/** How a user makes a grant usable. */
export const mendCommand = (name: string, server: string): string =>
  `castellan grant oauth ${name.replace(/^oauth:/, '')} --server ${server}`

export async function createKeeper(deps: KeeperDeps): Promise<Keeper> {
  const { store, clock, log } = deps
  const grants = new Map((await store.list()).map((grant) => [grant.name, grant]))
  const usedTicks = new Map<string, number>()
  const retryTicks = new Map<string, number>()
  const renewals = new Map<string, readonly number[]>()
  const refreshing = new Map<string, Promise<Result<Grant, string>>>()
  const timer = setInterval(refreshThoseInUse, SWEEP_MS)
  timer.unref()

  async function reload(name: string): Promise<Grant | undefined> {
    const stored = await store.find(name)
    const known = grants.get(name)
    // The same version is the same object: which token a request was sent with is told by identity.
    if (stored !== undefined && known?.uid === stored.uid && known.version >= stored.version) return known
    if (stored === undefined) grants.delete(name)
    else grants.set(name, stored)
    return stored
  }

  async function update(
    name: string,
    change: (stored: Grant | undefined) => Grant | undefined,
  ): Promise<Grant | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const stored = await reload(name)
      const changed = change(stored)
      if (changed === undefined) return stored
      const next = { ...changed, version: (stored?.version ?? 0) + 1 }
      if (!(await store.save(next))) continue
      grants.set(name, next)
      return next
    }
    throw new Fault('conflict', { hint: 'the grant is being changed by many at once; try again' })
  }

  /** Notes what is wrong with it, once. */
  async function trouble(grant: Grant, kind: Trouble['kind'], message: string): Promise<string> {
    await update(grant.name, (stored) => {
      if (stored === undefined || !hasTokensOf(stored, grant)) return undefined
      const { demanded } = grant
      if (stored.trouble?.message === message && stored.demanded.length === demanded.length) return undefined
      log.warn({ grant: grant.name, server: grant.server, trouble: kind }, 'a grant needs somebody')
      return { ...stored, demanded, trouble: { kind, message, atMs: clock.nowMs() } }
    })
    return message
  }

  const isExpired = ({ tokens }: Grant): boolean =>
    tokens?.expiresAtMs !== undefined && clock.nowMs() >= tokens.expiresAtMs - MARGIN_MS

  function isDue({ tokens }: Grant): boolean {
    if (tokens?.expiresAtMs === undefined || tokens.refresh === undefined) return false
    const life = tokens.expiresAtMs - tokens.obtainedAtMs
    return clock.nowMs() >= tokens.expiresAtMs - Math.min(life / 4, 300_000)
  }

  /** One at a time for each grant, however many calls wait for it. */
  function refresh(grant: Grant): Promise<Result<Grant, string>> {
    const running = refreshing.get(grant.name)
    if (running !== undefined) return running
    const run = refreshOnce(grant).finally(() => refreshing.delete(grant.name))
    refreshing.set(grant.name, run)
    return run
  }

  async function refreshOnce(known: Grant): Promise<Result<Grant, string>> {
    const { grant, mine } = await claim(known)
    if (grant === undefined) return err(`the grant ${known.name} has been taken back`)
    if (!mine) return ok(grant)
    const { tokens, authorizationServer } = grant
    const client = grant.clients[authorizationServer.issuer]
    if (tokens?.refresh === undefined || client === undefined) return err(await loginNeeded(grant))
    const issued = await refreshTokens(
      {
        authorizationServer,
        client,
        resource: grant.resource.identifier,
        fetcher: deps.fetcherFor(grant.origin),
        nowMs: clock.nowMs,
      },
      tokens.refresh,
    )
    if (issued.ok) return ok(await keep(grant, issued.value))
    retryTicks.set(grant.name, clock.tickMs() + RETRY_MS)
    log.warn({ grant: grant.name, reason: issued.error.message }, 'a grant could not be refreshed')
    await update(grant.name, (stored) => stored && { ...stored, renewingUntilMs: undefined })
    return err(issued.error.final ? await loginNeeded(grant, issued.error.message) : issued.error.message)
  }

  /** A refresh token may be good for one use: of all processes on the database, one uses it. */
  async function claim(known: Grant): Promise<{ readonly grant: Grant | undefined; readonly mine: boolean }> {
    for (;;) {
      let mine = false
      const grant = await update(known.name, (stored) => {
        mine = stored !== undefined && hasTokensOf(stored, known) && !isBeingRenewed(stored)
        return mine && stored !== undefined
          ? { ...stored, renewingUntilMs: clock.nowMs() + LEASE_MS }
          : undefined
      })
      if (mine || grant === undefined || !hasTokensOf(grant, known)) return { grant, mine }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  const isBeingRenewed = ({ renewingUntilMs }: Grant): boolean =>
    renewingUntilMs !== undefined && renewingUntilMs > clock.nowMs()

  /** A rotated refresh token is durable before its access token is used: the old one may be worth nothing by now. */
  async function keep(grant: Grant, { tokens, scopes }: Issued): Promise<Grant> {
    const kept = await update(grant.name, (stored) => {
      // Taken back, or authorized anew, while the authorization server was asked.
      if (stored === undefined || !hasTokensOf(stored, grant)) return undefined
      const trouble = stored.trouble?.kind === 'login' ? undefined : stored.trouble
      return { ...stored, tokens, granted: scopes ?? stored.granted, trouble, renewingUntilMs: undefined }
    })
    log.info({ grant: grant.name }, 'a grant was refreshed')
    return kept ?? grant
  }

  const loginNeeded = (grant: Grant, why = 'its token is no longer taken'): Promise<string> =>
    trouble(
      grant,
      'login',
      `the grant ${grant.name} has to be authorized again (${why}): ${mendCommand(grant.name, grant.server)}`,
    )

  function refreshThoseInUse(): void {
    const [now, oldest] = [clock.tickMs(), clock.tickMs() - IN_USE_MS]
    for (const [name, tick] of usedTicks) {
      const grant = grants.get(name)
      if (tick < oldest || grant === undefined) usedTicks.delete(name)
      else if (isDue(grant) && now >= (retryTicks.get(name) ?? 0)) refreshQuietly(grant)
    }
  }

  function refreshQuietly(grant: Grant): void {
    refresh(grant).catch((thrown: unknown) =>
      log.error({ err: thrown, grant: grant.name }, 'refresh met a bug'),
    )
  }

  function current(name: string, origin: string): SecretValue | undefined {
    const grant = grants.get(name)
    if (grant?.tokens === undefined || grant.origin !== origin || grant.trouble?.kind === 'login')
      return undefined
    usedTicks.set(name, clock.tickMs())
    if (isExpired(grant)) return undefined
    if (isDue(grant) && clock.tickMs() >= (retryTicks.get(name) ?? 0)) refreshQuietly(grant)
    return grant.tokens.access
  }

  async function ready(name: string, purpose: Purpose): Promise<Result<SecretValue, string>> {
    const now = current(name, purpose.origin)
    if (now !== undefined) return ok(now)
    const grant = await reload(name)
    const again = current(name, purpose.origin)
    if (again !== undefined) return ok(again)
    const command = mendCommand(name, purpose.server)
    if (grant === undefined) return err(`it needs the grant ${name}, which nobody has given yet: ${command}`)
    if (grant.origin !== purpose.origin)
      return err(`the grant ${name} is for another origin and is not sent to this one: ${command}`)
    if (grant.tokens === undefined || grant.trouble?.kind === 'login')
      return err(grant.trouble?.message ?? `the grant ${name} has not been authorized: ${command}`)
    const refreshed = await refresh(grant)
    if (!refreshed.ok) return refreshed
    const token = current(name, purpose.origin)
    return token === undefined ? err(`the grant ${name} has run out: ${command}`) : ok(token)
  }

  async function refused(
    name: string,
    { used, status, challenge }: Refused,
  ): Promise<Result<void, string | undefined>> {
    const grant = grants.get(name)
    if (grant === undefined) return err(undefined)
    if (grant.tokens !== undefined && used !== undefined && grant.tokens.access !== used) return ok(undefined)
    const { error, scopes } = readChallenge(challenge)
    if (error === 'insufficient_scope') return err(await scopeNeeded(grant, scopes))
    if (status !== 401 || grant.tokens === undefined) return err(undefined)
    if (grant.tokens.refresh === undefined || !mayRenew(name)) return err(await loginNeeded(grant))
    const refreshed = await refresh(grant)
    return refreshed.ok ? ok(undefined) : refreshed
  }

  /** A server that refuses one new token after the other will not take the next one either. */
  function mayRenew(name: string): boolean {
    if (refreshing.has(name)) return true
    const oldest = clock.tickMs() - RENEWALS_WITHIN_MS
    const recent = (renewals.get(name) ?? []).filter((tick) => tick > oldest)
    renewals.set(name, [...recent, clock.tickMs()])
    return recent.length < MAX_RENEWALS
  }

  /** A step up needs the user. One that was asked for and granted, and did not help, is not proposed again. */
  function scopeNeeded(grant: Grant, scopes: readonly string[]): Promise<string> {
    if (scopes.every((scope) => grant.requested.includes(scope))) {
      const message = `the server demands more of the grant ${grant.name} than it names, or what it has been authorized for; whoever runs the server can say why`
      return trouble(grant, 'refused', message)
    }
    const demanded = [...new Set([...grant.demanded, ...scopes])]
    const message = `the server demands more scopes of the grant ${grant.name}; to give them: ${mendCommand(grant.name, grant.server)}`
    return trouble({ ...grant, demanded }, 'scope', message)
  }

  return {
    grants,
    reload,
    update,
    current,
    ready,
    refused,
    async remove(name) {
      await store.remove(name)
      grants.delete(name)
    },
    close: () => clearInterval(timer),
  }
}
