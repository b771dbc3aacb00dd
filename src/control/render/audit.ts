import type { AuditRow } from '../../audit/query.ts'
import type { AuditSession, AuditSessions } from '../../audit/sessions.ts'
import { alignColumns, oneLine } from './format.ts'

type Column<Row> = readonly [header: string, of: (row: Row) => string | undefined, wide?: boolean]

/** What is enough to see whether two are the same, and to find one with `--token`. */
const SHORT_SHA = 12

const time = (atMs: number): string => new Date(atMs).toISOString()

// oxfmt-ignore
const ENTRY: readonly Column<AuditRow>[] = [
  ['TIME',      (row) => time(row.atMs)],
  ['USER',      (row) => row.user],
  ['TOKEN',     (row) => row.token],
  ['PRINCIPAL', (row) => row.principalName],
  ['PROJECT',   (row) => row.project],
  ['EVENT',     (row) => row.event],
  ['SERVER',    (row) => row.server],
  ['TARGET',    (row) => row.target],
  ['DECISION',  (row) => row.decision],
  ['STATUS',    (row) => row.status],
  ['MS',        (row) => (typeof row.durationMs === 'number' ? row.durationMs.toFixed(1) : undefined)],
  ['REASON',    (row) => reasonOf(row)],
  ['KIND',      (row) => row.kind,      true],
  ['GRANT',     (row) => row.grant,     true],
  ['INJECTED',  (row) => row.injected,  true],
  ['KEY',       (row) => row.principal, true],
  ['ACTOR',     (row) => row.actor,     true],
  ['SHA256',    (row) => row.tokenSha?.slice(0, SHORT_SHA), true],
  ['SESSION',   (row) => row.session,   true],
  ['ID',        (row) => row.id,        true],
]

// oxfmt-ignore
const SESSION: readonly Column<AuditSession>[] = [
  ['SESSION',   (row) => row.session?.slice(0, SHORT_SHA)],
  ['PROJECT',   (row) => row.project],
  ['USER',      (row) => row.user],
  ['TOKEN',     (row) => row.token],
  ['PRINCIPAL', (row) => row.principalName],
  ['FIRST',     (row) => time(row.firstAtMs)],
  ['LAST',      (row) => time(row.lastAtMs)],
  ['CALLS',     (row) => String(row.calls)],
  ['DENIED',    (row) => String(row.denied)],
  ['REQUESTS',  (row) => String(row.requests), true],
  ['KEY',       (row) => row.principal,        true],
  ['ACTOR',     (row) => row.actor,            true],
  ['SHA256',    (row) => row.tokenSha?.slice(0, SHORT_SHA), true],
]

interface Width {
  readonly wide: boolean
}

/** Refusals and lost entries are counted. */
function reasonOf({ reason, code, count = 1 }: AuditRow): string | undefined {
  const text = reason ?? code
  return text === undefined || count === 1 ? text : `${text} ×${count}`
}

/** Entries of the record, one a line. */
export const renderAudit = (rows: readonly AuditRow[], width: Width): string => renderRows(ENTRY, rows, width)

/** Sessions of the record, one a line; a last line where there would be more to count. */
export const renderSessions = ({ items, complete }: AuditSessions, width: Width): string =>
  renderRows(SESSION, items, width) +
  (complete
    ? ''
    : '\nOnly the newest requests are counted: choose fewer with --since, --project, --user or --token.\n')

function renderRows<Row>(all: readonly Column<Row>[], rows: readonly Row[], { wide }: Width): string {
  const columns = all.filter(([, , onlyWide]) => wide || onlyWide !== true)
  const cell = (value: string | undefined): string => {
    const text = oneLine(value ?? '', wide ? undefined : 60)
    return text === '' ? '-' : text
  }
  return alignColumns([
    columns.map(([header]) => header),
    ...rows.map((row) => columns.map(([, of]) => cell(of(row)))),
  ])
}
