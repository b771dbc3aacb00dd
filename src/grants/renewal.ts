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
import type { Doing, Recorded } from './recorded.ts'
import { idTokenIn, isSignIn } from './sign-in-grant.ts'
import { createTurns } from './turns.ts'
import { forgetUnknownClient } from './unknown-client.ts'

/** Renews grants ahead of their end and when they are refused: once for all who wait, in all processes. */
export interface Renewal {
  /** Whether it is close to its end, and could be renewed. */
  isDue(grant: Grant): boolean
  /** One at a time for each grant, however many wait for it. @returns the grant with another token, else one public sentence */
  renew(grant: Grant): Promise<Result<Grant, string>>
  /** Without anybody waiting; not right after it has failed, and not while many wait already. */
  renewQuietly(grant: Grant): void
  /** Renews what of these is due, a few at a time. Resolves when it has been through; never rejects. */
  renewDue(known: Iterable<Grant>): Promise<void>
  /** A server that refuses one token after the other will not take the next one either. */
  mayRenew(grant: Grant): boolean
  /** Notes what is wrong with it, once. @returns the message */
  trouble(grant: Grant, trouble: Omit<Trouble, 'atMs'>): Promise<string>
}

export interface RenewalDeps {
  readonly keeper: Pick<Keeper, 'peek' | 'update' | 'reload' | 'remove'>
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
/** What nobody waits for and does not find room here is renewed a little later. */
const MAX_QUIET = 64
/** A new token that cannot be written down is tried again: the one before may be worth nothing by now. */
const WRITE_AGAIN_MS = 500
/** Just as much as a request may be on its way: a token is not sent in the last moments of its life. */
export const MARGIN_MS = 2000
/** Before its end, and no more than a quarter of its life. */
export const AHEAD_MS = 300_000

export function createRenewal(deps: RenewalDeps): Renewal {
  const { keeper, clock, log } = deps
  const running = new Map<string, Promise<Result<Grant, string>>>()
  const pauses = new Map<
    string,
    { readonly untilTick: number; readonly ms: number; readonly problem: string }
  >()
  const renewals = new Map<string, readonly number[]>()
  const turns = createTurns(AT_ONCE)
  /** Places at which what is due is being renewed: one that does not answer holds up nobody else. */
  const sweeping = new Set<string>()

  function isDue(grant: Grant): boolean {
    const life = lifeOf(grant)
    if (life === undefined) return false
    const ahead = Math.min((life.toMs - life.fromMs) / 4, AHEAD_MS)
    const leftMs = life.toMs - MARGIN_MS - clock.nowMs()
    // Those that were issued together are not renewed together.
    return leftMs <= ahead && leftMs <= ahead * (1 - spreadOf(grant.uid) / 2)
  }

  function renew(grant: Grant, quiet = false): Promise<Result<Grant, string>> {
    const key = keyOf(grant)
    const going = running.get(key)
    if (going !== undefined) return going
    const pause = pauses.get(key)
    if (pause !== undefined && clock.tickMs() < pause.untilTick) return Promise.resolve(err(pause.problem))
    const run = renewInTurn(grant, quiet).finally(() => running.delete(key))
    running.set(key, run)
    return run
  }

  /**
   * Claimed when its turn has come and not before: in a long queue, what was claimed at its end would be another's long
   * before its turn.
   */
  async function renewInTurn(known: Grant, quiet: boolean): Promise<Result<Grant, string>> {
    // A process that lives no more renews nothing: what it had begun is begun again at once, while an old token may
    // still be taken.
    const gone = new Set<string>()
    for (;;) {
      const done = await turns.take(
        placeOf(known),
        async () => {
          const claimed = await claim(known, gone)
          return claimed.waitsFor === undefined ? renewClaimed(known, claimed) : claimed.waitsFor
        },
        quiet,
      )
      if (typeof done !== 'string') return done
      if ((await deps.goneOf([done])).includes(done)) gone.add(done)
      else await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  async function renewClaimed(known: Grant, { grant, mine }: Claimed): Promise<Result<Grant, string>> {
    if (grant === undefined) return err(`the grant ${known.name} has been taken back`)
    if (!mine) return ok(grant)
    if (isSignIn(grant)) return renewSignIn(grant)
    const login = loginRefresh(grant)
    if (login !== undefined) return renewLoginOf(grant, login)
    const source = sourceOf(grant)
    if (source === undefined) return err(await trouble(grant, loginNeeded(grant, NOT_TAKEN)))
    const issued = await deps.recorded(refreshOf(grant), () =>
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
    const done = await deps.recorded(refreshOf(grant), () => renewLogin(grant, refresh, { sender, clock }))
    if (!done.ok) return err(await failed(grant, done.error))
    return ok(await kept(grant, (stored) => ({ ...stored, ...done.value })))
  }

  async function renewSignIn(grant: Grant): Promise<Result<Grant, string>> {
    const issued = await deps.recorded(refreshOf(grant), () => deps.signIns.renew(grant))
    return issued.ok ? ok(await keep(grant, issued.value)) : err(await failed(grant, issued.error))
  }

  async function failed(
    grant: Grant,
    { message, final }: { readonly message: string; readonly final: boolean },
  ): Promise<string> {
    const key = keyOf(grant)
    const ms = Math.min((pauses.get(key)?.ms ?? FIRST_PAUSE_MS / 2) * 2, MAX_PAUSE_MS)
    if (pauses.size > MAX_REMEMBERED) pauses.clear()
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
  async function claim(known: Grant, gone: ReadonlySet<string>): Promise<Claimed> {
    let mine = false
    let waitsFor: string | undefined
    const grant = await keeper.update(
      known,
      (stored) => {
        const isWanted = stored !== undefined && hasTokensOf(stored, known)
        waitsFor = isWanted ? renewerOf(stored, gone) : undefined
        mine = isWanted && waitsFor === undefined
        return mine && stored !== undefined
          ? { ...stored, renewing: { by: deps.self, untilMs: clock.nowMs() + LEASE_MS } }
          : undefined
      },
      false,
    )
    return { grant, mine, waitsFor }
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
    const after = await written(() =>
      keeper.update(
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
      ),
    )
    pauses.delete(keyOf(grant))
    log.info({ grant: grant.name }, 'a grant was refreshed')
    return after ?? grant
  }

  /** As long as nobody else may try, whatever becomes of the database meanwhile. */
  async function written<T>(write: () => Promise<T>): Promise<T> {
    const untilTick = clock.tickMs() + LEASE_MS
    for (;;) {
      try {
        return await write()
      } catch (thrown) {
        if (clock.tickMs() >= untilTick) throw thrown
        log.warn({ err: thrown }, 'a refreshed grant cannot be written yet')
      }
      await new Promise((resolve) => setTimeout(resolve, WRITE_AGAIN_MS))
    }
  }

  const isPaused = (grant: Grant): boolean => clock.tickMs() < (pauses.get(keyOf(grant))?.untilTick ?? 0)

  /** Nobody waits for it. Never rejects. */
  async function renewUnasked(grant: Grant): Promise<void> {
    if (isPaused(grant)) return
    try {
      await renew(grant, true)
    } catch (thrown) {
      // The database is away, or it does not open.
      log.warn({ err: thrown, grant: grant.name }, 'a grant could not be refreshed ahead of its end')
    }
  }

  async function renewDueAt(place: string, due: readonly Grant[]): Promise<void> {
    const left = due.values()
    const work = async (): Promise<void> => {
      for (const grant of left) {
        // What has become of it while the others had their turn.
        const known = keeper.peek(keyOf(grant))
        if (known !== undefined && isDue(known)) await renewUnasked(known)
      }
    }
    sweeping.add(place)
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    sweeping.delete(place)
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
    renew: (grant) => renew(grant),
    renewQuietly(grant) {
      if (running.has(keyOf(grant)) || turns.quietAt(placeOf(grant)) >= MAX_QUIET) return
      void renewUnasked(grant)
    },
    async renewDue(known) {
      const due = [...known].filter(isDue)
      const places = Map.groupBy(due, placeOf)
      const idle = [...places].filter(([place]) => !sweeping.has(place))
      await Promise.all(idle.map(([place, grants]) => renewDueAt(place, grants)))
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

interface Claimed {
  readonly grant: Grant | undefined
  readonly mine: boolean
  /** Another process renews it at this moment. */
  readonly waitsFor: string | undefined
}

const refreshOf = ({ holder, profile, name, server }: Grant): Doing => ({
  doing: 'refresh',
  holder,
  profile,
  name,
  server,
})

/** Where it is renewed. */
function placeOf(grant: Grant): string {
  const endpoint = grant.oauth?.authorizationServer.token_endpoint ?? loginRefresh(grant)?.tokenEndpoint
  return endpoint === undefined ? '' : new URL(endpoint).origin
}

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
