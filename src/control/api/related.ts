import type { Authorizer } from '../../access/authorize.ts'
import { bindingText, type Binding } from '../../kinds/binding.ts'
import { subjectKey, SUBJECT_KINDS, type Subject, type SubjectKind } from '../../kinds/subject.ts'
import { labelOf, referencesOf } from '../change/references.ts'
import type { Related } from '../render/describe.ts'
import type { State } from '../snapshot/state.ts'
import type { Stored } from '../stored.ts'
import type { CallAccess } from './call-access.ts'

/** What a description says besides the resource itself: who uses it, and what it may do. */
export function relatedOf({ state, authorizer, access }: RelatedDeps, stored: Stored): Related {
  const usedBy = usersOf(state, stored, access.sees)
  const { kind } = stored.resource
  const isSubject = (SUBJECT_KINDS as readonly string[]).includes(kind)
  const may = isSubject && access.decide({ verb: 'view', kind: 'rolebindings' }).allowed
  if (!may) return { usedBy }
  const { name } = stored.resource.metadata
  const project = stored.project === '' ? undefined : stored.project
  return { usedBy, rights: rightsOf(authorizer, { kind: kind as SubjectKind, name, project }) }
}

interface RelatedDeps {
  readonly state: State
  readonly authorizer: Pick<Authorizer, 'rightsOf'>
  readonly access: CallAccess
}

/** One line for each right: the binding and what gives it. */
function rightsOf(authorizer: RelatedDeps['authorizer'], subject: Subject): Related['rights'] {
  const own = subjectKey(subject)
  const held = authorizer.rightsOf(subject)
  const { rules } = held
  const label = subject.kind === 'Token' ? `Token/${subject.project ?? ''}/${subject.name}` : own
  const isDirect = (via: string): boolean => via === own || via === label
  // Of a Token whose owner holds less than it was given.
  const line = (rule: Binding, from: string): string =>
    `${bindingText(rule)} (${from})${held.covers(rule) ? '' : '; gives nothing: its owner does not hold it'}`
  return {
    direct: rules.filter(({ via }) => isDirect(via)).map(({ rule, from }) => line(rule, from)),
    inherited: rules
      .filter(({ via }) => !isDirect(via))
      .map(({ rule, from, via }) => line(rule, `${from}, through ${via}`)),
  }
}

/** Who refers to a resource, by label; the first hundred. */
function usersOf(
  state: State,
  { definition, project, resource }: Stored,
  sees: (stored: Stored) => boolean,
): readonly string[] {
  if (project !== '') return []
  const labels: string[] = []
  for (const ofKind of state.resources.values()) {
    for (const user of ofKind.values()) {
      const { definition: kind, project: of, resource: other } = user
      const after = { definition: kind, project: of, name: other.metadata.name, spec: other.spec }
      const refers = referencesOf(after).some(
        (target) => target.kind === definition.kind && target.name === resource.metadata.name,
      )
      if (refers && sees(user)) labels.push(labelOf(after))
    }
  }
  return labels.sort().slice(0, 100)
}
