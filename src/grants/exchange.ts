import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Log } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import type { Fetcher } from '../oauth/client/guarded-fetch.ts'
import { unusable, type Issued, type TokenFailure } from '../oauth/client/token-answer.ts'
import { exchangesTokens, exchangeToken, type Subject } from '../oauth/client/token-exchange.ts'
import { openClient } from './authorized-grant.ts'
import { noSignIn, notPrepared, refusedExchange, signInOver } from './exchange-problems.ts'
import type { Grant, HeldClient, OAuthState } from './grant.ts'
import type { HeldSecret } from './held-secret.ts'
import { SHARED, type Holder } from './holder.ts'
import type { Keeper } from './keeper.ts'
import type { Recorded } from './recorded.ts'
import { boundElsewhere, hopeless } from './mend.ts'
import { isBoundTo } from './origins.ts'
import { AHEAD_MS, MARGIN_MS, type Renewal } from './renewal.ts'
import { ID_TOKEN, isOf, signInKey, type LiveSignIn } from './sign-in-grant.ts'
import { createTurns } from './turns.ts'
import type { GrantProblem, Purpose, Wanted } from './wanted.ts'

/** Gets what an authorization server gives for the sign-in of whoever calls (RFC 8693): what `whose: caller` says. */
export interface Exchange {
  /**
   * Once for all who wait. What it gets is in memory, for this holder and as long as their sign-in at most.
   *
   * @returns a problem with `connect` where the caller can connect an account of their own instead
   */
  readonly obtain: (wanted: Wanted, purpose: Purpose) => Promise<Result<Grant, GrantProblem>>
  /** What is close to its end is exchanged anew meanwhile, without anybody waiting. */
  readonly ahead: (wanted: Wanted, grant: Grant, origin: string) => void
  /** Somebody's sign-in has ended: nothing that came of it is sent any more. Undefined: of everybody. */
  forget(holder: Holder | undefined): void
}

export interface ExchangeDeps {
  readonly keeper: Pick<Keeper, 'peek' | 'find' | 'hold' | 'drop'>
  readonly renewal: Pick<Renewal, 'renew'>
  readonly clock: Clock
  readonly log: Log
  readonly fetcherFor: (origin: string, hosts?: readonly string[]) => Fetcher
  readonly recorded: Recorded
  readonly signIns: SignInSource
}

/** Who is signed in; `main` knows. */
export interface SignInSource {
  /** At an identity provider whose tokens are kept. */
  readonly of: (holder: Holder) => LiveSignIn | undefined
  /** Sealed in memory, for a grant that is not stored. */
  readonly seal: (uid: string, field: string, value: SecretValue) => HeldSecret
}

type Exchanged<T> = Result<T, TokenFailure>

/** Requests to one authorization server at one time. */
const AT_ONCE = 8
/** What an authorization server that does not say how long is good for. */
const UNSAID_MS = 60_000
/** A refusal is believed for so long, unless something has changed. */
const REFUSED_MS = 60_000
/** One that is away is left alone, by everybody. */
const AWAY_MS = 2000
const MAX_REMEMBERED = 20_000

interface Failed {
  readonly untilTick: number
  /** Of what was shown, and as whom. */
  readonly versions: string
  readonly problem: GrantProblem
}

/** All that an exchange needs. */
interface Means {
  readonly shared: Grant
  readonly oauth: OAuthState
  readonly client: HeldClient
  readonly signIn: LiveSignIn
  readonly kept: Grant
}

