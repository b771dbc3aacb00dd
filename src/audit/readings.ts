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

/** What finding out about a filter asks of the index. */
export interface Probe {
  /** Whether any row meets the condition. */
  any(condition: Condition): Soon<boolean>
  /** The first of the digests in the index that is not before `from` and before `below`. */
  firstSha(from: string, below: string): Soon<string | undefined>
}

/**
 * The conditions of a filter, each way of reading it apart: no row meets two of them. Each way has an index of its own
 * that ends in the time, so newest first is a walk from the end of a range, however much lies before it; one statement
 * with OR would sort everything that fits.
 */
export async function readingsOf(probe: Probe, filter: AuditFilter): Promise<Condition[][]> {
  const { principal, token, tool } = filter
  // A way that nothing fits is dropped here: together with another condition it would be looked for in all rows.
  const fitting = async (ways: readonly Condition[][]): Promise<Condition[][]> => {
    const kept: Condition[][] = []
    for (const way of ways) if (way[0] === undefined || (await probe.any(way[0]))) kept.push(way)
    return kept
  }
  const tokens = await fitting(token === undefined ? [[]] : await tokenReadings(probe, token))
  const principals = await fitting(principal === undefined ? [[]] : principalReadings(principal))
  const tools = await fitting(tool === undefined ? [[]] : toolReadings(tool))
  const always = conditionsOf(filter)
  return tokens.flatMap((which) =>
    principals.flatMap((who) => tools.map((what) => always.concat(which, who, what))),
  )
}

const equal = (column: Condition['column'], value: string): Condition => ({ column, is: '=', value })
const not = (column: Condition['column'], value: string): Condition => ({
  column,
  is: 'IS DISTINCT FROM',
  value,
})

function conditionsOf({ sinceMs, untilMs, project, user, kind, decision }: AuditFilter): Condition[] {
  const fields = { project, user_name: user, kind, decision } as const
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

const SHA_PREFIX = /^[0-9a-f]{8,64}$/
/** Tokens that a prefix may stand for: with 8 digits a second one is a rarity. */
const MAX_SHAS = 4

async function tokenReadings(probe: Probe, token: string): Promise<Condition[][]> {
  const ways = [[equal('token_name', token)]]
  const prefix = token.toLowerCase()
  if (!SHA_PREFIX.test(prefix)) return ways
  // `g` comes after all digits that begin with the prefix, `!` before any that goes on from a whole digest.
  let sha = await probe.firstSha(prefix, `${prefix}g`)
  while (sha !== undefined && ways.length <= MAX_SHAS) {
    ways.push([equal('token_sha', sha), not('token_name', token)])
    sha = await probe.firstSha(`${sha}!`, `${prefix}g`)
  }
  return ways
}
