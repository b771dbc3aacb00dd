import { momentMs } from '../../lib/time-text.ts'
import { choice, text } from '../define-command.ts'
import { usage } from '../failure.ts'
import { onlyProject } from '../options.ts'

/** What both listings of the record can be narrowed down to. */
export const FILTER_OPTIONS = {
  project: onlyProject,
  user: text('--user <name>', 'only what this person did, with whatever token', 'users'),
  token: text('--token <name>', 'only with this token: its name, or 8 or more digits of its SHA-256'),
  principal: text('--principal <name>', 'only what this caller did'),
  kind: text(
    '--kind <kind>',
    'only one kind: tool_call, session_bind, access_decision, token, grant, sign_in, …',
  ),
  decision: choice('--decision <decision>', 'only what was allowed, or denied', ['allow', 'deny']),
  tool: text('--tool <name>', 'only calls of this tool'),
  grant: text('--grant <name>', 'only what this grant was sent with, or what was done with it', 'grants'),
  since: text('--since <time>', 'only from then on: a duration back from now (30m, 1h, 7d) or a date'),
  until: text('--until <time>', 'only until then, written likewise'),
  limit: text('--limit <number>', 'at most so many, the newest'),
  output: choice('-o, --output <format>', 'how to print it', ['table', 'wide', 'yaml', 'json']),
}

type GivenFilter = {
  readonly [Name in keyof typeof FILTER_OPTIONS]: (typeof FILTER_OPTIONS)[Name]['value']
}

/**
 * The query for the API.
 * @throws CliFailure for a time or a number that is none
 */
export function auditQuery(given: GivenFilter): Record<string, string | undefined> {
  const { since, until, limit, output = 'table', ...filter } = given
  if (limit !== undefined && !/^[1-9]\d{0,6}$/.test(limit))
    throw usage('--limit is not a number of entries', 'write: --limit 100')
  const nowMs = Date.now()
  return {
    ...filter,
    since: since === undefined ? undefined : readTime('--since', since, nowMs),
    until: until === undefined ? undefined : readTime('--until', until, nowMs),
    limit,
    output,
  }
}

/** @returns RFC 3339, UTC */
function readTime(option: string, given: string, nowMs: number): string {
  const atMs = momentMs(given, nowMs)
  if (atMs === undefined)
    throw usage(
      `${option} is neither a duration nor a date`,
      'write 30m, 1h, 7d, 2026-01-31 or 2026-01-31T12:00:00Z',
    )
  return new Date(atMs).toISOString()
}
