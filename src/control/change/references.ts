import type { KindDefinition } from '../../kinds/define-kind.ts'
import { KINDS } from '../../kinds/registry.ts'
import type { After, PlannedView } from './view.ts'

interface Target {
  readonly kind: string
  readonly name: string
  readonly key?: string | undefined
  readonly path: string
}

/** Everything that a resource needs to exist: what its spec names, and the project that it belongs to. */
export function referencesOf({ definition, project, spec }: After): readonly Target[] {
  const named = definition.references?.(spec) ?? []
  return definition.scope === 'project'
    ? [...named, { kind: 'Project', name: project, path: 'metadata.project' }]
    : named
}

/** What a resource names that would not exist, as problems: `spec.servers[2]: there is no Server by that name`. */
export async function danglingReferences(after: After, view: PlannedView): Promise<string[]> {
  const problems: string[] = []
  for (const { kind, name, key, path } of referencesOf(after)) {
    const target = await view.after(kind, '', name)
    if (target === undefined) problems.push(`${path}: there is no ${kind} by that name`)
    else if (key !== undefined && !hasKey(target, key)) {
      problems.push(`${path}: the ${kind} ${name} has no such key`)
    }
  }
  return problems
}

const hasKey = ({ definition, spec }: After, key: string): boolean =>
  definition.secrets?.keys(spec).includes(key) === true

/** Kinds whose resources can refer to others of this kind. */
const mayReferTo = (kind: string): readonly KindDefinition[] =>
  KINDS.filter(
    ({ references, scope }) => references !== undefined || (scope === 'project' && kind === 'Project'),
  )

export interface Referrer {
  readonly after: After
  /** `Server/everything`, or `Token/demo/laptop`. */
  readonly label: string
  /** The key of a Secret that it wants. */
  readonly key: string | undefined
}

/** Who would still refer to a resource after the plan. */
export async function referrersOf(kind: string, name: string, view: PlannedView): Promise<Referrer[]> {
  const referrers: Referrer[] = []
  for (const definition of mayReferTo(kind)) {
    for (const after of await view.afterAll(definition)) {
      const meant = referencesOf(after).filter((target) => target.kind === kind && target.name === name)
      referrers.push(...meant.map(({ key }) => ({ after, label: labelOf(after), key })))
    }
  }
  return referrers
}

export const labelOf = ({
  definition,
  project,
  name,
}: Pick<After, 'definition' | 'project' | 'name'>): string =>
  project === '' ? `${definition.kind}/${name}` : `${definition.kind}/${project}/${name}`

/** Whether whoever reads a message may know of something. */
export type Sees = (target: Pick<After, 'definition' | 'project' | 'name'>) => boolean

/** A short list for a message: the first five that the reader may know of, and how many more. */
export function listLabels(referrers: readonly Referrer[], sees: Sees): string {
  const all = new Set(referrers.map(({ label }) => label))
  const shown = new Set(referrers.filter(({ after }) => sees(after)).map(({ label }) => label))
  const labels = [...shown].slice(0, 5)
  const more = all.size - labels.length
  if (labels.length === 0) return 'something that you may not see'
  return labels.join(', ') + (more > 0 ? ` and ${more} more` : '')
}
