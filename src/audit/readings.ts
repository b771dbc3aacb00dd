import type { EventKind } from './event-kind.ts'
import type { Soon } from './record.ts'

/** What is looked for. All that is given must fit. */
export interface AuditFilter {
  readonly project?: string | undefined
  /** A principal's key (`token:…`) or its readable name; what it did as another is found too. */
  readonly principal?: string | undefined
  /** Name of the person behind it. */
  readonly user?: string | undefined
  /** Name of a token, or the first 8 or more digits of its SHA-256. */
  readonly token?: string | undefined
  readonly kind?: EventKind | undefined
  readonly decision?: 'allow' | 'deny' | undefined
  /** As a client says it: `tool`, or `server__tool`. Prompts and resources by name or URI. */
  readonly tool?: string | undefined
  /** Name of a grant: what it was sent with, and what was done with it. */
  readonly grant?: string | undefined
  /** Inclusive. */
  readonly sinceMs?: number | undefined
  /** Exclusive. */
  readonly untilMs?: number | undefined
  /** Newest rows to return, 1 to 10,000. */
  readonly limit: number
}

const MAX_LIMIT = 10_000

export const limitOf = ({ limit }: AuditFilter): number => Math.min(Math.max(1, Math.trunc(limit)), MAX_LIMIT)

/** One column compared with one value. */
export interface Condition {
  readonly column:
    | 'actor'
    | 'at_ms'
    | 'decision'
    | 'grant_name'
    | 'kind'
    | 'principal'
    | 'principal_name'
    | 'project'
    | 'server'
    | 'target'
    | 'token_name'
    | 'token_sha'
    | 'user_name'
  /** The last is true for a row that has no value there. */
  readonly is: '=' | '>=' | '<' | 'IS DISTINCT FROM'
  readonly value: string | number
}

/**
 * Most rows are requests, and most are allowed: the indexes on these columns leave them out. A statement has to repeat
 * such a clause word for word to use its index.
 */
export const RARE_KIND = `kind NOT IN ('tool_call', 'request')`
export const RARE_DECISION = `decision = 'deny'`

const rareOf = ({ column, value }: Condition): string | undefined => {
  if (column === 'kind') return value === 'tool_call' || value === 'request' ? undefined : RARE_KIND
  return column === 'decision' && value === 'deny' ? RARE_DECISION : undefined
}

/** Whether there is an index that finds the rows of this condition alone. */
export const hasIndex = (condition: Condition): boolean =>
  condition.is === '=' &&
  (rareOf(condition) !== undefined || !['decision', 'kind', 'server'].includes(condition.column))

/** @param place where the value is filled in: `?`, `$1` */
export function conditionText(condition: Condition, place: string): string {
  const text = `${condition.column} ${condition.is} ${place}`
  const rare = rareOf(condition)
  return rare === undefined ? text : `${text} AND ${rare}`
}

/** What finding out about a filter asks of the index. */
export interface Probe {
  /** Whether any row meets the condition. */
  any(condition: Condition): Soon<boolean>
  /** Keys of callers that meet the conditions on user and token, at most `limit`. */
  callers(where: readonly Condition[], limit: number): Soon<readonly string[]>
}

/**
 * The conditions of a filter, each way of reading it apart: no row meets two of them. Each way has an index of its own
 * that ends in the time, so newest first is a walk from the end of a range, however much lies before it; one statement
 * with OR would sort everything that fits.
 */
export async function readingsOf(probe: Probe, filter: AuditFilter): Promise<Condition[][]> {
  const { principal, tool } = filter
  // A way that nothing fits is dropped here: together with another condition it would be looked for in all rows.
  const fitting = async (ways: readonly Condition[][]): Promise<Condition[][]> => {
    const kept: Condition[][] = []
    for (const way of ways) if (way[0] === undefined || (await probe.any(way[0]))) kept.push(way)
    return kept
  }
  const credentials = await credentialReadings(probe, filter)
  const principals = await fitting(principal === undefined ? [[]] : principalReadings(principal))
  const tools = await fitting(tool === undefined ? [[]] : toolReadings(tool))
  const always = conditionsOf(filter)
  return credentials.flatMap((which) =>
    principals.flatMap((who) => tools.map((what) => always.concat(which, who, what))),
  )
}

const equal = (column: Condition['column'], value: string): Condition => ({ column, is: '=', value })
const not = (column: Condition['column'], value: string): Condition => ({
  column,
  is: 'IS DISTINCT FROM',
  value,
})

function conditionsOf({ sinceMs, untilMs, project, kind, decision, grant }: AuditFilter): Condition[] {
  const fields = { project, kind, decision, grant_name: grant } as const
  const equals = Object.entries(fields) as [Condition['column'], string | undefined][]
  return [
    { column: 'at_ms', is: '>=', value: sinceMs ?? Number.MIN_SAFE_INTEGER },
    { column: 'at_ms', is: '<', value: untilMs ?? Number.MAX_SAFE_INTEGER },
    ...equals.flatMap(([column, value]) => (value === undefined ? [] : [equal(column, value)])),
  ]
}

const principalReadings = (principal: string): Condition[][] => [
  [equal('principal', principal)],
  [equal('principal_name', principal), not('principal', principal)],
  [equal('actor', principal), not('principal', principal), not('principal_name', principal)],
]

function toolReadings(tool: string): Condition[][] {
  const cut = tool.indexOf('__')
  const plain = [equal('target', tool)]
  if (cut <= 0) return [plain]
  return [plain, [equal('target', tool.slice(cut + 2)), equal('server', tool.slice(0, cut))]]
}

/** Callers that are looked for one by one; those of somebody with more are met soon enough on the way through all rows. */
const MAX_CALLERS = 64

/** Users and tokens have no index of their own: the callers that they stand for have one. */
async function credentialReadings(probe: Probe, filter: AuditFilter): Promise<Condition[][]> {
  const { user, token, principal } = filter
  if (user === undefined && token === undefined) return [[]]
  const of = user === undefined ? [] : [equal('user_name', user)]
  const readings: Condition[][] = []
  for (const credential of token === undefined ? [[]] : tokenReadings(token)) {
    const way = [...of, ...credential]
    const callers = await probe.callers(way, MAX_CALLERS + 1)
    if (callers.length > MAX_CALLERS || (callers.length > 0 && principal !== undefined)) readings.push(way)
    else for (const caller of callers) readings.push([...way, equal('principal', caller)])
  }
  return readings
}

const SHA_PREFIX = /^[0-9a-f]{8,64}$/

function tokenReadings(token: string): Condition[][] {
  const named = [equal('token_name', token)]
  const prefix = token.toLowerCase()
  if (!SHA_PREFIX.test(prefix)) return [named]
  // `g` comes after every digit: all digests that begin with the prefix lie between.
  const digests: Condition[] = [
    { column: 'token_sha', is: '>=', value: prefix },
    { column: 'token_sha', is: '<', value: `${prefix}g` },
  ]
  return [named, [...digests, not('token_name', token)]]
}
