import type { Grant } from './grant.ts'
import { mendCommand } from './mend.ts'
import { canRenew } from './renewal.ts'

/** A grant as people may see it. */
export interface GrantReport {
  readonly name: string
  readonly profile: string
  /** Whose it is; '' is everybody's. */
  readonly holder: string
  readonly server: string | undefined
  readonly origins: readonly string[]
  readonly issuer: string | undefined
  /** `waiting`: it was started and not finished. `expired`: it will be refreshed with its next use. */
  readonly state: 'ready' | 'waiting' | 'expired' | 'needs-login' | 'needs-scope' | 'refused'
  readonly scopes: readonly string[]
  readonly source: Grant['source']
  readonly givenAtMs: number
  readonly expiresAtMs: number | undefined
  readonly obtainedAtMs: number | undefined
  readonly renewable: boolean
  readonly refreshedAtMs: number | undefined
  /** Why the last renewal failed, where it did. */
  readonly refreshProblem: string | undefined
  readonly usedAtMs: number | undefined
  /** What is wrong, with the command that mends it. */
  readonly problem: string | undefined
}

/** Nobody authorizes it: sign-ins of callers are exchanged with what it holds. */
export const isForExchange = ({ settings }: Pick<Grant, 'settings'>): boolean =>
  settings['exchange'] !== undefined

export function reportOf(grant: Grant, nowMs: number, usedAtMs: number | undefined): GrantReport {
  const { oauth, trouble, refreshed } = grant
  const expiresAtMs = oauth === undefined ? grant.expiresAtMs : oauth.tokens?.expiresAtMs
  const expired = expiresAtMs !== undefined && expiresAtMs <= nowMs
  const renewable = trouble?.kind !== 'login' && canRenew(grant)
  const waits = oauth !== undefined && oauth.tokens === undefined && !isForExchange(grant)
  const unusable = waits || (expired && !renewable)
  return {
    name: grant.name,
    profile: grant.profile,
    holder: grant.holder,
    server: grant.server,
    origins: grant.origins,
    issuer: oauth?.authorizationServer.issuer,
    state: stateOf(grant, { expired, renewable }),
    scopes: oauth?.granted ?? [],
    source: grant.source,
    givenAtMs: grant.givenAtMs,
    expiresAtMs,
    obtainedAtMs: oauth?.tokens?.obtainedAtMs,
    renewable,
    refreshedAtMs: refreshed?.atMs,
    refreshProblem: refreshed?.problem,
    usedAtMs,
    problem:
      trouble?.message ??
      (unusable
        ? `${oauth === undefined ? 'give it again' : 'authorize it'}: ${mendCommand(grant, grant.server)}`
        : undefined),
  }
}

function stateOf(
  { oauth, trouble, settings }: Grant,
  { expired, renewable }: { readonly expired: boolean; readonly renewable: boolean },
): GrantReport['state'] {
  if (trouble?.kind === 'login') return 'needs-login'
  if (trouble?.kind === 'scope') return 'needs-scope'
  if (trouble?.kind === 'refused') return 'refused'
  if (oauth === undefined) return expired ? (renewable ? 'expired' : 'needs-login') : 'ready'
  if (oauth.tokens === undefined) return isForExchange({ settings }) ? 'ready' : 'waiting'
  if (!expired) return 'ready'
  return renewable ? 'expired' : 'needs-login'
}
