/** Who was connected where, from when to when: the requests of a client put together. */
export interface AuditSession {
  /** Digest of the session id. Absent: requests of revisions that have no sessions, put together for their caller. */
  readonly session?: string
  readonly project: string
  readonly principal: string
  readonly principalName: string
  readonly user?: string
  readonly token?: string
  readonly tokenSha?: string
  readonly actor?: string
  readonly firstAtMs: number
  readonly lastAtMs: number
  /** Tool calls; all requests that are on the record; those of them that were denied. */
  readonly calls: number
  readonly requests: number
  readonly denied: number
}

export interface AuditSessions {
  readonly items: readonly AuditSession[]
  /** False: more requests match than are looked at, so older sessions are left out and counts may be too small. */
  readonly complete: boolean
}

/** A session as the index counts it: null for what is not there. */
export type SessionRow = {
  readonly [Field in keyof AuditSession]-?: undefined extends AuditSession[Field]
    ? Exclude<AuditSession[Field], undefined> | null
    : AuditSession[Field]
}

/**
 * The statement of either database. `who` comes back in lower case from one of them unless it is quoted.
 * @param rows the requests to count: a table, or a statement in parentheses
 */
export const sessionsStatement = (rows: string): string => `
  SELECT session, project, principal, token_sha AS "tokenSha", actor, max(principal_name) AS "principalName",
    max(user_name) AS "user", max(token_name) AS "token", min(at_ms) AS "firstAtMs", max(at_ms) AS "lastAtMs",
    count(*) FILTER (WHERE kind = 'tool_call') AS calls, count(*) AS requests,
    count(*) FILTER (WHERE decision = 'deny') AS denied
  FROM (${rows}) AS requests GROUP BY session, project, principal, token_sha, actor`

/** Of all rows of the index, those that are requests of MCP clients in a project. */
export const IS_REQUEST = `project IS NOT NULL AND (session IS NOT NULL OR kind IN ('tool_call', 'request'))`

/** What several readings of a filter have found of one session is one session. The one used last comes last. */
export function mergeSessions(rows: readonly SessionRow[]): AuditSession[] {
  const merged = new Map<string, SessionRow>()
  for (const row of rows) {
    const { session, project, principal, tokenSha, actor } = row
    const key = JSON.stringify([session, project, principal, tokenSha, actor])
    const before = merged.get(key)
    merged.set(key, before === undefined ? row : joined(before, row))
  }
  return [...merged.values()]
    .sort((a, b) => a.lastAtMs - b.lastAtMs || a.firstAtMs - b.firstAtMs)
    .map((row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as never)
}

const joined = (a: SessionRow, b: SessionRow): SessionRow => ({
  ...a,
  firstAtMs: Math.min(a.firstAtMs, b.firstAtMs),
  lastAtMs: Math.max(a.lastAtMs, b.lastAtMs),
  calls: a.calls + b.calls,
  requests: a.requests + b.requests,
  denied: a.denied + b.denied,
})