export function createExchange(deps: ExchangeDeps): Exchange {
  const { keeper, renewal, clock, log, signIns } = deps
  const running = new Map<string, Promise<Result<Grant, GrantProblem>>>()
  const failures = new Map<string, Failed>()
  const away = new Map<string, { readonly untilTick: number; readonly failure: TokenFailure }>()
  const held = new Map<Holder, Set<string>>()
  const turns = createTurns(AT_ONCE)

  function obtain(wanted: Wanted, purpose: Purpose): Promise<Result<Grant, GrantProblem>> {
    const going = running.get(wanted.key)
    if (going !== undefined) return going
    const run = obtainOnce(wanted, purpose).finally(() => running.delete(wanted.key))
    running.set(wanted.key, run)
    return run
  }

  async function obtainOnce(wanted: Wanted, purpose: Purpose): Promise<Result<Grant, GrantProblem>> {
    const means = await meansFor(wanted, purpose)
    if (!means.ok) return means
    const { shared, kept } = means.value
    const versions = `${shared.uid}.${shared.version} ${kept.uid}.${kept.oauth?.tokens?.obtainedAtMs ?? 0}`
    const failed = failures.get(wanted.key)
    if (failed?.versions === versions && clock.tickMs() < failed.untilTick) return err(failed.problem)
    const subject = await subjectOf(means.value, wanted, purpose)
    if (!subject.ok) return subject
    const issued = await exchanged(means.value, subject.value, { wanted, purpose })
    if (!issued.ok) return err(failedFor(wanted, versions, refusedExchange(wanted, purpose, issued.error)))
    failures.delete(wanted.key)
    // Whoever has signed out while it was under way has nothing, and whoever has connected an account has that.
    if (signIns.of(wanted.holder) === undefined) return err(noSignIn(wanted, purpose))
    const own = keeper.peek(wanted.key)
    if (own !== undefined && isConnected(own)) return ok(own)
    const grant = grantOf({ wanted, purpose }, means.value, issued.value)
    keeper.hold(grant)
    note(wanted)
    return ok(grant)
  }

  async function meansFor(wanted: Wanted, purpose: Purpose): Promise<Result<Means, GrantProblem>> {
    const shared = await keeper.find({ profile: wanted.profile, holder: SHARED, name: wanted.name })
    const oauth = shared?.oauth
    const client = oauth?.clients[oauth.authorizationServer.issuer]
    if (shared === undefined || oauth === undefined || client === undefined)
      return err(notPrepared(wanted, purpose))
    if (!exchangesTokens(oauth.authorizationServer)) return err(notPrepared(wanted, purpose))
    if (!isBoundTo(shared.origins, purpose.origin)) return err(hopeless(boundElsewhere(wanted.name)))
    const signIn = signIns.of(wanted.holder)
    const kept = signIn && (await keeper.find(signInKey(wanted.holder)))
    if (signIn === undefined || kept === undefined || !isOf(kept, signIn))
      return err(noSignIn(wanted, purpose))
    return ok({ shared, oauth, client, signIn, kept })
  }

  /** What is shown of the sign-in: renewed first, where it has run out. */
  async function subjectOf(
    { shared, kept }: Means,
    wanted: Wanted,
    purpose: Purpose,
  ): Promise<Result<Subject, GrantProblem>> {
    const type = shared.settings['exchange'] === 'access_token' ? 'access_token' : 'id_token'
    const shown = (token: SecretValue): Result<Subject, GrantProblem> =>
      ok({ token, type, audience: shared.settings['audience'], scopes: scopesFor(shared, wanted) })
    const token = freshToken(kept, type)
    if (token !== undefined) return shown(token)
    if (kept.oauth?.tokens?.refresh === undefined || kept.trouble !== undefined)
      return err(signInOver(wanted, purpose))
    const renewed = await renewal.renew(kept)
    if (renewed.ok) {
      const next = freshToken(renewed.value, type)
      return next === undefined ? err(signInOver(wanted, purpose)) : shown(next)
    }
    const isOver = (await keeper.find(kept))?.trouble !== undefined
    return err(isOver ? signInOver(wanted, purpose) : hopeless(renewed.error))
  }

  function freshToken(kept: Grant, type: 'id_token' | 'access_token'): SecretValue | undefined {
    const tokens = kept.oauth?.tokens
    const [secret, end] =
      type === 'id_token' ? [kept.values[ID_TOKEN], kept.expiresAtMs] : [tokens?.access, tokens?.expiresAtMs]
    if (secret === undefined || (end !== undefined && end - MARGIN_MS <= clock.nowMs())) return undefined
    return opened(secret)
  }

  /** Scopes that a server has demanded since are asked for with the next exchange. */
  function scopesFor({ oauth }: Grant, { key }: Wanted): readonly string[] {
    return [...new Set([...(oauth?.requested ?? []), ...(keeper.peek(key)?.oauth?.demanded ?? [])])]
  }

  async function exchanged(
    { oauth, shared, client, kept }: Means,
    subject: Subject,
    { wanted, purpose }: { readonly wanted: Wanted; readonly purpose: Purpose },
  ): Promise<Exchanged<Issued>> {
    const { authorizationServer, resource, hosts } = oauth
    const place = new URL(authorizationServer.token_endpoint).origin
    const source = {
      authorizationServer,
      client: openClient(client),
      resource: resource.identifier,
      fetcher: deps.fetcherFor(shared.origins[0] ?? '', hosts),
      nowMs: clock.nowMs,
    }
    const about = {
      doing: 'exchange',
      holder: wanted.holder,
      profile: wanted.profile,
      name: wanted.name,
      server: purpose.server,
    } as const
    return turns.take(place, async () => {
      const known = away.get(place)
      if (known !== undefined && clock.tickMs() < known.untilTick) return err(known.failure)
      const issued = await deps.recorded(about, async () => {
        const answer = await exchangeToken(source, subject)
        return answer.ok ? checked(answer.value, [subject.token, ...secretsOf(kept)]) : answer
      })
      if (issued.ok || issued.error.isAway !== true) away.delete(place)
      else away.set(place, { untilTick: clock.tickMs() + AWAY_MS, failure: issued.error })
      return issued
    })
  }

  /** The sign-in itself is no token for a server, whoever says so: nobody's credential is passed on. */
  function checked(issued: Issued, own: readonly SecretValue[]): Exchanged<Issued> {
    const { access, expiresAtMs } = issued.tokens
    if (own.some((one) => one.equals(access))) return unusable('it is the sign-in itself, and no other token')
    if (expiresAtMs !== undefined && expiresAtMs - MARGIN_MS <= clock.nowMs())
      return unusable('its token ends at once')
    return ok(issued)
  }

  function grantOf(
    { wanted, purpose }: { readonly wanted: Wanted; readonly purpose: Purpose },
    { shared, oauth, signIn }: Means,
    { tokens, scopes }: Issued,
  ): Grant {
    const { profile, holder, name } = wanted
    const requested = scopesFor(shared, wanted)
    const endMs = Math.min(tokens.expiresAtMs ?? tokens.obtainedAtMs + UNSAID_MS, signIn.untilMs)
    const access = signIns.seal(shared.uid, `exchanged for ${wanted.key}`, tokens.access)
    return {
      ...shared,
      profile,
      holder,
      name,
      server: purpose.server,
      source: 'exchange',
      values: {},
      settings: {},
      oauth: {
        ...oauth,
        clients: {},
        requested,
        granted: scopes ?? requested,
        tokens: { access, refresh: undefined, expiresAtMs: endMs, obtainedAtMs: tokens.obtainedAtMs },
        demanded: requested.filter((scope) => !oauth.requested.includes(scope)),
      },
      trouble: undefined,
      renewing: undefined,
      version: 0,
    }
  }

  function failedFor(
    { key }: Wanted,
    versions: string,
    { problem, final }: ReturnType<typeof refusedExchange>,
  ): GrantProblem {
    // More was asked for than there is: what there is can be asked for again.
    if (final && (keeper.peek(key)?.oauth?.demanded.length ?? 0) > 0) {
      keeper.drop(key)
      return hopeless(problem.message)
    }
    if (failures.size >= MAX_REMEMBERED) failures.clear()
    failures.set(key, { untilTick: clock.tickMs() + (final ? REFUSED_MS : AWAY_MS), versions, problem })
    return problem
  }

  function note({ holder, key }: Wanted): void {
    if (held.size >= MAX_REMEMBERED)
      for (const [one, keys] of held)
        if (![...keys].some((each) => keeper.peek(each)?.source === 'exchange')) held.delete(one)
    held.set(holder, (held.get(holder) ?? new Set()).add(key))
  }

  function ahead(wanted: Wanted, grant: Grant, origin: string): void {
    const tokens = grant.oauth?.tokens
    if (tokens?.expiresAtMs === undefined || running.has(wanted.key)) return
    const early = Math.min((tokens.expiresAtMs - tokens.obtainedAtMs) / 4, AHEAD_MS)
    if (clock.nowMs() < tokens.expiresAtMs - early) return
    if (clock.tickMs() < (failures.get(wanted.key)?.untilTick ?? 0)) return
    // What ends with the sign-in cannot be had for longer.
    if (tokens.expiresAtMs >= (signIns.of(wanted.holder)?.untilMs ?? 0)) return
    obtain(wanted, { server: grant.server ?? '', origin }).catch((thrown: unknown) =>
      log.error({ err: thrown, grant: wanted.name }, 'an exchange met a bug'),
    )
  }

  return {
    obtain,
    ahead,
    forget(holder) {
      for (const one of holder === undefined ? held.keys() : [holder]) {
        for (const key of held.get(one) ?? []) if (keeper.peek(key)?.source === 'exchange') keeper.drop(key)
        held.delete(one)
      }
    },
  }
}

/** An account that somebody has connected, and has not only begun to. */
export const isConnected = ({ source, oauth, trouble }: Grant): boolean =>
  source !== 'exchange' && (oauth === undefined || oauth.tokens !== undefined || trouble !== undefined)

function opened(secret: HeldSecret | undefined): SecretValue | undefined {
  try {
    return secret?.open()
  } catch (thrown) {
    // Sealed by a master key that is gone: a next sign-in brings another.
    if (!(thrown instanceof Fault)) throw thrown
    return undefined
  }
}

const secretsOf = ({ values, oauth }: Grant): readonly SecretValue[] =>
  [values[ID_TOKEN], oauth?.tokens?.access, oauth?.tokens?.refresh].flatMap((one) => opened(one) ?? [])
