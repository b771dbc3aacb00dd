import type { KindDefinition } from '../../kinds/define-kind.ts'
import { findKind, KINDS } from '../../kinds/registry.ts'
import { Fault } from '../../lib/fault.ts'
import { isUid } from '../../lib/id.ts'
import { nearest } from '../admission/nearest.ts'
import type { State } from '../snapshot/state.ts'
import { keyOf, type Stored } from '../stored.ts'

/** @throws Fault `not_found` that lists the kinds */
export function kindFor(word: string): KindDefinition {
  const found = findKind(word)
  if (found !== undefined) return found
  const plurals = KINDS.map(({ plural }) => plural)
  const meant = nearest(
    word,
    KINDS.flatMap(({ plural, short }) => short.concat(plural)),
  )
  const kinds = `the kinds are ${plurals.join(', ')}`
  throw new Fault('not_found', { hint: meant === undefined ? kinds : `did you mean ${meant}? ${kinds}` })
}

export interface Wanted {
  readonly definition: KindDefinition
  /** A name or a uid. */
  readonly name: string
  readonly project: string | undefined
}

/**
 * One resource. Of a kind that belongs to projects a name that only one project has is enough.
 *
 * @throws Fault `not_found`, or `invalid` when several projects have one by that name
 */
export function findStored(state: State, { definition, name, project }: Wanted): Stored {
  const found = isUid(name)
    ? byUid(state, { definition, name, project })
    : byName(state, { definition, name, project })
  if (found !== undefined) return found
  throw new Fault('not_found', { hint: `castellan get ${definition.plural} lists those that there are` })
}

function byUid(state: State, { definition, name, project }: Wanted): Stored | undefined {
  const found = state.byUid.get(name)
  if (found?.definition !== definition) return undefined
  return project === undefined || definition.scope === 'global' || found.project === project
    ? found
    : undefined
}

function byName(state: State, { definition, name, project }: Wanted): Stored | undefined {
  const ofKind = state.resources.get(definition.kind)
  if (definition.scope === 'global') return ofKind?.get(keyOf('', name))
  if (project !== undefined) return ofKind?.get(keyOf(project, name))
  const found = [...(ofKind?.values() ?? [])].filter(({ resource }) => resource.metadata.name === name)
  if (found.length > 1) {
    throw new Fault('invalid', {
      problems: ['project: several projects have one by that name'],
      hint: 'say which with ?project=NAME (on the command line: -p NAME)',
    })
  }
  return found[0]
}

/** All of a kind, or of one project, by project and name in the order of their bytes. */
export function listStored(
  state: State,
  definition: KindDefinition,
  project: string | undefined,
): readonly Stored[] {
  const all = [...(state.resources.get(definition.kind)?.values() ?? [])]
  const wanted =
    project === undefined || definition.scope === 'global'
      ? all
      : all.filter((stored) => stored.project === project)
  return wanted.sort(
    (a, b) => compare(a.project, b.project) || compare(a.resource.metadata.name, b.resource.metadata.name),
  )
}

/** Names and projects are ASCII, so UTF-16 order is the order of their bytes. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
