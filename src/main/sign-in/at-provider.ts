import type { Proven, ProviderStart, SignInRefusal, SignIns } from '../../control/api/sign-ins.ts'
import type { SystemTransaction } from '../../control/change/by-system.ts'
import type { SnapshotSource } from '../../control/snapshot/snapshot.ts'
import type { Stored } from '../../control/stored.ts'
import type { IdentityProviderSpec } from '../../kinds/identity-provider.ts'
import type { UserSpec } from '../../kinds/user.ts'
import { Fault } from '../../lib/fault.ts'
import { mintUid } from '../../lib/id.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { SignInClient, SignInProvider } from '../../oauth/client/sign-in.ts'
import { issuanceOf } from '../exchange/issuance.ts'
import type { KeepTokens } from '../exchange/kept-sign-ins.ts'
import type { Answered, Attempts, Begun } from './attempts.ts'
import { CALLBACK_PATH } from './callback-path.ts'
import { readIdentity, type Identity } from './identity.ts'
import { providerNamed, providerOf } from './provider.ts'
import { changedMeanwhile, specOf, USER, userLinkedTo, userNamed } from './users.ts'

export interface AtProviderDeps {
  readonly snapshot: Pick<SnapshotSource, 'state' | 'secretValue'>
  readonly client: SignInClient
  readonly attempts: Attempts
  /** Where browsers reach us. */
  readonly origin: () => string
  readonly keepTokens: KeepTokens
  readonly nowMs: () => number
}

/** What the browser that comes back is told. */
export type BrowserAnswer =
  /** On its own machine: the command line waits there. */
  | {
      readonly kind: 'redirect'
      readonly port: number
      readonly parameters: Readonly<Record<string, string>>
    }
  | { readonly kind: 'code'; readonly code: string }
  /** It was begun on a page of ours, and goes on there: the code is for nobody else, and leaves us for nowhere. */
  | {
      readonly kind: 'page'
      readonly page: string
      readonly attempt: string
      readonly code: Result<string, string>
    }
  | { readonly kind: 'problem'; readonly problem: string }

export interface AtProvider extends Pick<SignIns, 'finishAtProvider'> {
  /** @param wanted `page`: where it goes on, in place of a command line @throws Fault `not_found`, `unavailable` */
  startAtProvider(wanted: ProviderStart & { readonly page?: string }): ReturnType<SignIns['startAtProvider']>
  /** What a provider has sent back by the browser. */
  answered(answer: URLSearchParams): Promise<BrowserAnswer>
}

export function createAtProvider(deps: AtProviderDeps): AtProvider {
  return {
    async startAtProvider({ provider: name, loopbackPort, challenge, page }) {
      const stored = providerNamed(deps.snapshot, name)
      if (stored === undefined)
        throw new Fault('not_found', {
          hint: 'castellan login without --provider says which ways there are',
        })
      const { id, leg } = deps.attempts.begin({
        provider: name,
        providerUid: stored.resource.metadata.uid,
        challenge,
        loopbackPort,
        page,
        redirectUri: `${deps.origin()}${CALLBACK_PATH}`,
      })
      const url = await deps.client.authenticationUrl(providerOf(deps.snapshot, stored), leg)
      if (!url.ok) throw new Fault('unavailable', { hint: url.error })
      return { attempt: id, url: url.value }
    },
    async answered(answer) {
      const opened = deps.attempts.open(answer.get('state') ?? '')
      if (opened === undefined || answer.getAll('state').length > 1)
        return {
          kind: 'problem',
          problem: 'nobody here began this sign-in, or it was more than ten minutes ago',
        }
      const { begun, leg } = opened
      const code = await codeFor(deps, begun, async (provider) => deps.client.identify(provider, leg, answer))
      const { id: attempt, page, loopbackPort: port } = begun
      if (page !== undefined) return { kind: 'page', page, attempt, code }
      if (port !== undefined)
        return { kind: 'redirect', port, parameters: code.ok ? { code: code.value } : { error: code.error } }
      return code.ok ? { kind: 'code', code: code.value } : { kind: 'problem', problem: code.error }
    },
    async finishAtProvider(given) {
      const answered = await deps.attempts.finish(given)
      return answered.ok
        ? prove(deps, answered.value)
        : err({
            method: 'provider',
            reason: answered.error,
            fault: new Fault('sign_in_refused', {
              hint: 'the code is not right, was used before, or is too old; begin again: castellan login',
            }),
          })
    },
  }
}

