import { writeArchive } from './archive.ts'
import type { SegmentRow } from './chain.ts'
import { MAX_BEHIND_SEGMENTS, SLICE_ENTRIES, type History } from './history.ts'
import { openIndex, searchIn, type IndexFile } from './index-file.ts'
import { queryRows, querySessions, type Index } from './query.ts'
import { openReader, type RecordReader } from './record-file.ts'

/** `audit.db` of a home, with its index in a file beside it. */
export function createFileHistory({
  home,
  chain,
}: {
  readonly home: string
  readonly chain: string
}): History {
  let opened: { readonly record: RecordReader; readonly index: IndexFile } | undefined
  let filling = false

  /** Opened by the first question that needs them. Throws while there is no record. */
  function files(): NonNullable<typeof opened> {
    if (opened !== undefined) return opened
    const record = openReader(home)
    if (record === undefined) throw new Error('there is no audit record in this home')
    opened = { record, index: openIndex(home, record) }
    return opened
  }

  /** @returns whether there may be more */
  function fillSlice(): boolean {
    const { record, index } = files()
    const slice: SegmentRow[] = []
    let entries = 0
    for (const row of record.segmentsAfter(index.filledTo())) {
      slice.push(row)
      entries += row.count
      if (entries >= SLICE_ENTRIES) break
    }
    index.take(slice)
    return entries >= SLICE_ENTRIES
  }

  /** The index with all that is on the record by now. */
  function upToDate(): Index {
    const { index } = files()
    while (fillSlice());
    return searchIn(index.db)
  }

  async function fill(busy: boolean): Promise<void> {
    const { record, index } = files()
    const behind = (record.tip()?.seq ?? 0) - index.filledTo()
    if (filling || behind === 0 || (busy && behind < MAX_BEHIND_SEGMENTS)) return
    filling = true
    try {
      // Questions that arrived meanwhile come first.
      while (fillSlice()) await new Promise((resolve) => setImmediate(resolve))
    } finally {
      filling = false
    }
  }

  return {
    fill,
    query: async (filter) => queryRows(upToDate(), filter),
    sessions: async (filter) => querySessions(upToDate(), filter),
    archive(cutoffMs, nowMs) {
      const { record, index } = files()
      // What leaves the record must have been in the index, or the listing would lose it early.
      while (fillSlice());
      // The archive before this one has its checkpoint by now.
      index.forget(record.checkpoints().at(-1)?.archive.toSeq ?? 0)
      return writeArchive(home, record, { chain, cutoffMs, nowMs })
    },
    close() {
      opened?.index.close()
      opened?.record.close()
      opened = undefined
    },
  }
}
