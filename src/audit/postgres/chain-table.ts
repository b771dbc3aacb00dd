import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChainWriter, OtherChains } from '../record.ts'
import { TIPS_START } from '../tips.ts'
import { readChain } from './chain-rows.ts'
import { ensureSchema } from './schema.ts'
import { createSession, RecordRefused, type Query } from './session.ts'

/** A commit that takes longer has failed: calls are refused meanwhile, and what became of it is read back. */
const STATEMENT_MS = 8_000
/** A daemon that was killed keeps its lock until the server has noticed. */
const LOCK_WAIT_MS = 3_000
const LOCK_POLL_MS = 50

/**
 * One chain in the database, for its only writer. Its session holds an advisory lock; should that be lost on the way
 * (with the session, or to a pooler that shares sessions), the primary key still lets nobody write a number twice.
 * @param onLost its session is gone; the next statement opens another one
 * @returns undefined while another session holds the chain
 * @throws Error with a sentence for the log
 */
export async function openChainTable(
  url: string,
  chain: string,
  onLost: () => void,
): Promise<ChainWriter | undefined> {
  const lock = createChainLock(chain)
  const session = createSession({
    url,
    statementMs: STATEMENT_MS,
    prepare: lock.take,
    onLost,
  })
  const { query } = session
  try {
    await session.transaction('BEGIN', ensureSchema)
    await query('INSERT INTO audit_chains (name) VALUES ($1) ON CONFLICT (name) DO NOTHING', [chain])
  } catch (error) {
    await session.close()
    if (error instanceof RecordRefused && error.why === 'taken') return undefined
    throw error
  }
  return {
    ...readChain(query, chain),
    async insert({ seq, count, firstAtMs, lastAtMs, mac, body }) {
      await query(
        'INSERT INTO audit_segments (chain, seq, count, first_at_ms, last_at_ms, mac, body) VALUES ($1, $2, $3, $4, $5, $6, $7)',
        [chain, seq, count, firstAtMs, lastAtMs, mac, body],
      )
    },
    async addCheckpoint({ archive, content, sig }) {
      await query(
        'INSERT INTO audit_checkpoints (chain, to_seq, content, sig) VALUES ($1, $2, $3, $4) ON CONFLICT (chain, to_seq) DO NOTHING',
        [chain, archive.toSeq, content, sig],
      )
    },
    async removeUpTo(toSeq, limit) {
      const rows = await query(
        `DELETE FROM audit_segments WHERE chain = $1 AND seq IN (
           SELECT seq FROM audit_segments WHERE chain = $1 AND seq <= $2 ORDER BY seq LIMIT $3
         ) RETURNING seq`,
        [chain, toSeq, limit],
      )
      return rows.length
    },
    async keepAnchor(line) {
      // The next anchor says as much and more.
      await query('UPDATE audit_chains SET anchor = $2 WHERE name = $1', [chain, line]).catch(() => [])
    },
    others: otherChains(query, chain),
    async ping() {
      await query('SELECT 1')
    },
    close: () => session.close(),
  }
}

const otherChains = (query: Query, own: string): OtherChains => ({
  async anchors() {
    const sql = 'SELECT anchor FROM audit_chains WHERE name <> $1 AND anchor IS NOT NULL'
    return (await query<{ anchor: string }>(sql, [own])).map(({ anchor }) => anchor)
  },
  async hasMore(chain, from, to) {
    const rows = await query(
      `SELECT 1 FROM audit_segments WHERE chain = $1 AND seq > $2 AND seq <= $3
         AND (count > 1 OR NOT starts_with(body, $4)) LIMIT 1`,
      [chain, from, to, TIPS_START],
    )
    return rows.length > 0
  },
})

/** The lock that a session of the chain's writer holds for as long as it lives. */
function createChainLock(chain: string): { readonly take: (query: Query) => Promise<void> } {
  const key = hash('sha256', `castellan audit chain\0${chain}`, 'buffer').readBigInt64BE(0).toString()
  /** Server process of the session that this daemon had before. */
  let before: number | undefined

  async function tryTake(query: Query): Promise<boolean> {
    const [row] = await query<{ pid: number; taken: boolean }>(
      'SELECT pg_backend_pid() AS pid, pg_try_advisory_lock($1) AS taken',
      [key],
    )
    if (row?.taken === true) before = row.pid
    return row?.taken === true
  }

  return {
    async take(query) {
      for (let waited = 0; waited < LOCK_WAIT_MS; waited += LOCK_POLL_MS) {
        if (await tryTake(query)) return
        // A session of ours that broke may live on at the server: it is ended, and with it whatever it was still doing.
        if (waited === 0 && before !== undefined) await query(END_OWN, [before, key])
        await sleep(LOCK_POLL_MS)
      }
      throw new RecordRefused('taken', 'another daemon writes this chain')
    },
  }
}

/** Only while that very process holds this very lock: its number may have gone to another. */
const END_OWN = `
  SELECT pg_terminate_backend(pid) FROM pg_locks
  WHERE locktype = 'advisory' AND granted AND pid = $1 AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((classid::bigint << 32) | objid::bigint) = $2::bigint`