/** Asks the provider who it is, and keeps that for whoever has the code. */
async function codeFor(
  deps: AtProviderDeps,
  begun: Begun,
  identify: (provider: SignInProvider) => ReturnType<SignInClient['identify']>,
): Promise<Result<string, string>> {
  const stored = providerNamed(deps.snapshot, begun.provider)
  if (stored === undefined || stored.resource.metadata.uid !== begun.providerUid)
    return err('the identity provider was removed in the meantime')
  const found = await identify(providerOf(deps.snapshot, stored))
  if (!found.ok) return found
  const spec = stored.resource.spec as IdentityProviderSpec
  const identity = readIdentity(begun.provider, spec, found.value.claims)
  if (!identity.ok) return identity
  const issuance = spec.keepTokens ? issuanceOf(found.value) : undefined
  const code = await deps.attempts.keep(begun, { identity: identity.value, issuance })
  return code === undefined ? err('this sign-in was answered before; begin again') : ok(code)
}

function prove(deps: AtProviderDeps, { identity, issuance }: Answered): Result<Proven, SignInRefusal> {
  const { provider, subject, username } = identity
  const afterwards = issuance && ((user: Stored): Promise<void> => deps.keepTokens(user, identity, issuance))
  const refuse = (reason: string, hint: string): Result<never, SignInRefusal> =>
    err({ method: provider, reason, fault: new Fault('sign_in_refused', { hint }) })
  const linked = userLinkedTo(deps.snapshot, provider, subject)
  if (linked !== undefined) {
    if (specOf(linked).disabled)
      return refuse('owner-gone', 'this user is disabled; an administrator can enable it again')
    const { name, uid } = linked.resource.metadata
    return ok({
      user: { name, uid },
      method: provider,
      isFirst: false,
      settle: (tx) => settleLinked(tx, uid, identity),
      afterwards,
    })
  }
  const stored = providerNamed(deps.snapshot, provider)
  if (stored === undefined)
    return refuse('provider-gone', 'the identity provider was removed in the meantime')
  const link = `an administrator can link one: spec.identity of the User with provider ${provider} and subject ${JSON.stringify(subject)}`
  if ((stored.resource.spec as IdentityProviderSpec).users === 'existing')
    return refuse(
      'unknown',
      `no User here is linked to this account, and none is made by signing in; ${link}`,
    )
  if (userNamed(deps.snapshot, username) !== undefined)
    return refuse('not-linked', `there is a User of that name who is not linked to this account; ${link}`)
  const uid = mintUid(USER.uidPrefix, deps.nowMs())
  return ok({
    user: { name: username, uid },
    method: provider,
    isFirst: true,
    settle: (tx) => settleFirst(tx, uid, identity),
    afterwards,
  })
}

const isLinked = (user: Stored, { provider, subject }: Identity): boolean => {
  const { identity } = specOf(user)
  return identity?.provider === provider && identity.subject === subject
}

async function settleLinked(tx: SystemTransaction, uid: string, identity: Identity): Promise<Stored> {
  const user = await tx.findByUid(uid)
  if (user === undefined || specOf(user).disabled || !isLinked(user, identity)) throw changedMeanwhile()
  return tx.observe(user, { claims: identity.groups })
}

/** Whoever signs in for the first time at two places at once is one User all the same. */
async function settleFirst(tx: SystemTransaction, uid: string, identity: Identity): Promise<Stored> {
  const { provider, subject, username: name, displayName, email } = identity
  const there = await tx.find('User', name)
  if (there !== undefined) return settleLinked(tx, there.resource.metadata.uid, identity)
  const spec: UserSpec = { displayName, email, disabled: false, identity: { provider, subject } }
  return tx.insert(USER, { uid, name, spec, status: { claims: identity.groups } })
}
