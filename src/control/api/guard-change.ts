import type { Principal } from '../../access/principal.ts'
import { fenced } from '../../access/rights.ts'
import { bindingText, type Binding } from '../../kinds/binding.ts'
import type { GroupSpec } from '../../kinds/group.ts'
import { KINDS } from '../../kinds/registry.ts'
import type { RoleBindingSpec } from '../../kinds/role-binding.ts'
import { subjectKey, type Subject } from '../../kinds/subject.ts'
import type { TokenSpec } from '../../kinds/token.ts'
import { Fault } from '../../lib/fault.ts'
import type { ChangeStep } from '../change/change.ts'
import type { CallAccess } from './call-access.ts'

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
  const { definition, name, project } = step.manifest
  by.access.demand({
    verb: step.verb,
    kind: definition.plural,
    name,
    project: project === '' ? undefined : project,
  })
  guardReferences(by, step)
  guardRights(by, step)
}

/** Whoever names a Server or a Secret in something of theirs gets to use it: so they must hold its use already. */
function guardReferences({ access }: Caller, { manifest: { definition }, before, spec }: ChangeStep): void {
  if (spec === undefined) return
  const idOf = ({ kind, name }: { kind: string; name: string }): string => `${kind}/${name}`
  const known = new Set(
    before === undefined ? [] : (definition.references?.(before.resource.spec) ?? []).map(idOf),
  )
  for (const target of definition.references?.(spec) ?? []) {
    if (known.has(idOf(target))) continue
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

function guardRights(by: Caller, { manifest, before, spec }: ChangeStep): void {
  const { project } = manifest
  switch (manifest.definition.kind) {
    case 'RoleBinding':
      return guardBindings(by, (spec as RoleBindingSpec | undefined)?.bindings ?? [], 'spec.bindings')
    case 'Token': {
      const { bindings = [] } = (spec ?? {}) as Partial<TokenSpec>
      return guardBindings(
        by,
        bindings.map((binding) => fenced(binding, project)),
        'spec.bindings',
      )
    }
    case 'Group':
      return guardMembers(by, manifest.name, [
        before?.resource.spec as GroupSpec | undefined,
        spec as GroupSpec,
      ])
    case 'User':
    case 'ServiceAccount':
      return before === undefined
        ? undefined
        : guardSubject(by, { kind: manifest.definition.kind, name: manifest.name })
    case 'IdentityProvider':
      return guardBindings(
        by,
        [
          { role: 'edit', resource: '*' },
          { role: 'run', action: '*' },
        ],
        'spec',
      )
    default:
      return undefined
  }
}

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
