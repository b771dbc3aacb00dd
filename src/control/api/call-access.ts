import type { Authorizer } from '../../access/authorize.ts'
import type { Permission, Verb } from '../../access/permission.ts'
import type { Principal } from '../../access/principal.ts'
import type { Decision } from '../../access/rights.ts'
import type { Binding } from '../../kinds/binding.ts'
import type { Subject } from '../../kinds/subject.ts'
import { Fault } from '../../lib/fault.ts'
import type { Stored } from '../stored.ts'
import { notFound, type Wanted } from './wanted.ts'

/** What one caller may do, for the handlers of the API. */
export interface CallAccess {
  decide(permission: Permission): Decision
  /** @throws Fault `forbidden`; the denial is on the record */
  demand(permission: Permission, hint?: string): void
  /**
   * The same before it is known what it is about: whether there can be anything for which it holds.
   *
   * @throws Fault `forbidden`
   */
  demandSome(permission: Permission): void
  /** Whether the caller may know that it exists. */
  readonly sees: (stored: Stored) => boolean
  /**
   * An object that was looked for: what the caller may not know of is not there, for a Token not in its project.
   *
   * @throws Fault `not_found`, `forbidden`
   */
  reach(verb: Verb, wanted: Wanted, stored: Stored | undefined): Stored
  /** Whether the caller holds all that a right would give to others. */
  covers(binding: Binding): boolean
  /** Whether the caller holds all that a subject holds. */
  coversSubject(subject: Subject): boolean
}

/** `detail` of a Fault whose denial has been recorded where it was decided. */
export const DENIAL_RECORDED = { denial: 'recorded' }

export interface CallAccessDeps {
  readonly authorizer: Authorizer
  /** A denial goes to the record. */
  readonly denied: (permission: Permission, reason: string) => void
}

export function createCallAccess({ authorizer, denied }: CallAccessDeps, principal: Principal): CallAccess {
  const allows = (permission: Permission): boolean => authorizer.decide(principal, permission).allowed

  function refuse(permission: Permission, hint?: string): never {
    const decision = authorizer.decide(principal, permission)
    const reason = decision.allowed ? 'no-right' : decision.reason
    denied(permission, reason)
    throw new Fault('forbidden', { hint: hint ?? hintFor(permission, principal), detail: DENIAL_RECORDED })
  }

  return {
    decide: (permission) => authorizer.decide(principal, permission),
    demand(permission, hint) {
      if (!allows(permission)) refuse(permission, hint)
    },
    demandSome(permission) {
      if (!authorizer.rights(principal).canEver(permission)) refuse(permission)
    },
    sees: (stored) => allows(permissionOn('view', stored)),
    coversSubject: (subject) => {
      const own = authorizer.rights(principal)
      return authorizer.rightsOf(subject).rules.every(({ rule }) => own.covers(rule))
    },
    covers: (binding) => authorizer.rights(principal).covers(binding),
    reach(verb, { definition, name, project }, stored) {
      const { plural } = definition
      const permission =
        stored === undefined ? { verb, kind: plural, name, project } : permissionOn(verb, stored)
      const allowed = allows(permission)
      if (stored !== undefined && allowed) return stored
      const known = stored !== undefined && allows(permissionOn('view', stored))
      // A Token hears the same of everything outside of its project, whether or not it is there.
      if (known || (principal.kind === 'token' && !allowed)) return refuse(permission)
      if (stored !== undefined) denied(permission, 'no-right')
      throw notFound(definition)
    },
  }
}

export const permissionOn = (verb: Verb, { definition, project, resource }: Stored): Permission => ({
  verb,
  kind: definition.plural,
  name: resource.metadata.name,
  project: project === '' ? undefined : project,
})

function hintFor(permission: Permission, principal: Principal): string {
  const wanted =
    'operation' in permission ? `action:${permission.operation}` : `${permission.verb} ${permission.kind}`
  const ask = 'operation' in permission ? wanted : `${permission.verb} ${permission.kind}`
  return principal.kind === 'token'
    ? `a token has the rights in its project that it was made with, as far as its owner has them; here ${wanted} is missing`
    : `you have no right to ${wanted}; castellan auth can-i ${ask} --explain says more`
}
