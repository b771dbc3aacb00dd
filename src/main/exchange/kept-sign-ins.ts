import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { Stored } from '../../control/stored.ts'
import { heldTokens } from '../../grants/authorized-grant.ts'
import type { Grant, GrantStore } from '../../grants/grant.ts'
import type { Holder } from '../../grants/holder.ts'
import type { Keeper } from '../../grants/keeper.ts'
import { idTokenIn, isOf, SIGN_IN_GRANT, signInKey, type LiveSignIn } from '../../grants/sign-in-grant.ts'
import type { IdentityProviderSpec } from '../../kinds/identity-provider.ts'
import type { UserSpec } from '../../kinds/user.ts'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { mintUid } from '../../lib/id.ts'
import type { Log } from '../../lib/log.ts'
import { err, type Result } from '../../lib/result.ts'
import type { SignInClient } from '../../oauth/client/sign-in.ts'
import type { Issued, TokenFailure } from '../../oauth/client/token-answer.ts'
import { providerNamed, providerOf } from '../sign-in/provider.ts'
import type { Issuance } from './issuance.ts'
import { followSignIns } from './live-sign-ins.ts'

/** Keeps what a provider has issued with a sign-in; that it cannot be kept ends no sign-in. */
export type KeepTokens = (
  user: Stored,
  identity: { readonly provider: string; readonly subject: string },
  issuance: Issuance,
) => Promise<void>

export interface KeptSignInsDeps {
  readonly snapshot: Pick<SnapshotSource, 'state' | 'subscribe' | 'secretValue'>
  readonly keeper: () => Pick<Keeper, 'update' | 'reload' | 'remove'>
  readonly store: Pick<GrantStore, 'list'>
  readonly client: Pick<SignInClient, 'renew' | 'revoke'>
  readonly clock: Clock
  readonly log: Log
  /** Nothing that this holder has in exchange for their sign-in is sent any more; undefined: that anybody has. */
  readonly forget: (holder: Holder | undefined) => void
  /** What there is for this holder from now on is another. */
  readonly changed: (holder: Holder) => void
}

/** What identity providers have issued to those who are signed in there, for as long as they are. */
export interface KeptSignIns {
  readonly keep: KeepTokens
  /** Of somebody who is signed in at a provider whose tokens are kept. */
  of(holder: Holder): LiveSignIn | undefined
  renew(grant: Grant): Promise<Result<Issued, TokenFailure>>
  /** Ends all that is of nobody who is signed in, or worth nothing any more. */
  sweep(): Promise<void>
  close(): void
}

