import type { SegmentRow } from '../chain.ts'
import type { ArchiveFile } from '../commit-messages.ts'
import type { ChainReader, Checkpoint } from '../record.ts'
import type { Query } from './session.ts'

/** The statements that read one chain of the database. */

/** Segments fetched at once: some MiB at most under any load that was measured. */
const PAGE = 100

const COLUMNS = 'seq, count, first_at_ms, last_at_ms, mac, body'

interface Row {
  readonly seq: number
  readonly count: number
  readonly first_at_ms: number
  readonly last_at_ms: number
  readonly mac: Uint8Array
  readonly body: string
}

export function readChain(query: Query, chain: string): ChainReader {
  return {
    async tip() {
      const rows = await query<Row>(
        `SELECT ${COLUMNS} FROM audit_segments WHERE chain = $1 ORDER BY seq DESC LIMIT 1`,
        [chain],
      )
      return rows.map(rowOf)[0]
    },
    async segment(seq) {
      const rows = await query<Row>(`SELECT ${COLUMNS} FROM audit_segments WHERE chain = $1 AND seq = $2`, [
        chain,
        seq,
      ])
      return rows.map(rowOf)[0]
    },
    segmentsAfter: (seq) => segmentsAfter(query, chain, seq),
    async checkpoints() {
      const rows = await query<{ content: string; sig: string }>(
        'SELECT content, sig FROM audit_checkpoints WHERE chain = $1 ORDER BY to_seq',
        [chain],
      )
      return rows.map(checkpointOf)
    },
  }
}

async function* segmentsAfter(query: Query, chain: string, after: number): AsyncGenerator<SegmentRow> {
  let from = after
  for (;;) {
    const rows = await query<Row>(
      `SELECT ${COLUMNS} FROM audit_segments WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT ${PAGE}`,
      [chain, from],
    )
    yield* rows.map(rowOf)
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return
    from = last.seq
  }
}

const rowOf = (row: Row): SegmentRow => ({
  seq: row.seq,
  count: row.count,
  firstAtMs: row.first_at_ms,
  lastAtMs: row.last_at_ms,
  mac: row.mac,
  body: row.body,
})

const checkpointOf = ({ content, sig }: { content: string; sig: string }): Checkpoint => ({
  archive: JSON.parse(content) as ArchiveFile,
  content,
  sig,
})
