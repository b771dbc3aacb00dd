import { OPERATIONS, RESOURCES } from '../../access/resources.ts'
import { isOperation, type Binding } from '../../kinds/binding.ts'
import type { GroupSpec } from '../../kinds/group.ts'
import type { RoleBindingSpec } from '../../kinds/role-binding.ts'
import type { TokenSpec } from '../../kinds/token.ts'
import { nearest } from '../../lib/nearest.ts'
import type { Admitted } from '../admission/validate.ts'
import { groupsAfter } from './administrators.ts'
import type { PlannedView } from './view.ts'

/** Words in bindings that mean nothing, and groups that would contain themselves. */
export async function accessProblems(
  { definition, name }: Pick<Admitted, 'definition' | 'name'>,
  spec: unknown,
  view: PlannedView,
): Promise<readonly string[]> {
  switch (definition.kind) {
    case 'RoleBinding':
      return wordProblems((spec as RoleBindingSpec).bindings)
    case 'Token':
      return wordProblems((spec as TokenSpec).bindings ?? [])
    case 'Group':
      return circleProblems(name, spec as GroupSpec, view)
    default:
      return []
  }
}

function wordProblems(bindings: readonly Binding[]): readonly string[] {
  return bindings.flatMap((binding, i) => {
    const [field, word, known] = isOperation(binding)
      ? (['action', binding.action, Object.keys(OPERATIONS)] as const)
      : (['resource', binding.resource, RESOURCES] as const)
    if (word === '*' || known.includes(word)) return []
    const meant = nearest(word, known)
    const hint = meant === undefined ? `there are ${known.join(', ')}` : `did you mean ${meant}?`
    return [`spec.bindings[${i}].${field}: there is no such ${field}; ${hint}`]
  })
}

async function circleProblems(name: string, spec: GroupSpec, view: PlannedView): Promise<readonly string[]> {
  if (!spec.members.some(({ kind }) => kind === 'Group')) return []
  const groups = await groupsAfter(view)
  const reached = new Set(groupsIn(spec))
  // What is added while the set is walked is walked as well.
  for (const inner of reached) for (const next of groupsIn(groups.get(inner))) reached.add(next)
  return reached.has(name) ? ['spec.members: the group would contain itself, through the groups in it'] : []
}

const groupsIn = (spec: GroupSpec | undefined): readonly string[] =>
  (spec?.members ?? []).filter(({ kind }) => kind === 'Group').map((member) => member.name)
