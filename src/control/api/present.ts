import type { Resource } from '../../kinds/define-kind.ts'
import type { Secret } from '../../kinds/secret.ts'
import type { Token, TokenSpec } from '../../kinds/token.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Stored } from '../stored.ts'
import type { StatusSource } from './sources.ts'

export interface PresentDeps {
  readonly status: Pick<StatusSource, 'server' | 'project' | 'secret'>
  /** Token uid to when it was last used, in milliseconds. */
  readonly tokenUses: () => Promise<ReadonlyMap<string, number>>
  readonly clock: Clock
}

/** Resources as they are shown: with the status of this moment. */
export async function present(deps: PresentDeps, all: readonly Stored[]): Promise<readonly Resource[]> {
  // Asked once, and only where a Token is shown.
  const uses = all.some(({ resource }) => resource.kind === 'Token') ? await deps.tokenUses() : new Map()
  return all.map(({ resource }) => ({ ...resource, status: statusOf(deps, resource, uses) }))
}

function statusOf(
  { status, clock }: PresentDeps,
  resource: Resource,
  uses: ReadonlyMap<string, number>,
): unknown {
  const { name, uid } = resource.metadata
  switch (resource.kind) {
    case 'Server':
      return status.server(name) ?? { phase: 'Pending' }
    case 'Project':
      return { endpoint: `/projects/${name}/mcp`, ...status.project(name) }
    case 'Secret':
      return status.secret(resource as Secret) ?? resource.status
    case 'Token':
      return tokenStatus(resource as Token, uses.get(uid), clock.nowMs())
    default:
      return resource.status
  }
}

function tokenStatus({ spec, status }: Token, usedAtMs: number | undefined, nowMs: number): Token['status'] {
  const { prefix, expiresAt } = status
  return {
    prefix,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(usedAtMs === undefined ? {} : { lastUsedAt: new Date(usedAtMs).toISOString() }),
    state: tokenState(spec, expiresAt, nowMs),
  }
}

function tokenState(spec: TokenSpec, expiresAt: string | undefined, nowMs: number): Token['status']['state'] {
  if (spec.revoked) return 'revoked'
  return expiresAt !== undefined && Date.parse(expiresAt) <= nowMs ? 'expired' : 'active'
}
