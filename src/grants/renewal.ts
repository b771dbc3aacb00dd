import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Fetcher } from '../oauth/client/guarded-fetch.ts'
import type { Issued, TokenFailure } from '../oauth/client/token-answer.ts'
import { refreshTokens } from '../oauth/client/token-endpoint.ts'
import { heldTokens, openClient } from './authorized-grant.ts'
import { keyOf, type Grant, type Trouble } from './grant.ts'
import type { Keeper } from './keeper.ts'
import { loginLife, loginRefresh, renewLogin } from './login-renewal.ts'
import { loginNeeded } from './mend.ts'
import type { Refresh } from './providers/define-provider.ts'
import type { Recorded } from './recorded.ts'
import { idTokenIn, isSignIn } from './sign-in-grant.ts'
import { createTurns } from './turns.ts'
import { forgetUnknownClient } from './unknown-client.ts'

/** Renews grants ahead of their end and when they are refused: once for all who wait, in all processes. */
export interface Renewal {
  /** Whether it is close to its end, and could be renewed. */
  isDue(grant: Grant): boolean
  /** One at a time for each grant, however many wait for it. @returns the grant with another token, else one public sentence */
  renew(grant: Grant): Promise<Result<Grant, string>>
  /** Without anybody waiting; not right after it has failed. */
  renewQuietly(grant: Grant): void
  /** A server that refuses one token after the other will not take the next one either. */
  mayRenew(grant: Grant): boolean
  /** Notes what is wrong with it, once. @returns the message */
  trouble(grant: Grant, trouble: Omit<Trouble, 'atMs'>): Promise<string>
}

export interface RenewalDeps {
  readonly keeper: Pick<Keeper, 'update'>
  readonly clock: Clock
  readonly log: Log
  readonly fetcherFor: (origin: string, hosts: readonly string[]) => Fetcher
  readonly recorded: Recorded
  /** What came with a sign-in is renewed by whoever knows its provider. */
  readonly signIns: { readonly renew: (grant: Grant) => Promise<Result<Issued, TokenFailure>> }
  /** Boot epoch of this process. */
  readonly self: string
  /** Which of these processes live no more. */
  readonly goneOf: (nodes: readonly string[]) => Promise<readonly string[]>
}

/** The reference of token endpoints: `1 → 60 s` between attempts. */
const FIRST_PAUSE_MS = 1000
const MAX_PAUSE_MS = 60_000
/** Longer than a token endpoint may take; a process that ends meanwhile leaves the others waiting no longer than this. */
const LEASE_MS = 40_000
const LOOK_MS = 100
/** So often may a server refuse a token that has not run out. */
const MAX_RENEWALS = 5
const RENEWALS_WITHIN_MS = 60_000
/** Requests to one token endpoint at one time: thousands of grants can run out together. */
const AT_ONCE = 8
/** Just as much as a request may be on its way: a token is not sent in the last moments of its life. */
export const MARGIN_MS = 2000
/** Before its end, and no more than a quarter of its life. */
const AHEAD_MS = 300_000

