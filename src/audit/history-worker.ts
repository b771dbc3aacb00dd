import { parentPort, workerData } from 'node:worker_threads'
import { writeArchive } from './archive.ts'
import type { SegmentRow } from './chain.ts'
import type { FromHistoryWorker, HistoryWorkerData, ToHistoryWorker } from './history-messages.ts'
import { openIndex, type IndexFile } from './index-file.ts'
import { queryRows } from './query.ts'
import { openReader, type RecordReader } from './record-file.ts'

/**
 * Reads the record: fills the index, answers queries, writes archives. A thread of its own beside the commit worker,
 * so that a large question delays no commit. It writes nothing but the index and the archive files.
 */

/** Entries taken into the index in one transaction: some 20 ms. */
const SLICE_ENTRIES = 2_000
/** While the gateway is busy the index may fall behind by about this much, so that a query never has long to wait. */
const MAX_BEHIND_SEGMENTS = 20_000

const { home, chain } = workerData as HistoryWorkerData
const port = parentPort
if (port === null) throw new TypeError('history-worker runs as a worker thread')

const say = (message: FromHistoryWorker): void => port.postMessage(message, [])

interface Open {
  readonly record: RecordReader
  readonly index: IndexFile
}
let opened: Open | undefined

/** Opened by the first message that needs them. Throws while there is no record. */
function files(): Open {
  if (opened !== undefined) return opened
  const record = openReader(home)
  if (record === undefined) throw new Error('there is no audit record in this home')
  opened = { record, index: openIndex(home, record) }
  return opened
}

let filling = false

function fill(busy: boolean): void {
  const { record, index } = files()
  const behind = (record.tip()?.seq ?? 0) - index.filledTo()
  if (filling || behind === 0 || (busy && behind < MAX_BEHIND_SEGMENTS)) return
  filling = true
  const step = (): void => {
    filling = fillSlice()
    // Questions that arrived meanwhile come first.
    if (filling) setImmediate(step)
  }
  step()
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

function answer(message: Extract<ToHistoryWorker, { id: number }>): FromHistoryWorker {
  const { id } = message
  const { record, index } = files()
  if (message.type === 'archive') {
    // What leaves the record must have been in the index, or the listing would lose it early.
    while (fillSlice());
    // The archive before this one has its checkpoint by now.
    index.forget(record.checkpoints().at(-1)?.archive.toSeq ?? 0)
    return { type: 'archive', id, archive: writeArchive(home, record, { chain, ...message }) }
  }
  while (fillSlice());
  return { type: 'rows', id, rows: queryRows(index.db, message.filter) }
}

function hear(message: ToHistoryWorker): void {
  if (message.type === 'close') {
    opened?.index.close()
    opened?.record.close()
    return port?.close()
  }
  try {
    if (message.type === 'fill') fill(message.busy)
    else say(answer(message))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    filling = false
    say({ type: 'error', id: message.type === 'fill' ? 0 : message.id, reason })
  }
}

port.on('message', hear)
