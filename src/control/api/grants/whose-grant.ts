import type { Verb } from '../../../access/permission.ts'
import type { Principal } from '../../../access/principal.ts'
import { isStartedBy } from '../../../grants/attempts.ts'
import { DEFAULT_PROFILE, GRANT_NAME_RULE, grantName, isProfile } from '../../../grants/grant-id.ts'
import type { GrantKey } from '../../../grants/grant.ts'
import { SHARED, type Holder } from '../../../grants/holder.ts'
import { Fault } from '../../../lib/fault.ts'
import type { State } from '../../snapshot/state.ts'
import { keyOf } from '../../stored.ts'
import type { Act } from '../record.ts'
import type { Call } from '../route.ts'

/** What the routes of grants take to say which one is meant. */
export const WHOSE_QUERY = {
  for: 'Whose: `me`, `user:NAME`, `service-account:NAME` or `project:NAME`; default the one that all share.',
  profile: 'The set of grants; default `default`.',
} as const

/**
 * The grant that a call is about, if its caller may do this with it: their own, and with a right on grants any.
 *
 * @throws Fault `invalid`, `forbidden`, `not_found`
 */
export function reachGrant(
  state: State,
  call: Pick<Call, 'access' | 'principal'>,
  verb: Verb,
  wanted: { readonly name: string; readonly for?: string | undefined; readonly profile?: string | undefined },
): GrantKey {
  const name = grantName(wanted.name)
  const profile = wanted.profile ?? DEFAULT_PROFILE
  if (wanted.for === 'me') {
    const holder = ownHolder(call.principal, verb)
    return { name: name ?? refuseName(), profile: isProfile(profile) ? profile : refuseProfile(), holder }
  }
  call.access.demand({ verb, kind: 'grants', ...(name === undefined ? {} : { name }) })
  if (name === undefined) return refuseName()
  if (!isProfile(profile)) return refuseProfile()
  return { name, profile, holder: holderOf(state, wanted.for) }
}

/**
 * The attempt that a call names: for whoever has started it, and whoever may give any grant.
 *
 * @throws Fault `not_found`
 */
export function reachAttempt({
  params,
  principal,
  access,
}: Pick<Call, 'params' | 'principal' | 'access'>): string {
  const id = params['name'] ?? ''
  const may = isStartedBy(id, principal.key) || access.decide({ verb: 'create', kind: 'grants' }).allowed
  return may ? id : refuseAttempt()
}

export function refuseAttempt(): never {
  throw new Fault('not_found', { hint: 'an attempt is forgotten after ten minutes; start another' })
}

/**
 * Whose grants a caller lists.
 *
 * @returns undefined: those of all holders @throws Fault `forbidden`, `invalid`, `not_found`
 */
export function reachHolder(
  state: State,
  call: Pick<Call, 'access' | 'principal'>,
  wanted: string | undefined,
): Holder | undefined {
  if (wanted === 'me') return ownHolder(call.principal, 'view')
  call.access.demand({ verb: 'view', kind: 'grants' })
  return wanted === undefined || wanted === 'all' ? undefined : holderOf(state, wanted)
}

/** Under which name a caller has connections of their own; none where nobody has. */
export const personOf = (principal: Principal): readonly Holder[] =>
  principal.kind === 'local-admin' || principal.kind === 'user' ? [ownHolder(principal, 'view')] : []

/** A token may be in anybody's hands: it uses the connections of its owner, and changes none. */
function ownHolder(principal: Principal, verb: Verb): Holder {
  switch (principal.kind) {
    case 'local-admin':
      return 'local-admin'
    case 'user':
      return `user:${principal.uid}`
    case 'token':
    case 'subject':
      throw new Fault('forbidden', {
        hint:
          verb === 'view'
            ? 'only people have connections of their own; sign in: castellan login'
            : 'connections are made and removed by their owner; sign in: castellan login',
      })
    default:
      return principal satisfies never
  }
}

const KINDS = { user: 'User', 'service-account': 'ServiceAccount', project: 'Project' } as const

function holderOf(state: State, text: string | undefined): Holder {
  if (text === undefined) return SHARED
  if (text === 'local-admin') return 'local-admin'
  const [word = '', name = ''] = text.split(':', 2)
  if (!isKindWord(word))
    throw new Fault('invalid', {
      problems: ['for: must be me, user:NAME, service-account:NAME or project:NAME'],
    })
  const stored = state.resources.get(KINDS[word])?.get(keyOf('', name))
  if (stored === undefined) throw new Fault('not_found', { hint: `there is no ${KINDS[word]} by that name` })
  return `${word}:${stored.resource.metadata.uid}`
}

const isKindWord = (word: string): word is keyof typeof KINDS => Object.hasOwn(KINDS, word)

/** A holder as people call it: `user:ada`; a uid that nobody has any more stays one. */
export function holderText(state: State, holder: string): string {
  const [word = '', uid = ''] = holder.split(':', 2)
  const name = state.byUid.get(uid)?.resource.metadata.name
  return name === undefined ? holder : `${word}:${name}`
}

/** A grant as the record names it: `mcp:up`, `user:ada/mcp:up`, of another profile `user:ada/work/mcp:up`. */
export function grantTarget(state: State, { holder, profile, name }: GrantKey): string {
  const whose = holder === SHARED ? [] : [holderText(state, holder)]
  return [...whose, ...(profile === DEFAULT_PROFILE ? [] : [profile]), name].join('/')
}

/** What is done with a grant, for the record: whose it is, and a name to find all of that name by. */
export const grantAct = (state: State, verb: Act['verb'], key: GrantKey): Act => ({
  verb,
  kind: 'grants',
  name: grantTarget(state, key),
  grant: key.name,
})

function refuseName(): never {
  throw new Fault('invalid', { problems: [`name: must be ${GRANT_NAME_RULE}`] })
}

function refuseProfile(): never {
  throw new Fault('invalid', { problems: ['profile: must be letters, digits, "-" and "_", at most 40'] })
}
