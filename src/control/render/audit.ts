import type { AuditRow } from '../../audit/query.ts'
import { alignColumns, oneLine } from './format.ts'

type AuditColumn = readonly [header: string, of: (row: AuditRow) => string | undefined, wide?: boolean]

// oxfmt-ignore
const COLUMNS: readonly AuditColumn[] = [
  ['TIME',      (row) => new Date(row.atMs).toISOString()],
  ['PRINCIPAL', (row) => row.principalName],
  ['PROJECT',   (row) => row.project],
  ['EVENT',     (row) => row.event],
  ['SERVER',    (row) => row.server],
  ['TARGET',    (row) => row.target],
  ['DECISION',  (row) => row.decision],
  ['STATUS',    (row) => row.status],
  ['MS',        (row) => (typeof row.durationMs === 'number' ? row.durationMs.toFixed(1) : undefined)],
  ['REASON',    (row) => row.reason ?? row.code],
  ['KEY',       (row) => row.principal, true],
  ['ID',        (row) => row.id,        true],
]

/** Entries of the record, one a line. */
export function renderAudit(rows: readonly AuditRow[], { wide }: { readonly wide: boolean }): string {
  const columns = COLUMNS.filter(([, , onlyWide]) => wide || onlyWide !== true)
  const cell = (value: string | undefined): string => {
    const text = oneLine(value ?? '', wide ? undefined : 60)
    return text === '' ? '-' : text
  }
  return alignColumns([
    columns.map(([header]) => header),
    ...rows.map((row) => columns.map(([, of]) => cell(of(row)))),
  ])
}
