import type { AccessView, OwnerEntry, TokenRules } from '../../access/access-view.ts'
import type { TokenOwner } from '../../access/principal.ts'
import { serverOf } from '../../kinds/instance.ts'
import { findKind } from '../../kinds/registry.ts'
import type { ServiceAccountSpec } from '../../kinds/service-account.ts'
import type { TokenSpec } from '../../kinds/token.ts'
import type { User, UserSpec } from '../../kinds/user.ts'
import { keyOf, type Stored } from '../stored.ts'
import type { State } from './state.ts'

/** One state as the authorizer reads it. */
export const accessViewOf = (state: State): AccessView => ({
  index: state.access,
  token: (uid) => rulesOf(state.byUid.get(uid)),
  tokenNamed: (project, name) => rulesOf(state.resources.get('Token')?.get(keyOf(project, name))),
  owner: (owner) => ownerIn(state, owner),
  inProject: (kind, name, project) => isUsedBy(state, { kind, name, project }),
})

function rulesOf(stored: Stored | undefined): TokenRules | undefined {
  if (stored?.resource.kind !== 'Token') return undefined
  const { owner, bindings } = stored.resource.spec as TokenSpec
  return { name: stored.resource.metadata.name, project: stored.project, owner, bindings }
}

export function ownerIn(state: State, { kind, name }: TokenOwner): OwnerEntry | undefined {
  const stored = state.resources.get(kind)?.get(keyOf('', name))
  if (stored === undefined) return undefined
  const { resource } = stored
  const { disabled } = resource.spec as UserSpec | ServiceAccountSpec
  const claims = kind === 'User' ? ((resource as User).status.claims ?? []) : []
  return { uid: resource.metadata.uid, disabled, claims }
}

/** Servers are in the projects that attach them, with their Instances; nothing else that belongs to no project is in one. */
function isUsedBy(
  state: State,
  { kind, name, project }: { kind: string; name: string; project: string },
): boolean {
  const found = findKind(kind)?.kind
  if (found !== 'Server' && found !== 'Instance') return false
  const wanted = found === 'Server' ? name : serverOf(name)
  return state.projects.get(project)?.servers.some((server) => server.name === wanted) ?? false
}