export function createKeptSignIns(deps: KeptSignInsDeps): KeptSignIns {
  const { snapshot, client, clock, log } = deps
  const live = followSignIns(snapshot, (userUid) => {
    if (isAnyKept()) void endQuietly(`user:${userUid}`)
  })
  const close = snapshot.subscribe(({ changed }) => {
    for (const { kind, uid } of changed) if (kind === 'User') deps.forget(`user:${uid}`)
    if (!changed.some(({ kind, operation }) => kind === 'IdentityProvider' && operation !== 'insert')) return
    deps.forget(undefined)
    void sweepQuietly()
  })

  function isAnyKept(): boolean {
    const providers = [...(snapshot.state().resources.get('IdentityProvider')?.values() ?? [])]
    return providers.some(({ resource }) => (resource.spec as IdentityProviderSpec).keepTokens)
  }

  function of(holder: Holder): LiveSignIn | undefined {
    const [kind, uid = ''] = holder.split(':', 2)
    const user = kind === 'user' ? snapshot.state().byUid.get(uid) : undefined
    const { identity, disabled } = (user?.resource.spec ?? {}) as Partial<UserSpec>
    const provider = identity === undefined ? undefined : providerNamed(snapshot, identity.provider)
    if (identity === undefined || provider === undefined || disabled === true) return undefined
    if (!(provider.resource.spec as IdentityProviderSpec).keepTokens) return undefined
    const untilMs = live.untilMs(uid, identity.provider)
    if (untilMs === undefined || untilMs <= clock.nowMs()) return undefined
    return { provider: provider.resource.metadata.uid, subject: identity.subject, untilMs }
  }

  const keep: KeepTokens = async (user, identity, { server, issued }) => {
    const provider = providerNamed(snapshot, identity.provider)?.resource
    if (provider === undefined || !(provider.spec as IdentityProviderSpec).keepTokens) return
    const key = signInKey(`user:${user.resource.metadata.uid}`)
    const nowMs = clock.nowMs()
    try {
      await deps.keeper().update(key, (stored) => ({
        ...key,
        uid: stored?.uid ?? mintUid('grt', nowMs),
        server: undefined,
        origins: [new URL(server.issuer).origin],
        source: 'browser',
        values: {},
        settings: { provider: provider.metadata.uid, subject: identity.subject },
        expiresAtMs: undefined,
        ...idTokenIn(issued),
        oauth: {
          resource: { identifier: '', scopes: [] },
          authorizationServer: server,
          clients: {},
          requested: [],
          demanded: [],
          ...heldTokens(issued, []),
        },
        trouble: undefined,
        refreshed: undefined,
        givenAtMs: nowMs,
        renewing: undefined,
        version: 0,
      }))
      deps.changed(key.holder)
    } catch (thrown) {
      log.warn({ err: thrown, provider: identity.provider }, 'what came with a sign-in cannot be kept')
    }
  }

  async function renew(grant: Grant): Promise<Result<Issued, TokenFailure>> {
    const now = of(grant.holder)
    const refresh = grant.oauth?.tokens?.refresh
    if (now === undefined || refresh === undefined || !isOf(grant, now)) return err(ENDED)
    const provider = snapshot.state().byUid.get(now.provider)
    if (provider === undefined) return err(ENDED)
    return client.renew(providerOf(snapshot, provider), { refresh: refresh.open(), subject: now.subject })
  }

  /** What is kept, if nobody is signed in with it. */
  async function end(holder: Holder): Promise<void> {
    if (of(holder) !== undefined) return
    deps.forget(holder)
    deps.changed(holder)
    const grant = await deps.keeper().reload(signInKey(holder))
    if (grant === undefined || of(holder) !== undefined) return
    await deps.keeper().remove(grant)
    await revoke(grant)
  }

  /** Where its provider is still known here; what is not taken back runs out there. */
  async function revoke({ settings, oauth }: Grant): Promise<void> {
    const provider = snapshot.state().byUid.get(settings['provider'] ?? '')
    const refresh = oauth?.tokens?.refresh
    if (provider === undefined || refresh === undefined) return
    try {
      await client.revoke(providerOf(snapshot, provider), refresh.open())
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown
      log.debug({ err: thrown }, 'a refresh token cannot be taken back')
    }
  }

  async function sweep(): Promise<void> {
    for (const grant of await deps.store.list({ name: SIGN_IN_GRANT })) {
      const now = of(grant.holder)
      if (now === undefined) await end(grant.holder)
      else if (!isOf(grant, now) || isSpent(grant, clock.nowMs())) await deps.keeper().remove(grant)
    }
  }

  const quietly = (what: string, work: () => Promise<void>): Promise<void> =>
    work().catch((thrown: unknown) => log.warn({ err: thrown }, what))
  const endQuietly = (holder: Holder) => quietly('a sign-in that has ended is still kept', () => end(holder))
  const sweepQuietly = () => quietly('sign-ins that have ended are still kept', sweep)

  return {
    keep,
    of,
    renew,
    sweep,
    close() {
      live.close()
      close()
    },
  }
}

/** Nothing of it is good any more, and nothing of it can be renewed. */
const isSpent = ({ oauth, expiresAtMs, trouble }: Grant, nowMs: number): boolean => {
  const ends = [expiresAtMs ?? 0, oauth?.tokens?.expiresAtMs ?? Infinity]
  const renewable = oauth?.tokens?.refresh !== undefined && trouble === undefined
  return !renewable && ends.every((end) => end <= nowMs)
}

const ENDED: TokenFailure = {
  message: 'the sign-in has ended: castellan login',
  final: true,
  code: undefined,
}
