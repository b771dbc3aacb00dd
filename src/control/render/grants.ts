import type { GrantReport } from '../../grants/oauth-flow.ts'
import { alignColumns, oneLine } from './format.ts'
import { durationText } from './status.ts'

/** One line for each grant, and below them what is wrong with which. */
export function renderGrants(grants: readonly GrantReport[], nowMs: number): string {
  const rows = grants.map(({ name, server, state, expiresAtMs, renewable, scopes }) => [
    name,
    server,
    state,
    expiresText(expiresAtMs, nowMs),
    renewable ? 'yes' : 'no',
    scopes.length === 0 ? '-' : oneLine(scopes.join(' '), 60),
  ])
  const table = alignColumns([['NAME', 'SERVER', 'STATE', 'EXPIRES', 'RENEWABLE', 'SCOPES'], ...rows])
  const problems = grants.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [`${name}: ${oneLine(problem)}\n`],
  )
  return problems.length === 0 ? table : `${table}\n${problems.join('')}`
}

function expiresText(expiresAtMs: number | undefined, nowMs: number): string {
  if (expiresAtMs === undefined) return '-'
  return expiresAtMs <= nowMs ? 'expired' : `in ${durationText((expiresAtMs - nowMs) / 1000)}`
}
