import { isDeepStrictEqual } from 'node:util'
import { useOf } from '../../access/authorize.ts'
import type { Principal, TokenOwner } from '../../access/principal.ts'
import { fenced } from '../../access/rights.ts'
import { bindingText, SIGN_IN_NEEDS, type Binding } from '../../kinds/binding.ts'
import type { GroupSpec } from '../../kinds/group.ts'
import { KINDS } from '../../kinds/registry.ts'
import type { HttpSpec, ServerSpec } from '../../kinds/server.ts'
import type { RoleBindingSpec } from '../../kinds/role-binding.ts'
import { subjectKey, type Subject } from '../../kinds/subject.ts'
import type { TokenSpec } from '../../kinds/token.ts'
import type { UserSpec } from '../../kinds/user.ts'
import { Fault } from '../../lib/fault.ts'
import type { ChangeStep } from '../change/change.ts'
import type { Stored } from '../stored.ts'
import type { CallAccess } from './call-access.ts'
import { ownerFor } from './maker.ts'

/** Who makes a change. */
export interface Caller {
  readonly principal: Principal
  readonly access: CallAccess
}

/**
 * Whether the caller may make one change: the verb on the object, the use of what it newly names, and no more rights
 * given away than they hold.
 *
 * @throws Fault `forbidden`, `invalid`
 */
export function guardChange(by: Caller, step: ChangeStep): void {
  if (step.bySystem) return
  const { definition, name, project } = step.manifest
  const about = {
    kind: definition.plural,
    name,
    project: project === '' ? undefined : project,
  }
  // Which verb was needed says whether it is there: for those who may see it only.
  const known = by.access.decide({ ...about, verb: 'view' }).allowed
  by.access.demand({ ...about, verb: step.verb }, known ? undefined : UNKNOWN)
  // What stands as described already gives nobody anything.
  if (step.verb === 'view') return
  guardReferences(by, step)
  guardGrant(by, step)
  guardRights(by, step)
}

const UNKNOWN =
  'you have no right to make this change; castellan auth rights lists what you hold; nothing was changed'

/** Whoever names a Server or a Secret in something of theirs gets to use it: so they must hold its use already. */
function guardReferences({ access }: Caller, { manifest: { definition }, before, spec }: ChangeStep): void {
  if (spec === undefined) return
  const idOf = ({ kind, name }: { kind: string; name: string }): string => `${kind}/${name}`
  const known = new Set(
    before === undefined ? [] : (definition.references?.(before.resource.spec) ?? []).map(idOf),
  )
  // Whoever may say where a Server is would otherwise have its secrets sent to them.
  const stays = before !== undefined && isSamePlace(before.resource.spec, spec)
  for (const target of definition.references?.(spec) ?? []) {
    if (known.has(idOf(target)) && (stays || target.kind !== 'Secret')) continue
    const kind = KINDS.find((one) => one.kind === target.kind)?.plural ?? target.kind
    const may = (['run', 'edit'] as const).some(
      (verb) => access.decide({ verb, kind, name: target.name }).allowed,
    )
    if (may) continue
    if (access.decide({ verb: 'view', kind, name: target.name }).allowed)
      throw new Fault('forbidden', {
        problems: [`${target.path}: you have no right to use this ${target.kind}`],
        hint: `ask for role:run,resource:${kind} on it; nothing was changed`,
      })
    throw new Fault('invalid', {
      problems: [`${target.path}: there is no ${target.kind} by that name`],
      hint: 'nothing was changed',
    })
  }
}

/** Whoever names a grant that is not theirs alone gets to use it; and so does who says where what has it is. */
function guardGrant({ access }: Caller, { manifest: { definition }, before, spec }: ChangeStep): void {
  const wanted = definition.kind === 'Server' ? grantOf(spec) : undefined
  if (wanted === undefined) return
  const stays =
    before !== undefined &&
    isDeepStrictEqual(grantOf(before.resource.spec), wanted) &&
    isSamePlace(before.resource.spec, spec)
  if (stays) return
  const may = (['run', 'create'] as const).some(
    (verb) => access.decide({ verb, kind: 'grants', name: wanted.grant }).allowed,
  )
  if (may) return
  throw new Fault('forbidden', {
    problems: ['spec.auth.grant: you have no right to use this grant'],
    hint: 'ask for role:run,resource:grants on it, or use whose: per-user; nothing was changed',
  })
}

/** What people connect themselves is theirs to use. */
function grantOf(spec: unknown): HttpSpec['auth'] {
  const server = spec as ServerSpec | undefined
  if (server === undefined || server.transport === 'stdio') return undefined
  return server.auth?.whose === 'per-user' ? undefined : server.auth
}

/** Fields that decide nothing about what a secret is given to. */
const HARMLESS: ReadonlySet<string> = new Set(['description', 'tools', 'timeouts'])

const placeOf = (spec: unknown): unknown =>
  Object.fromEntries(
    Object.entries(spec as object).filter(([field, value]) => !HARMLESS.has(field) && value !== undefined),
  )

