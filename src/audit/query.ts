import type { EventKind } from './event-kind.ts'
import { limitOf, readingsOf, type AuditFilter, type Condition, type Probe } from './readings.ts'
import type { Soon } from './record.ts'
import { mergeSessions, type AuditSessions, type SessionRow } from './sessions.ts'

/** One line of the listing: an intent with its outcome, or a `gap` or `refusals` entry under that event name. */
export interface AuditRow {
  readonly id: string
  readonly atMs: number
  readonly event: string
  readonly kind: EventKind
  readonly principal: string
  readonly principalName: string
  /** Name of the person behind it. */
  readonly user?: string
  readonly token?: string
  /** SHA-256 of the token, hex. */
  readonly tokenSha?: string
  /** Key of the principal that acted as `principal`. */
  readonly actor?: string
  readonly project?: string
  readonly server?: string
  readonly target?: string
  /** Name of the grant that was sent with it, or that it is about; and where it was sent: `authorization`, `?api_key`. */
  readonly grant?: string
  readonly injected?: string
  readonly session?: string
  readonly decision: 'allow' | 'deny'
  readonly reason?: string
  /** Absent: no outcome yet, or none recorded before a crash. */
  readonly status?: string
  readonly durationMs?: number
  readonly code?: string
  /** Of `refusals`: how many; of a `gap`: entries lost. */
  readonly count?: number
}

export interface Found {
  /** Place in its chain. */
  readonly n: number
  readonly row: AuditRow
}

/** The index, in a file or a database. */
export interface Index extends Probe {
  /** The newest rows that meet all conditions. */
  newest(where: readonly Condition[], limit: number): Soon<readonly Found[]>
  /** Of the newest `most` requests that meet all conditions: one row for each session and caller. */
  sessions(where: readonly Condition[], most: number): Soon<readonly SessionRow[]>
}

/** The newest rows that match, oldest first. */
export async function queryRows(index: Index, filter: AuditFilter): Promise<AuditRow[]> {
  const limit = limitOf(filter)
  const found: Found[] = []
  for (const where of await readingsOf(index, filter)) found.push(...(await index.newest(where, limit)))
  return found
    .sort((a, b) => a.row.atMs - b.row.atMs || a.n - b.n)
    .slice(-limit)
    .map(({ row }) => row)
}

/** Requests that are looked at for one listing of sessions: some tenths of a second. */
const MAX_REQUESTS = 100_000

/** The sessions that were used last among the requests that match, oldest first. */
export async function querySessions(index: Index, filter: AuditFilter): Promise<AuditSessions> {
  const rows: SessionRow[] = []
  let complete = true
  for (const where of await readingsOf(index, filter)) {
    const part = await index.sessions(where, MAX_REQUESTS)
    complete &&= part.reduce((sum, { requests }) => sum + requests, 0) < MAX_REQUESTS
    rows.push(...part)
  }
  return { items: mergeSessions(rows).slice(-limitOf(filter)), complete }
}

// oxfmt-ignore
const FIELDS = [
  ['id', 'id'], ['atMs', 'at_ms'], ['event', 'event'], ['kind', 'kind'], ['principal', 'principal'],
  ['principalName', 'principal_name'], ['user', 'user_name'], ['token', 'token_name'], ['tokenSha', 'token_sha'],
  ['actor', 'actor'], ['project', 'project'], ['server', 'server'], ['target', 'target'], ['grant', 'grant_name'], ['injected', 'injected'], ['session', 'session'],
  ['decision', 'decision'], ['reason', 'reason'], ['status', 'status'], ['durationMs', 'duration_ms'], ['code', 'code'],
  ['count', 'count'],
] as const

/** A row of the index, in either database. */
export function auditRowOf(row: Readonly<Record<string, unknown>>): AuditRow {
  const fields = FIELDS.filter(([, column]) => row[column] !== null).map(([field, column]) => [
    field,
    row[column],
  ])
  return Object.fromEntries(fields) as AuditRow
}
