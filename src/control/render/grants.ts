import type { GrantReport } from '../../grants/report.ts'
import { alignColumns, oneLine } from './format.ts'
import { durationText } from './duration.ts'

/** A grant with its holder by name. */
export type ShownGrant = GrantReport

/** One line for each grant, and below them what is wrong with which. */
export function renderGrants(grants: readonly ShownGrant[], nowMs: number, wide: boolean): string {
  const personal = wide || grants.some(({ holder, profile }) => holder !== '' || profile !== 'default')
  const heads = [
    'NAME',
    ...(personal ? ['HOLDER', 'PROFILE'] : []),
    'SERVER',
    'STATE',
    'EXPIRES',
    'RENEWABLE',
    'SCOPES',
    ...(wide ? ['ORIGINS', 'SOURCE', 'REFRESHED', 'USED'] : []),
  ]
  const rows = grants.map((grant) => [
    grant.name,
    ...(personal ? [grant.holder === '' ? 'shared' : grant.holder, grant.profile] : []),
    grant.server ?? '-',
    grant.state,
    expiresText(grant.expiresAtMs, nowMs),
    grant.renewable ? 'yes' : 'no',
    grant.scopes.length === 0 ? '-' : oneLine(grant.scopes.join(' '), 60),
    ...(wide
      ? [
          oneLine(grant.origins.join(' '), 80),
          grant.source,
          agoText(grant.refreshedAtMs, nowMs),
          agoText(grant.usedAtMs, nowMs),
        ]
      : []),
  ])
  const table = alignColumns([heads, ...rows])
  const problems = grants.flatMap(({ name, problem, refreshProblem }) => {
    const said = problem ?? (refreshProblem && `the last renewal failed: ${refreshProblem}`)
    return said === undefined ? [] : [`${name}: ${oneLine(said)}\n`]
  })
  return problems.length === 0 ? table : `${table}\n${problems.join('')}`
}

function expiresText(expiresAtMs: number | undefined, nowMs: number): string {
  if (expiresAtMs === undefined) return '-'
  return expiresAtMs <= nowMs ? 'expired' : `in ${durationText((expiresAtMs - nowMs) / 1000)}`
}

const agoText = (atMs: number | undefined, nowMs: number): string =>
  atMs === undefined ? '-' : `${durationText(Math.max(0, nowMs - atMs) / 1000)} ago`