const isSamePlace = (before: unknown, after: unknown): boolean =>
  isDeepStrictEqual(placeOf(before), placeOf(after))

function guardRights(by: Caller, { manifest, before, spec }: ChangeStep): void {
  const { project } = manifest
  switch (manifest.definition.kind) {
    case 'RoleBinding':
      return spec === undefined
        ? undefined
        : guardBindings(by, (spec as RoleBindingSpec).bindings, 'spec.bindings')
    case 'Token':
      return spec === undefined
        ? undefined
        : guardToken(by, spec as TokenSpec, { before, name: manifest.name, project })
    case 'Group':
      return guardMembers(by, manifest.name, [
        before?.resource.spec as GroupSpec | undefined,
        spec as GroupSpec,
      ])
    // One who is made may have been given rights before: bindings and groups name people in advance.
    case 'User':
      guardIdentity(by, before?.resource.spec as UserSpec | undefined, spec as UserSpec | undefined)
      return guardSubject(by, { kind: 'User', name: manifest.name })
    case 'ServiceAccount':
      return guardSubject(by, { kind: 'ServiceAccount', name: manifest.name })
    case 'IdentityProvider':
      return guardSignIn(by, 'spec')
    default:
      return undefined
  }
}

/**
 * Who somebody is at an identity provider decides which groups it names for them, and so what they may: any group that
 * has claims.
 */
function guardIdentity(by: Caller, before: UserSpec | undefined, after: UserSpec | undefined): void {
  if (after === undefined || isDeepStrictEqual(before?.identity, after.identity)) return
  guardSignIn(by, 'spec.identity')
}

/** How people are known is for those who may do everything. */
const guardSignIn = (by: Caller, path: string): void => guardBindings(by, SIGN_IN_NEEDS, path)

function guardBindings({ access }: Caller, bindings: readonly Binding[], path: string): void {
  const beyond = bindings.flatMap((binding, i) =>
    access.covers(binding) ? [] : [`${path}[${i}]: you do not hold ${bindingText(binding)} yourself`],
  )
  if (beyond.length > 0)
    throw new Fault('forbidden', {
      problems: beyond.slice(0, 20),
      hint: 'nobody can give more than they hold; castellan auth rights lists what you hold',
    })
}

/** What a Token is to have, and whose it is to be. */
function guardToken(
  by: Caller,
  spec: TokenSpec,
  {
    before,
    name,
    project,
  }: { readonly before: Stored | undefined; readonly name: string; readonly project: string },
): void {
  const known = before?.resource.spec as TokenSpec | undefined
  if (before !== undefined && JSON.stringify(known?.bindings) === JSON.stringify(spec.bindings)) return
  const bindings = spec.bindings ?? useOf(project)
  guardBindings(
    by,
    bindings.map((binding) => fenced(binding, project)),
    'spec.bindings',
  )
  if (before !== undefined) return
  guardOwner(by, spec.owner)
  // RoleBindings may name it in advance; only somebody whose it is to be cannot gain by them.
  if (!isOwn(by.principal, spec.owner)) guardSubject(by, { kind: 'Token', name, project })
}

const isOwn = (principal: Principal, owner: TokenOwner | undefined): boolean => {
  const own = ownerFor(principal)
  return principal.kind !== 'token' && owner?.kind === own?.kind && owner?.name === own?.name
}

/** A Token of somebody else is a way to act as them, as far as it goes. */
function guardOwner({ principal, access }: Caller, owner: TokenOwner | undefined): void {
  const own = ownerFor(principal)
  if (principal.kind === 'local-admin' || (principal.kind === 'token' && owner === own)) return
  if (owner !== undefined && owner.kind === own?.kind && owner.name === own.name) return
  const may =
    owner?.kind === 'ServiceAccount'
      ? access.decide({ verb: 'edit', kind: 'serviceaccounts', name: owner.name }).allowed
      : owner !== undefined && access.decide({ operation: 'impersonate' }).allowed
  if (may) return
  throw new Fault('forbidden', {
    problems: ['spec.owner: you cannot make a token for somebody else'],
    hint: 'leave it out: then it is yours; for a ServiceAccount you need role:edit,resource:serviceaccounts on it',
  })
}

/** Whoever becomes a member gets what the group has. */
function guardMembers(
  by: Caller,
  name: string,
  [before, after]: readonly [GroupSpec | undefined, GroupSpec | undefined],
): void {
  const said = (spec: GroupSpec | undefined): string =>
    JSON.stringify([spec?.members.map(subjectKey).sort(), spec?.claims.toSorted()])
  if (before !== undefined && said(before) === said(after)) return
  guardSubject(by, { kind: 'Group', name })
}

/** What is changed about somebody must be within the rights of whoever changes it: else they could become them. */
function guardSubject(by: Caller, subject: Subject): void {
  if (by.access.coversSubject(subject)) return
  throw new Fault('forbidden', {
    problems: [`${subject.kind} has rights that you do not hold yourself`],
    hint: 'ask an administrator; nothing was changed',
  })
}
