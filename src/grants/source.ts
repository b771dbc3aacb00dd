import type { Clock } from '../lib/clock.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { SecretValue } from '../lib/secret-value.ts'
import { readChallenge, type Challenge } from '../oauth/client/challenge.ts'
import { isConnected, type Exchange } from './exchange.ts'
import { exchangedInVain } from './exchange-problems.ts'
import type { Grant } from './grant.ts'
import type { Keeper } from './keeper.ts'
import {
  boundElsewhere,
  hopeless,
  isPerson,
  loginNeeded,
  mendCommand,
  problemOf,
  scopeNeeded,
  scopeRefused,
} from './mend.ts'
import { isBoundTo } from './origins.ts'
import { canRenew, MARGIN_MS, NOT_TAKEN, type Renewal } from './renewal.ts'
import type { GrantProblem, Purpose, Refused, Wanted } from './wanted.ts'

/** What calls ask for: something to send, at this moment and to this origin. */
export interface GrantSource {
  /** What can go on the wire at this moment, if there is anything. A token close to its end is renewed meanwhile. */
  readonly current: (wanted: Wanted, origin: string) => SecretValue | undefined
  /** The same, with all that can be done without a person. */
  readonly ready: (wanted: Wanted, purpose: Purpose) => Promise<Result<SecretValue, GrantProblem>>
  /** @returns ok: send it again; undefined: that was not about the grant */
  readonly refused: (wanted: Wanted, how: Refused) => Promise<Result<void, GrantProblem | undefined>>
}

export interface GrantSourceDeps {
  readonly keeper: Pick<Keeper, 'peek' | 'find' | 'reload' | 'credential' | 'hold'>
  readonly renewal: Renewal
  readonly clock: Clock
  /** Of `whose: caller`. */
  readonly obtain: Exchange['obtain']
  readonly ahead: Exchange['ahead']
  /** It was sent; called for every use. */
  readonly used: (uid: string) => void
}

