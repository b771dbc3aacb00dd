import { sameMac, type SegmentRow } from '../chain.ts'
import { SLICE_ENTRIES } from '../history.ts'
import { CALLER_COLUMNS, COLUMNS, indexRows, rowNumber } from '../index-rows.ts'
import { auditRowOf, type Index } from '../query.ts'
import { conditionText, type Condition } from '../readings.ts'
import { IS_REQUEST, sessionsStatement, type SessionRow } from '../sessions.ts'
import { readChain } from './chain-rows.ts'
import type { Query, Session } from './session.ts'

/** `audit_calls`: the record of all daemons, cut into rows that can be searched. Made from the segments alone. */

const TYPES: Readonly<Partial<Record<(typeof COLUMNS)[number], string>>> = {
  n: 'bigint',
  at_ms: 'bigint',
  duration_ms: 'double precision',
  count: 'bigint',
}

const INSERT = `
  INSERT INTO audit_calls (chain, ${COLUMNS.join(', ')})
  SELECT $1, * FROM unnest(${COLUMNS.map((column, i) => `$${i + 2}::${TYPES[column] ?? 'text'}[]`).join(', ')})
  ON CONFLICT (chain, n) DO NOTHING`

const KEEP = `
  INSERT INTO audit_callers (${CALLER_COLUMNS.join(', ')})
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING`

const UPDATE = `
  UPDATE audit_calls AS call SET status = late.status, duration_ms = late.duration_ms, code = late.code,
    session = coalesce(call.session, late.session)
  FROM unnest($2::text[], $3::text[], $4::double precision[], $5::text[], $6::text[])
    AS late (id, status, duration_ms, code, session)
  WHERE call.chain = $1 AND call.id = late.id AND call.status IS NULL`

/** Chains whose newest segment is not in the index, and by how many segments each is behind. */
export const chainsBehind = (query: Query): Promise<{ name: string; behind: number }[]> =>
  query(`
    SELECT name, tip - filled AS behind FROM (
      SELECT name, coalesce((SELECT max(seq) FROM audit_segments WHERE chain = name), 0) AS tip,
        coalesce((SELECT seq FROM audit_filled WHERE chain = name), 0) AS filled
      FROM audit_chains
    ) AS chains WHERE tip <> filled ORDER BY name`)

/**
 * Takes the next segments of a chain into the index. Any daemon may do it for any chain: the row of `audit_filled`
 * lets one at a time.
 * @returns whether there may be more
 */
export const fillSlice = (session: Session, chain: string): Promise<boolean> =>
  session.transaction('BEGIN', async (query) => {
    const filledTo = await claimIndex(query, chain)
    const slice: SegmentRow[] = []
    let entries = 0
    for await (const row of readChain(query, chain).segmentsAfter(filledTo)) {
      slice.push(row)
      entries += row.count
      if (entries >= SLICE_ENTRIES) break
    }
    const last = slice.at(-1)
    if (last === undefined) return false
    await write(query, chain, slice)
    await query('UPDATE audit_filled SET seq = $2, mac = $3 WHERE chain = $1', [chain, last.seq, last.mac])
    return entries >= SLICE_ENTRIES
  })

/** Of this chain or, where another has taken its place, emptied. @returns the newest segment that is in it */
async function claimIndex(query: Query, chain: string): Promise<number> {
  await query(`INSERT INTO audit_filled VALUES ($1, 0, '') ON CONFLICT (chain) DO NOTHING`, [chain])
  const [filled] = await query<{ seq: number; mac: Uint8Array }>(
    'SELECT seq, mac FROM audit_filled WHERE chain = $1 FOR UPDATE',
    [chain],
  )
  if (filled === undefined || filled.seq === 0) return 0
  const row = await readChain(query, chain).segment(filled.seq)
  if (row !== undefined && sameMac(row.mac, filled.mac)) return filled.seq
  await query('DELETE FROM audit_calls WHERE chain = $1', [chain])
  return 0
}

async function write(query: Query, chain: string, segments: readonly SegmentRow[]): Promise<void> {
  const { rows, callers, late } = indexRows(segments)
  if (callers.length > 0)
    await query(
      KEEP,
      CALLER_COLUMNS.map((_, i) => callers.map((caller) => storable(caller[i] ?? ''))),
    )
  const columns = COLUMNS.map((_, i) => rows.map((row) => storable(row[i] ?? null)))
  if (rows.length > 0) await query(INSERT, [chain, ...columns])
  if (late.length === 0) return
  const outcomes = [
    late.map(({ of }) => storable(of)),
    late.map(({ status }) => status),
    late.map(({ durationMs }) => durationMs),
    late.map(({ code }) => storable(code ?? null)),
    late.map(({ session }) => storable(session ?? null)),
  ]
  await query(UPDATE, [chain, ...outcomes])
}

/** PostgreSQL keeps no NUL in a text. */
const storable = <Value>(value: Value): Value | string =>
  typeof value === 'string' ? value.replaceAll('\0', '\ufffd') : value

/** Removes the rows of the segments up to `toSeq`. */
export async function forget(query: Query, chain: string, toSeq: number): Promise<void> {
  await query('DELETE FROM audit_calls WHERE chain = $1 AND n < $2', [chain, rowNumber(toSeq + 1, 0)])
}

const conditionsText = (where: readonly Condition[]): string =>
  where.map((condition, i) => conditionText(condition, `$${i + 1}`)).join(' AND ')

const valuesOf = (where: readonly Condition[]) => where.map(({ value }) => storable(value))

export const searchIn = (query: Query): Index => ({
  async any(condition) {
    const sql = `SELECT 1 FROM audit_calls WHERE ${conditionsText([condition])} LIMIT 1`
    return (await query(sql, valuesOf([condition]))).length > 0
  },
  async callers(where, limit) {
    const sql = `SELECT DISTINCT principal FROM audit_callers WHERE ${conditionsText(where)} LIMIT $${where.length + 1}`
    const rows = await query<{ principal: string }>(sql, [...valuesOf(where), limit])
    return rows.map(({ principal }) => principal)
  },
  async newest(where, limit) {
    const rows = await query<{ n: number }>(
      `SELECT * FROM audit_calls WHERE ${conditionsText(where)}
       ORDER BY at_ms DESC, n DESC, chain DESC LIMIT $${where.length + 1}`,
      [...valuesOf(where), limit],
    )
    return rows.map((row) => ({ n: row.n, row: auditRowOf(row) }))
  },
  sessions: (where, most) =>
    query<SessionRow>(
      sessionsStatement(
        `SELECT * FROM audit_calls WHERE ${conditionsText(where)} AND ${IS_REQUEST}
         ORDER BY at_ms DESC, n DESC, chain DESC LIMIT $${where.length + 1}`,
      ),
      [...valuesOf(where), most],
    ),
})
