import { EVENT_KINDS } from '../../audit/event-kind.ts'
import type { AuditFilter } from '../../audit/readings.ts'
import { grantName } from '../../grants/grant-id.ts'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { momentMs } from '../../lib/time-text.ts'
import { renderAudit, renderSessions } from '../render/audit.ts'
import { json, oneOf, text, wholeNumber, type Call, type FixedRoute } from './route.ts'
import type { AuditSource } from './sources.ts'

export interface AuditRouteDeps {
  readonly audit: AuditSource
  readonly clock: Clock
}

const FILTER = {
  project: 'Only of this project.',
  principal: 'Only of this principal, or what it did as another: its name or key.',
  user: 'Only of this person, with whatever token.',
  token: 'Only with this token: its name, or the first 8 or more digits of its SHA-256.',
  kind: `Only of this kind: ${EVENT_KINDS.join(', ')}.`,
  decision: 'Only what was allowed, or denied: allow or deny.',
  tool: 'Only of this tool.',
  grant: 'Only what this grant was sent with, or what was done with it.',
  since: 'Not before: a duration back from now (1h, 7d) or a date.',
  until: 'Not after, likewise.',
  limit: 'How many at most; default 100.',
  output: 'One of table, wide, json, yaml; default json.',
}

const SHARED = {
  method: 'GET',
  query: FILTER,
  permission: { verb: 'view', kind: 'audit', project: '{project}' },
  answer: { status: 200, types: ['application/json', 'application/yaml', 'text/plain'] },
} as const

/** The record of calls and changes. */
export const auditRoutes = (deps: AuditRouteDeps): readonly FixedRoute[] => [
  {
    ...SHARED,
    path: '/api/v1/audit',
    summary: 'Entries of the record, newest last.',
    async handle(call) {
      const rows = await deps.audit.query(readFilter(deps, call))
      return answer(call, { json: { items: rows }, yaml: rows, table: (wide) => renderAudit(rows, { wide }) })
    },
  },
  {
    ...SHARED,
    path: '/api/v1/audit/sessions',
    summary:
      'Sessions of MCP clients, the one used last at the end. Filters choose the requests that are counted.',
    async handle(call) {
      const found = await deps.audit.sessions(readFilter(deps, call))
      return answer(call, {
        json: found,
        yaml: found.items,
        table: (wide) => renderSessions(found, { wide }),
      })
    },
  },
]

interface Shown {
  readonly json: unknown
  readonly yaml: unknown
  readonly table: (wide: boolean) => string
}

async function answer({ query }: Call, shown: Shown): Promise<Response> {
  const output = oneOf('output', query['output'] ?? 'json', ['table', 'wide', 'json', 'yaml'])
  if (output === 'json') return json(shown.json)
  if (output !== 'yaml') return text(shown.table(output === 'wide'))
  const { stringify } = await import('yaml')
  return text(stringify(shown.yaml), 'application/yaml')
}

const ONE_PROJECT = 'you may read the record of some projects only: name one, with -p PROJECT'

/**
 * Whoever may read the record of one project names it, and sees nothing of others or of what belongs to none.
 * @throws Fault `invalid`, `forbidden`
 */
function readFilter({ clock }: AuditRouteDeps, { query, access }: Call): AuditFilter {
  const { project, principal, user, token, tool, grant, kind, decision } = query
  access.demand({ verb: 'view', kind: 'audit', project }, project === undefined ? ONE_PROJECT : undefined)
  return {
    project,
    principal,
    user,
    token,
    tool,
    grant: grant === undefined ? undefined : (grantName(grant) ?? grant),
    kind: kind === undefined ? undefined : oneOf('kind', kind, EVENT_KINDS),
    decision: decision === undefined ? undefined : oneOf('decision', decision, ['allow', 'deny']),
    sinceMs: timeOf('since', query['since'], clock),
    untilMs: timeOf('until', query['until'], clock),
    limit: wholeNumber('limit', query['limit'], { max: 10_000, fallback: 100 }),
  }
}

/** @throws Fault `invalid` */
function timeOf(name: string, value: string | undefined, clock: Clock): number | undefined {
  if (value === undefined) return undefined
  const atMs = momentMs(value, clock.nowMs())
  if (atMs !== undefined) return atMs
  throw new Fault('invalid', { problems: [`${name}: must be a duration such as 1h or 7d, or a date (UTC)`] })
}
