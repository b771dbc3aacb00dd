import { writeArchive } from '../archive.ts'
import { MAX_BEHIND_SEGMENTS, type History } from '../history.ts'
import { queryRows, querySessions, type Index } from '../query.ts'
import { readChain } from './chain-rows.ts'
import { chainsBehind, fillSlice, forget, searchIn } from './index-table.ts'
import { createSession } from './session.ts'

const STATEMENT_MS = 60_000

export interface DatabaseHistoryOptions {
  /** Where this daemon's archive is. */
  readonly home: string
  /** This daemon's own. */
  readonly chain: string
  readonly databaseUrl: string
}

/** The record of all daemons in one database: searched as a whole, filled and archived chain by chain. */
export function createDatabaseHistory({ home, chain, databaseUrl }: DatabaseHistoryOptions): History {
  const session = createSession({ url: databaseUrl, statementMs: STATEMENT_MS })
  const { query } = session
  let last: Promise<unknown> = Promise.resolve()

  /** One question at a time: they share a session, and a transaction on it must stay alone. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => undefined)
    return turn
  }

  async function fillAll(name: string): Promise<void> {
    while (await fillSlice(session, name));
  }

  /** Asks the index with all that is on the record by now. */
  const ask = <T>(question: (index: Index) => Promise<T>): Promise<T> =>
    inTurn(async () => {
      // What a daemon wrote before it ended may not be in the index, and nobody else would take it in.
      for (const { name } of await chainsBehind(query)) await fillAll(name)
      return question(searchIn(query))
    })

  return {
    async fill(busy) {
      const behind = await inTurn(() => chainsBehind(query))
      const segments = behind.find(({ name }) => name === chain)?.behind ?? 0
      if (segments === 0 || (busy && segments < MAX_BEHIND_SEGMENTS)) return
      // Questions that arrived meanwhile come between two slices.
      while (await inTurn(() => fillSlice(session, chain)));
    },
    query: (filter) => ask((index) => queryRows(index, filter)),
    sessions: (filter) => ask((index) => querySessions(index, filter)),
    archive: (cutoffMs, nowMs) =>
      inTurn(async () => {
        const record = readChain(query, chain)
        // What leaves the record must have been in the index, or the listing would lose it early.
        await fillAll(chain)
        // The archive before this one has its checkpoint by now.
        await forget(query, chain, (await record.checkpoints()).at(-1)?.archive.toSeq ?? 0)
        return writeArchive(home, record, { chain, cutoffMs, nowMs })
      }),
    close: () => inTurn(() => session.close()),
  }
}
