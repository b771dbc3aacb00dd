import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite'

/** One line of the listing: an intent with its outcome, or a `gap` or `refusals` entry under that event name. */
export interface AuditRow {
  readonly id: string
  readonly atMs: number
  readonly event: string
  readonly principal: string
  readonly principalName: string
  readonly project?: string
  readonly server?: string
  readonly target?: string
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

export interface AuditFilter {
  readonly project?: string | undefined
  /** A principal's key (`token:…`) or its readable name. */
  readonly principal?: string | undefined
  /** As a client says it: `tool`, or `server__tool`. Prompts and resources by name or URI. */
  readonly tool?: string | undefined
  /** Inclusive. */
  readonly sinceMs?: number | undefined
  /** Exclusive. */
  readonly untilMs?: number | undefined
  /** Newest rows to return, 1 to 10,000. */
  readonly limit: number
}

const MAX_LIMIT = 10_000

/** The newest rows that match, oldest first. */
export function queryRows(db: DatabaseSync, filter: AuditFilter): AuditRow[] {
  const limit = Math.min(Math.max(1, Math.trunc(filter.limit)), MAX_LIMIT)
  // Each way to read the filter has an index of its own, which ends in the time: newest first is then a walk from the
  // end of a range, however much lies before it. One statement with OR would sort everything that matches.
  const found = new Map<number, Found>()
  for (const where of readings(db, filter)) for (const row of newest(db, where, limit)) found.set(row.n, row)
  return [...found.values()]
    .sort((a, b) => a.row.atMs - b.row.atMs || a.n - b.n)
    .slice(-limit)
    .map(({ row }) => row)
}

interface Found {
  readonly n: number
  readonly row: AuditRow
}

type Condition = readonly [sql: string, value: SQLInputValue]

function readings(db: DatabaseSync, filter: AuditFilter): Condition[][] {
  const { sinceMs, untilMs, project, principal, tool } = filter
  const always: Condition[] = [
    ['at_ms >= ?', sinceMs ?? Number.MIN_SAFE_INTEGER],
    ['at_ms < ?', untilMs ?? Number.MAX_SAFE_INTEGER],
  ]
  if (project !== undefined) always.push(['project = ?', project])
  // A reading that nothing matches is dropped here: together with another condition it would be looked for in all rows.
  const matches = (way: Condition[]): boolean => way[0] === undefined || newest(db, [way[0]], 1).length > 0
  const principals = (principal === undefined ? [[]] : principalReadings(principal)).filter(matches)
  const tools = (tool === undefined ? [[]] : toolReadings(tool)).filter(matches)
  return principals.flatMap((who) => tools.map((what) => always.concat(who, what)))
}

const principalReadings = (principal: string): Condition[][] => [
  [['principal = ?', principal]],
  [['principal_name = ?', principal]],
]

function toolReadings(tool: string): Condition[][] {
  const cut = tool.indexOf('__')
  const plain: Condition[] = [['target = ?', tool]]
  if (cut <= 0) return [plain]
  return [
    plain,
    [
      ['target = ?', tool.slice(cut + 2)],
      ['server = ?', tool.slice(0, cut)],
    ],
  ]
}

/** The first that fits is walked; the planner has no statistics and would have to guess. */
const INDEXES = [
  ['target =', 'calls_by_target'],
  ['principal =', 'calls_by_principal'],
  ['principal_name =', 'calls_by_principal_name'],
  ['project =', 'calls_by_project'],
  ['at_ms', 'calls_by_time'],
] as const

function newest(db: DatabaseSync, where: readonly Condition[], limit: number): Found[] {
  const index =
    INDEXES.find(([column]) => where.some(([sql]) => sql.startsWith(column)))?.[1] ?? 'calls_by_time'
  const sql = `SELECT * FROM calls INDEXED BY ${index} WHERE ${where.map(([text]) => text).join(' AND ')}
    ORDER BY at_ms DESC, n DESC LIMIT ?`
  const rows = db.prepare(sql).all(...where.map(([, value]) => value), limit)
  return rows.map((row) => ({ n: row['n'] as number, row: rowOf(row) }))
}

// oxfmt-ignore
const FIELDS = [
  ['id', 'id'], ['atMs', 'at_ms'], ['event', 'event'], ['principal', 'principal'], ['principalName', 'principal_name'],
  ['project', 'project'], ['server', 'server'], ['target', 'target'], ['session', 'session'], ['decision', 'decision'],
  ['reason', 'reason'], ['status', 'status'], ['durationMs', 'duration_ms'], ['code', 'code'], ['count', 'count'],
] as const

function rowOf(row: Record<string, SQLOutputValue>): AuditRow {
  const fields = FIELDS.filter(([, column]) => row[column] !== null).map(([field, column]) => [
    field,
    row[column],
  ])
  return Object.fromEntries(fields) as AuditRow
}
