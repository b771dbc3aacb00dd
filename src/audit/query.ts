import type { Soon } from './record.ts'

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

/** One column compared with one value. */
export interface Condition {
  readonly column: 'at_ms' | 'project' | 'principal' | 'principal_name' | 'server' | 'target'
  readonly is: '=' | '>=' | '<'
  readonly value: string | number
}

export interface Found {
  /** Of the row among all of the index. */
  readonly key: string
  /** Place in its chain. */
  readonly n: number
  readonly row: AuditRow
}

/** The newest rows that meet all conditions. */
export type FindNewest = (where: readonly Condition[], limit: number) => Soon<readonly Found[]>

/** The newest rows that match, oldest first. */
export async function queryRows(findNewest: FindNewest, filter: AuditFilter): Promise<AuditRow[]> {
  const limit = Math.min(Math.max(1, Math.trunc(filter.limit)), MAX_LIMIT)
  // Each way to read the filter has an index of its own, which ends in the time: newest first is then a walk from the
  // end of a range, however much lies before it. One statement with OR would sort everything that matches.
  const found = new Map<string, Found>()
  for (const where of await readings(findNewest, filter))
    for (const row of await findNewest(where, limit)) found.set(row.key, row)
  return [...found.values()]
    .sort((a, b) => a.row.atMs - b.row.atMs || a.n - b.n)
    .slice(-limit)
    .map(({ row }) => row)
}

async function readings(findNewest: FindNewest, filter: AuditFilter): Promise<Condition[][]> {
  const { sinceMs, untilMs, project, principal, tool } = filter
  const always: Condition[] = [
    { column: 'at_ms', is: '>=', value: sinceMs ?? Number.MIN_SAFE_INTEGER },
    { column: 'at_ms', is: '<', value: untilMs ?? Number.MAX_SAFE_INTEGER },
  ]
  if (project !== undefined) always.push(equal('project', project))
  // A reading that nothing matches is dropped here: together with another condition it would be looked for in all rows.
  const matching = async (ways: readonly Condition[][]): Promise<Condition[][]> => {
    const kept: Condition[][] = []
    for (const way of ways)
      if (way[0] === undefined || (await findNewest([way[0]], 1)).length > 0) kept.push(way)
    return kept
  }
  const principals = await matching(principal === undefined ? [[]] : principalReadings(principal))
  const tools = await matching(tool === undefined ? [[]] : toolReadings(tool))
  return principals.flatMap((who) => tools.map((what) => always.concat(who, what)))
}

const equal = (column: Condition['column'], value: string): Condition => ({ column, is: '=', value })

const principalReadings = (principal: string): Condition[][] => [
  [equal('principal', principal)],
  [equal('principal_name', principal)],
]

function toolReadings(tool: string): Condition[][] {
  const cut = tool.indexOf('__')
  const plain = [equal('target', tool)]
  if (cut <= 0) return [plain]
  return [plain, [equal('target', tool.slice(cut + 2)), equal('server', tool.slice(0, cut))]]
}

// oxfmt-ignore
const FIELDS = [
  ['id', 'id'], ['atMs', 'at_ms'], ['event', 'event'], ['principal', 'principal'], ['principalName', 'principal_name'],
  ['project', 'project'], ['server', 'server'], ['target', 'target'], ['session', 'session'], ['decision', 'decision'],
  ['reason', 'reason'], ['status', 'status'], ['durationMs', 'duration_ms'], ['code', 'code'], ['count', 'count'],
] as const

/** A row of the index, in either database. */
export function auditRowOf(row: Readonly<Record<string, unknown>>): AuditRow {
  const fields = FIELDS.filter(([, column]) => row[column] !== null).map(([field, column]) => [
    field,
    row[column],
  ])
  return Object.fromEntries(fields) as AuditRow
}