export function createGrantSource(deps: GrantSourceDeps): GrantSource {
  const { keeper, renewal, clock } = deps

  const isOver = ({ oauth, expiresAtMs }: Grant): boolean => {
    const end = oauth === undefined ? expiresAtMs : oauth.tokens?.expiresAtMs
    return end !== undefined && clock.nowMs() >= end - MARGIN_MS
  }

  function current(wanted: Wanted, origin: string): SecretValue | undefined {
    const grant = keeper.peek(wanted.key)
    if (grant === undefined || grant.trouble?.kind === 'login' || !isBoundTo(grant.origins, origin))
      return undefined
    if (isOver(grant)) return undefined
    if (grant.source === 'exchange') deps.ahead(wanted, grant, origin)
    else if (renewal.isDue(grant)) renewal.renewQuietly(grant)
    const value = keeper.credential(grant)
    if (value !== undefined) deps.used(grant.uid)
    return value
  }

  async function ready(wanted: Wanted, purpose: Purpose): Promise<Result<SecretValue, GrantProblem>> {
    const now = current(wanted, purpose.origin)
    if (now !== undefined) return ok(now)
    const grant = await keeper.find(wanted)
    if (grant === undefined)
      return wanted.whose === 'caller' ? obtained(wanted, purpose) : err(none(wanted, purpose))
    const again = current(wanted, purpose.origin)
    if (again !== undefined) return ok(again)
    return revived(grant, wanted, purpose)
  }

  /** It is there, and cannot be sent as it stands. */
  async function revived(
    grant: Grant,
    wanted: Wanted,
    purpose: Purpose,
  ): Promise<Result<SecretValue, GrantProblem>> {
    const { name } = wanted
    const command = mendCommand(wanted, purpose.server)
    if (!isBoundTo(grant.origins, purpose.origin)) return err(hopeless(boundElsewhere(name)))
    if (wanted.whose === 'caller' && !isConnected(grant)) return obtained(wanted, purpose)
    if (grant.trouble?.kind === 'login') return err(problemOf(wanted, grant.trouble.message))
    if (grant.oauth === undefined && !(isOver(grant) && canRenew(grant)))
      return err(
        problemOf(
          wanted,
          isOver(grant)
            ? `the grant ${name} has run out: ${command}`
            : `the grant ${name} does not open with the present master key; give it again: ${command}`,
        ),
      )
    if (grant.oauth !== undefined && grant.oauth.tokens === undefined)
      return err(problemOf(wanted, `the grant ${name} has not been authorized: ${command}`))
    if (!isOver(grant))
      return err(
        problemOf(
          wanted,
          `the grant ${name} does not open with the present master key; authorize it again: ${command}`,
        ),
      )
    const renewed = await renewal.renew(grant)
    if (!renewed.ok) {
      const after = keeper.peek(wanted.key)
      return err(
        after?.trouble?.kind === 'login' ? problemOf(wanted, renewed.error) : hopeless(renewed.error),
      )
    }
    const token = current(wanted, purpose.origin)
    return token === undefined
      ? err(problemOf(wanted, `the grant ${name} has run out: ${command}`))
      : ok(token)
  }

  async function obtained(wanted: Wanted, purpose: Purpose): Promise<Result<SecretValue, GrantProblem>> {
    const got = await deps.obtain(wanted, purpose)
    if (!got.ok) return got
    const token = current(wanted, purpose.origin)
    return token === undefined ? err(none(wanted, purpose)) : ok(token)
  }

  async function refused(
    wanted: Wanted,
    { used, status, challenge }: Refused,
  ): Promise<Result<void, GrantProblem | undefined>> {
    // Not in memory: another process has changed it meanwhile, and this call went with what was there before.
    const grant = await keeper.find(wanted)
    if (grant === undefined) return err(undefined)
    const sent = keeper.credential(grant)
    if (sent !== undefined && used !== undefined && !sent.equals(used)) return ok(undefined)
    const { error, scopes } = readChallenge(challenge)
    if (grant.source === 'exchange') return renounced(wanted, grant, { status, error, scopes })
    if (error === 'insufficient_scope' && grant.oauth !== undefined)
      return err(await moreScopes(wanted, grant, scopes))
    if (status !== 401 || sent === undefined) return err(undefined)
    if (!canRenew(grant) || !renewal.mayRenew(grant)) {
      const why = grant.oauth === undefined ? 'the server refuses it' : NOT_TAKEN
      return err(problemOf(wanted, await renewal.trouble(grant, loginNeeded(grant, why))))
    }
    const renewed = await renewal.renew(grant)
    return renewed.ok ? ok(undefined) : err(problemOf(wanted, renewed.error))
  }

  /** What was given in exchange is no longer taken, or too little: whoever asks next gets another. */
  function renounced(
    wanted: Wanted,
    grant: Grant,
    { status, error, scopes }: Pick<Refused, 'status'> & Pick<Challenge, 'error' | 'scopes'>,
  ): Result<void, GrantProblem | undefined> {
    const { oauth } = grant
    const wantsMore = error === 'insufficient_scope'
    if (oauth === undefined || (status !== 401 && !wantsMore)) return err(undefined)
    if (oauth.tokens === undefined) return ok(undefined)
    if (wantsMore && scopes.every((scope) => oauth.requested.includes(scope)))
      return err(hopeless(scopeRefused(grant).message))
    if (!renewal.mayRenew(grant)) return err(problemOf(wanted, exchangedInVain(wanted)))
    const demanded = wantsMore ? scopes : []
    keeper.hold({ ...grant, oauth: { ...oauth, tokens: undefined, demanded } })
    return ok(undefined)
  }

  /** A step up needs the user. One that was asked for and granted, and did not help, is not proposed again. */
  async function moreScopes(wanted: Wanted, grant: Grant, scopes: readonly string[]): Promise<GrantProblem> {
    const { oauth } = grant
    if (oauth === undefined || scopes.every((scope) => oauth.requested.includes(scope)))
      return hopeless(await renewal.trouble(grant, scopeRefused(grant)))
    const demanded = [...new Set([...oauth.demanded, ...scopes])]
    const wants = { ...grant, oauth: { ...oauth, demanded } }
    return problemOf(wanted, await renewal.trouble(wants, scopeNeeded(wants)))
  }

  return { current, ready, refused }
}

const none = (wanted: Wanted, { server }: Purpose): GrantProblem =>
  problemOf(
    wanted,
    isPerson(wanted)
      ? `you have not connected an account for it yet: ${mendCommand(wanted, server)}`
      : `it needs the grant ${wanted.name}, which nobody has given yet: ${mendCommand(wanted, server)}`,
  )
