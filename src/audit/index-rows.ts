import type { SegmentRow } from './chain.ts'
import { decodeBody } from './encode.ts'
import type { Entry, Gap, Intent, Outcome, Refusals } from './entry.ts'
import { kindOf } from './event-kind.ts'

/** The record once more, cut into rows that can be searched: one for each call, with its outcome where it is known. */

// oxfmt-ignore
export const COLUMNS = [
  'n', 'at_ms', 'id', 'event', 'principal', 'principal_name', 'project', 'server', 'target', 'session', 'decision',
  'reason', 'status', 'duration_ms', 'code', 'count', 'user_name', 'token_name', 'token_sha', 'actor', 'kind',
  'grant_name', 'injected',
] as const

/** What is not there is an empty text: together they are a key. */
export const CALLER_COLUMNS = ['principal', 'user_name', 'token_name', 'token_sha'] as const

type Row = readonly (string | number | null)[]

export interface IndexRows {
  /** Values in the order of `COLUMNS`. */
  readonly rows: readonly Row[]
  /** Each caller with a user or a token once, in order; values in the order of `CALLER_COLUMNS`. */
  readonly callers: readonly (readonly string[])[]
  /** Outcomes of calls whose intent lies in an earlier slice. */
  readonly late: readonly Outcome[]
}

/** Row number of an entry: its segment and its place in it, so that numbers follow the chain. */
export const rowNumber = (seq: number, place: number): number => seq * 4096 + place

export function indexRows(segments: readonly SegmentRow[]): IndexRows {
  const outcomes = new Map<string, Outcome>()
  const entries = segments.flatMap((segment) =>
    decode(segment).map((entry, i) => [rowNumber(segment.seq, i), entry] as const),
  )
  for (const [, entry] of entries) if (entry.type === 'outcome') outcomes.set(entry.of, entry)
  const rows: Row[] = []
  for (const [n, entry] of entries) {
    if (entry.type === 'outcome' || entry.type === 'tips') continue
    if (entry.type !== 'intent') rows.push(otherRow(n, entry))
    else {
      rows.push(callRow(n, entry, outcomes.get(entry.id)))
      outcomes.delete(entry.id)
    }
  }
  return { rows, callers: callersOf(entries.map(([, entry]) => entry)), late: [...outcomes.values()] }
}

function callersOf(entries: readonly Entry[]): string[][] {
  const callers = new Map<string, string[]>()
  for (const entry of entries) {
    if (entry.type !== 'intent' || (entry.user ?? entry.token) === undefined) continue
    const caller = [entry.principal, entry.user ?? '', entry.token ?? '', entry.tokenSha ?? '']
    callers.set(caller.join('\0'), caller)
  }
  // In one order, so that two who write them at once never wait for each other.
  return [...callers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, caller]) => caller)
}

function callRow(n: number, entry: Intent, outcome: Outcome | undefined): Row {
  const { id, event, principal, principalName, project, server, target, session, decision, reason } = entry
  const who = [
    principal,
    principalName,
    project ?? null,
    server ?? null,
    target ?? null,
    session ?? outcome?.session ?? null,
  ]
  const end = [outcome?.status ?? null, outcome?.durationMs ?? null, outcome?.code ?? null]
  const behind = [entry.user ?? null, entry.token ?? null, entry.tokenSha ?? null, entry.actor ?? null]
  const kind = kindOf(event, decision)
  const sent = [entry.grant ?? grantIn(entry) ?? null, entry.injected ?? null]
  return [
    n,
    Math.trunc(entry.atMs),
    id,
    event,
    ...who,
    decision,
    reason ?? null,
    ...end,
    null,
    ...behind,
    kind,
    ...sent,
  ]
}

/** What is done with a grant is found by its name, as what it is sent with. */
const grantIn = ({ event, target }: Intent): string | undefined =>
  event.endsWith(' grants') ? target : undefined

function otherRow(n: number, entry: Gap | Refusals): Row {
  const gap = entry.type === 'gap'
  const event = gap ? 'gap' : (entry.event ?? 'refusals')
  const account = gap ? null : (entry.account ?? null)
  const reason = gap ? `entries lost since ${new Date(entry.sinceMs).toISOString()}` : entry.reason
  const what = [null, null, account, null, 'deny', reason, null, null, null]
  const count = gap ? entry.entriesLost : entry.count
  const who = ['-', gap ? '-' : entry.source]
  const id = `${entry.type}-${n}`
  return [
    n,
    Math.trunc(entry.atMs),
    id,
    event,
    ...who,
    ...what,
    count,
    null,
    null,
    null,
    null,
    kindOf(event, 'deny'),
    null,
    null,
  ]
}

/** The listing goes on where the record was damaged, and says so in the place of what was there. */
function decode({ seq, body, firstAtMs }: SegmentRow): Entry[] {
  try {
    return decodeBody(body)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    const reason = `segment ${seq} cannot be read: castellan audit verify`
    return [{ type: 'refusals', atMs: firstAtMs, source: '-', reason, count: 0 }]
  }
}
