import type { Authenticator } from '../../access/authenticate.ts'
import type { Authorizer } from '../../access/authorize.ts'
import type { Principal } from '../../access/principal.ts'
import { reachesAny, type ToolScope } from '../../access/project-access.ts'
import type { Clock } from '../../lib/clock.ts'
import type { SnapshotSource } from '../snapshot/snapshot.ts'
import { edgeView } from './edge-routes.ts'

/** What its holder may know of a credential, and whoever serves them: no secret, no digest. */
export type Standing =
  | { readonly active: false; readonly revoked?: true }
  | (Known & Term & Use & { readonly active: true })

interface Term {
  /** ISO 8601; absent: it does not end by itself. */
  readonly expiresAt?: string
  /** Until then, in ms: for whoever has another clock. */
  readonly expiresInMs?: number
}

interface Use {
  /** What may be used over MCP, all of it to be met; absent: nothing. */
  readonly access?: { readonly project: string; readonly scopes: readonly ToolScope[] }
  /** Differs whenever the project is configured otherwise for this caller. */
  readonly revision?: string
}

type Known =
  | { readonly kind: 'local-admin' }
  | {
      readonly kind: 'token'
      readonly token: { readonly uid: string; readonly name: string; readonly project: string }
      readonly owner?: { readonly kind: string; readonly name: string }
    }
  | {
      readonly kind: 'sign-in'
      readonly user: { readonly uid: string; readonly name: string }
      readonly signIn: string
    }

export interface StandingDeps {
  readonly authenticator: Authenticator
  readonly authorizer: Pick<Authorizer, 'project'>
  readonly snapshot: Pick<SnapshotSource, 'state'>
  readonly clock: Clock
}

/** @param project of interest to a person; a Token has one of its own */
export function standingOf(
  deps: StandingDeps,
  authorization: string | null,
  project: string | undefined,
): Standing {
  const found = deps.authenticator.authenticate(authorization ?? undefined)
  if (!found.ok)
    return found.error.reason === 'revoked' ? { active: false, revoked: true } : { active: false }
  const principal = found.value
  return {
    active: true,
    ...knownOf(principal),
    ...termOf(deps, principal),
    ...useOf(deps, principal, principal.kind === 'token' ? principal.project : project),
  }
}

function knownOf(principal: Principal): Known {
  if (principal.kind === 'token') {
    const { uid, name, project, owner } = principal
    const token = { kind: 'token' as const, token: { uid, name, project } }
    return owner === undefined ? token : { ...token, owner: { kind: owner.kind, name: owner.name } }
  }
  if (principal.kind !== 'user') return { kind: 'local-admin' }
  const { uid, name, signIn } = principal
  return { kind: 'sign-in', user: { uid, name }, signIn }
}

function termOf({ snapshot, clock }: StandingDeps, principal: Principal): Term {
  if (principal.kind !== 'token' && principal.kind !== 'user') return {}
  const expiresAtMs = snapshot.state().credentials.get(principal.digest)?.expiresAtMs
  if (expiresAtMs === undefined) return {}
  return {
    expiresAt: new Date(expiresAtMs).toISOString(),
    expiresInMs: Math.max(0, expiresAtMs - clock.nowMs()),
  }
}

function useOf({ authorizer, snapshot }: StandingDeps, principal: Principal, name: string | undefined): Use {
  const access = name === undefined ? undefined : authorizer.project(principal, name)
  const project = name === undefined ? undefined : snapshot.state().projects.get(name)
  if (name === undefined || access === undefined || project === undefined) return {}
  if (!reachesAny(access, project.servers)) return {}
  const { scopes } = access
  return { access: { project: name, scopes }, revision: edgeView(project, access).revision }
}
