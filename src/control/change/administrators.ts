import { covers } from '../../access/held-rule.ts'
import { EVERYTHING, type Binding } from '../../kinds/binding.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import { Group, type GroupSpec } from '../../kinds/group.ts'
import { RoleBinding, type RoleBindingSpec } from '../../kinds/role-binding.ts'
import { subjectKey, type Subject } from '../../kinds/subject.ts'
import { User, type UserSpec } from '../../kinds/user.ts'
import type { ControlDb } from '../../store/tables.ts'
import { createPlannedView, type PlannedView } from './view.ts'

const GROUP = Group as unknown as KindDefinition
const ROLE_BINDING = RoleBinding as unknown as KindDefinition
const USER = User as unknown as KindDefinition

export const groupsAfter = async (view: PlannedView): Promise<ReadonlyMap<string, GroupSpec>> =>
  new Map((await view.afterAll(GROUP)).map(({ name, spec }) => [name, spec as GroupSpec]))

/** Of something that is changed or removed: its spec. */
interface Taking {
  readonly kind: string
  readonly before: unknown
  /** Undefined: it is gone. */
  readonly after: unknown
}

/**
 * Whether a change leaves nobody who holds everything, where somebody did. Everybody and all that they hold is read only
 * when a change takes something away that could matter.
 */
export async function losesAdministrators(
  taking: readonly Taking[],
  db: ControlDb,
  after: PlannedView,
): Promise<boolean> {
  if (!taking.some(couldMatter)) return false
  if (await hasAdministrator(after)) return false
  return hasAdministrator(createPlannedView(db))
}

function couldMatter({ kind, before, after }: Taking): boolean {
  switch (kind) {
    case 'RoleBinding':
      return (before as RoleBindingSpec).bindings.some((rule) =>
        EVERYTHING.some((needed) => covers(rule, needed)),
      )
    case 'Group':
      return losesMembers(before as GroupSpec, after as GroupSpec | undefined)
    case 'User':
      return !(before as UserSpec).disabled && (after as UserSpec | undefined)?.disabled !== false
    default:
      return false
  }
}

function losesMembers(before: GroupSpec, after: GroupSpec | undefined): boolean {
  const kept = new Set(after?.members.map(subjectKey))
  return (
    before.members.some((member) => !kept.has(subjectKey(member))) ||
    before.claims.some((claim) => after?.claims.includes(claim) !== true)
  )
}

async function hasAdministrator(view: PlannedView): Promise<boolean> {
  const bindings = (await view.afterAll(ROLE_BINDING)).map(({ spec }) => spec as RoleBindingSpec)
  const groups = await groupsAfter(view)
  const users = (await view.afterAll(USER)).filter(({ spec }) => !(spec as UserSpec).disabled)
  const bySubject = new Map<string, Binding[]>()
  for (const { subjects, bindings: rules } of bindings)
    for (const key of subjects.map(subjectKey)) bySubject.set(key, [...(bySubject.get(key) ?? []), ...rules])
  const groupsOf = new Map<string, string[]>()
  for (const [name, { members }] of groups)
    for (const key of members.map(subjectKey)) groupsOf.set(key, [...(groupsOf.get(key) ?? []), name])
  return users.some(({ name, status }) => {
    const { claims = [] } = (status ?? {}) as Partial<User['status']>
    const mine = memberships({ kind: 'User', name }, { groups, groupsOf, claims })
    const rules = mine.flatMap((key) => bySubject.get(key) ?? [])
    return EVERYTHING.every((needed) => rules.some((rule) => covers(rule, needed)))
  })
}

interface Belonging {
  readonly groups: ReadonlyMap<string, GroupSpec>
  readonly groupsOf: ReadonlyMap<string, readonly string[]>
  readonly claims: readonly string[]
}

function memberships(subject: Subject, { groups, groupsOf, claims }: Belonging): readonly string[] {
  const byClaim = [...groups].filter(([, group]) => group.claims.some((claim) => claims.includes(claim)))
  const all = new Set<string>([subjectKey(subject), ...byClaim.map(([name]) => `Group:${name}`)])
  for (const key of all) for (const name of groupsOf.get(key) ?? []) all.add(`Group:${name}`)
  return [...all]
}
