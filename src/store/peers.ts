import { sql } from 'kysely'
import type { PeerRow, StateDb } from './tables.ts'

/*
 * Where the processes that work on this database reach each other. A process lives as long as its `beat` goes on: no
 * two hosts have to agree on a time for that.
 */

/** Publishes where a process is found, or that it still is. */
export async function putPeer(
  db: StateDb,
  { node, url, host = '' }: Pick<PeerRow, 'node' | 'url'> & Partial<Pick<PeerRow, 'host'>>,
): Promise<void> {
  await db
    .insertInto('peers')
    .values({ node, url, host, beat: 0 })
    .onConflict((conflict) => conflict.column('node').doUpdateSet({ url, host, beat: sql`peers.beat + 1` }))
    .execute()
}

export const listPeers = (db: StateDb): Promise<PeerRow[]> =>
  db.selectFrom('peers').selectAll().orderBy('node').execute()

/** @param beat only if it still has this one: who has gone on since is alive */
export async function removePeer(db: StateDb, node: string, beat?: number): Promise<void> {
  const query = db.deleteFrom('peers').where('node', '=', node)
  await (beat === undefined ? query : query.where('beat', '=', beat)).execute()
}
