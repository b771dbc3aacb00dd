import type { Verb } from '../../access/permission.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import { findKind, KINDS } from '../../kinds/registry.ts'
import { Fault } from '../../lib/fault.ts'
import { isUid } from '../../lib/id.ts'
import { nearest } from '../../lib/nearest.ts'
import type { State } from '../snapshot/state.ts'
import { keyOf, type Stored } from '../stored.ts'
import type { CallAccess } from './call-access.ts'
import type { Wanted } from './wanted.ts'

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

/**
 * The object that a caller means, if they may do this with it.
 *
 * @throws Fault `not_found` also for what they may not know of, `forbidden`, or `invalid` when several projects that
 *   they see into have one by that name
 */
export function reachStored(
  { state, access }: { readonly state: State; readonly access: Pick<CallAccess, 'reach' | 'sees'> },
  verb: Verb,
  wanted: Wanted,
): Stored {
  const found = candidates(state, wanted)
  const seen = found.length > 1 ? found.filter(access.sees) : found
  return access.reach(verb, wanted, only(seen) ?? found[0])
}

function only(found: readonly Stored[]): Stored | undefined {
  if (found.length < 2) return found[0]
  throw new Fault('invalid', {
    problems: ['project: several projects have one by that name'],
    hint: 'say which with ?project=NAME (on the command line: -p NAME)',
  })
}

function candidates(state: State, wanted: Wanted): readonly Stored[] {
  if (!isUid(wanted.name)) return byName(state, wanted)
  const found = byUid(state, wanted)
  return found === undefined ? [] : [found]
}

function byUid(state: State, { definition, name, project }: Wanted): Stored | undefined {
  const found = state.byUid.get(name)
  if (found?.definition !== definition) return undefined
  return project === undefined || definition.scope === 'global' || found.project === project
    ? found
    : undefined
}

function byName(state: State, { definition, name, project }: Wanted): readonly Stored[] {
  const ofKind = state.resources.get(definition.kind)
  if (definition.scope === 'project' && project === undefined)
    return [...(ofKind?.values() ?? [])].filter(({ resource }) => resource.metadata.name === name)
  const found = ofKind?.get(keyOf(definition.scope === 'global' ? '' : (project ?? ''), name))
  return found === undefined ? [] : [found]
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