export function createRenewal(deps: RenewalDeps): Renewal {
  const { keeper, clock, log } = deps
  const running = new Map<string, Promise<Result<Grant, string>>>()
  const pauses = new Map<
    string,
    { readonly untilTick: number; readonly ms: number; readonly problem: string }
  >()
  const renewals = new Map<string, readonly number[]>()
  const turns = createTurns(AT_ONCE)

  function isDue(grant: Grant): boolean {
    const life = lifeOf(grant)
    if (life === undefined) return false
    const ahead = Math.min((life.toMs - life.fromMs) / 4, AHEAD_MS)
    // Those that were issued together are not renewed together.
    return clock.nowMs() >= life.toMs - MARGIN_MS - ahead * (1 - spreadOf(grant.uid) / 2)
  }

  function renew(grant: Grant): Promise<Result<Grant, string>> {
    const key = keyOf(grant)
    const going = running.get(key)
    if (going !== undefined) return going
    const pause = pauses.get(key)
    if (pause !== undefined && clock.tickMs() < pause.untilTick) return Promise.resolve(err(pause.problem))
    const run = renewOnce(grant).finally(() => running.delete(key))
    running.set(key, run)
    return run
  }

  async function renewOnce(known: Grant): Promise<Result<Grant, string>> {
    const { grant, mine } = await claim(known)
    if (grant === undefined) return err(`the grant ${known.name} has been taken back`)
    if (!mine) return ok(grant)
    if (isSignIn(grant)) return renewSignIn(grant)
    const login = loginRefresh(grant)
    if (login !== undefined) return renewLoginOf(grant, login)
    const source = sourceOf(grant)
    if (source === undefined) return err(await trouble(grant, loginNeeded(grant, NOT_TAKEN)))
    const issued = await inTurn(grant, source.authorizationServer.token_endpoint, () =>
      refreshTokens(
        {
          authorizationServer: source.authorizationServer,
          client: openClient(source.client),
          resource: source.resource.identifier,
          fetcher: deps.fetcherFor(grant.origins[0] ?? '', source.hosts),
          nowMs: clock.nowMs,
        },
        source.refresh.open(),
      ),
    )
    if (issued.ok) return ok(await keep(grant, issued.value))
    await forgetUnknownClient(keeper, grant, source.authorizationServer.issuer, issued.error)
    return err(await failed(grant, issued.error))
  }

  async function renewLoginOf(grant: Grant, refresh: Refresh): Promise<Result<Grant, string>> {
    const sender = deps.fetcherFor(new URL(refresh.tokenEndpoint).origin, [])
    const done = await inTurn(grant, refresh.tokenEndpoint, () =>
      renewLogin(grant, refresh, { sender, clock }),
    )
    if (!done.ok) return err(await failed(grant, done.error))
    return ok(await kept(grant, (stored) => ({ ...stored, ...done.value })))
  }

  async function renewSignIn(grant: Grant): Promise<Result<Grant, string>> {
    const endpoint = grant.oauth?.authorizationServer.token_endpoint ?? ''
    const issued = await inTurn(grant, endpoint, () => deps.signIns.renew(grant))
    return issued.ok ? ok(await keep(grant, issued.value)) : err(await failed(grant, issued.error))
  }

  const inTurn = <T>(
    { holder, name, server }: Grant,
    endpoint: string,
    work: () => Promise<Result<T, TokenFailure>>,
  ): Promise<Result<T, TokenFailure>> =>
    turns.take(new URL(endpoint).origin, () =>
      deps.recorded({ doing: 'refresh', holder, grant: name, server }, work),
    )

  async function failed(
    grant: Grant,
    { message, final }: { readonly message: string; readonly final: boolean },
  ): Promise<string> {
    const key = keyOf(grant)
    const ms = Math.min((pauses.get(key)?.ms ?? FIRST_PAUSE_MS / 2) * 2, MAX_PAUSE_MS)
    pauses.set(key, { untilTick: clock.tickMs() + ms, ms, problem: message })
    log.warn({ grant: grant.name, reason: message }, 'a grant could not be refreshed')
    await keeper.update(
      grant,
      (stored) =>
        stored && { ...stored, renewing: undefined, refreshed: { atMs: clock.nowMs(), problem: message } },
      false,
    )
    return final ? trouble(grant, loginNeeded(grant, message)) : message
  }

  /** A refresh token may be good for one use: of all processes on the database, one uses it. */
  async function claim(known: Grant): Promise<{ readonly grant: Grant | undefined; readonly mine: boolean }> {
    // A process that lives no more renews nothing: what it had begun is begun again at once, while an old token may
    // still be taken.
    const gone = new Set<string>()
    for (;;) {
      let mine = false
      let waitsFor: string | undefined
      const grant = await keeper.update(
        known,
        (stored) => {
          waitsFor = stored === undefined ? undefined : renewerOf(stored, gone)
          mine = stored !== undefined && hasTokensOf(stored, known) && waitsFor === undefined
          return mine && stored !== undefined
            ? { ...stored, renewing: { by: deps.self, untilMs: clock.nowMs() + LEASE_MS } }
            : undefined
        },
        false,
      )
      if (mine || grant === undefined || !hasTokensOf(grant, known)) return { grant, mine }
      if (waitsFor !== undefined && (await deps.goneOf([waitsFor])).includes(waitsFor)) gone.add(waitsFor)
      else await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  /** Which other process renews it at this moment. */
  function renewerOf({ renewing }: Grant, gone: ReadonlySet<string>): string | undefined {
    if (renewing === undefined || renewing.by === deps.self || gone.has(renewing.by)) return undefined
    return renewing.untilMs > clock.nowMs() ? renewing.by : undefined
  }

  /** A rotated refresh token is durable before its access token is used: the old one may be worth nothing by now. */
  const keep = (grant: Grant, issued: Issued): Promise<Grant> =>
    kept(grant, (stored) => ({
      ...stored,
      oauth: stored.oauth && { ...stored.oauth, ...heldTokens(issued, stored.oauth.granted) },
      ...idTokenIn(issued),
    }))

  async function kept(grant: Grant, renew: (stored: Grant) => Grant): Promise<Grant> {
    const after = await keeper.update(
      grant,
      (stored) => {
        // Taken back, or authorized anew, while its issuer was asked.
        if (stored === undefined || !hasTokensOf(stored, grant)) return undefined
        return {
          ...renew(stored),
          trouble: stored.trouble?.kind === 'login' ? undefined : stored.trouble,
          refreshed: { atMs: clock.nowMs(), problem: undefined },
          renewing: undefined,
        }
      },
      false,
    )
    pauses.delete(keyOf(grant))
    log.info({ grant: grant.name }, 'a grant was refreshed')
    return after ?? grant
  }

  async function trouble(grant: Grant, { kind, message }: Omit<Trouble, 'atMs'>): Promise<string> {
    await keeper.update(grant, (stored) => {
      if (stored === undefined || !hasTokensOf(stored, grant)) return undefined
      const demanded = grant.oauth?.demanded ?? []
      if (stored.trouble?.message === message && stored.oauth?.demanded.length === demanded.length)
        return undefined
      log.warn({ grant: grant.name, server: grant.server, trouble: kind }, 'a grant needs somebody')
      const oauth = stored.oauth === undefined ? undefined : { ...stored.oauth, demanded }
      return { ...stored, oauth, trouble: { kind, message, atMs: clock.nowMs() } }
    })
    return message
  }

  return {
    isDue,
    renew,
    renewQuietly(grant) {
      if (clock.tickMs() < (pauses.get(keyOf(grant))?.untilTick ?? 0)) return
      renew(grant).catch((thrown: unknown) =>
        log.error({ err: thrown, grant: grant.name }, 'refresh met a bug'),
      )
    },
    mayRenew(grant) {
      const key = keyOf(grant)
      if (running.has(key)) return true
      const oldest = clock.tickMs() - RENEWALS_WITHIN_MS
      const recent = (renewals.get(key) ?? []).filter((tick) => tick > oldest)
      if (renewals.size > MAX_REMEMBERED) renewals.clear()
      renewals.set(key, [...recent, clock.tickMs()])
      return recent.length < MAX_RENEWALS
    },
    trouble,
  }
}

const MAX_REMEMBERED = 10_000

export const NOT_TAKEN = 'its token is no longer taken'

const obtainedAt = ({ oauth, givenAtMs, renewedAtMs }: Grant): number | undefined =>
  oauth === undefined ? (renewedAtMs ?? givenAtMs) : oauth.tokens?.obtainedAtMs

const hasTokensOf = (one: Grant, other: Grant): boolean =>
  one.uid === other.uid && obtainedAt(one) === obtainedAt(other)

/** Of what can be renewed, and says how long it lives. */
function lifeOf(grant: Grant): { readonly fromMs: number; readonly toMs: number } | undefined {
  const tokens = grant.oauth?.tokens
  if (tokens?.expiresAtMs !== undefined && tokens.refresh !== undefined)
    return { fromMs: tokens.obtainedAtMs, toMs: tokens.expiresAtMs }
  const login = loginRefresh(grant)
  return login && loginLife(grant, login)
}

/** Whether there is a way to another credential without a person. */
export const canRenew = (grant: Grant): boolean =>
  grant.oauth?.tokens?.refresh !== undefined || loginRefresh(grant) !== undefined

/** 0 to 1, the same for one grant at all times and in all processes. */
function spreadOf(uid: string): number {
  let sum = 0
  for (let i = 0; i < uid.length; i++) sum = (sum * 31 + uid.charCodeAt(i)) % 65_521
  return sum / 65_521
}

function sourceOf({ oauth }: Grant) {
  const refresh = oauth?.tokens?.refresh
  const client = oauth?.clients[oauth.authorizationServer.issuer]
  if (oauth === undefined || refresh === undefined || client === undefined) return undefined
  const { authorizationServer, resource, hosts = [] } = oauth
  return { authorizationServer, resource, hosts, client, refresh }
}
