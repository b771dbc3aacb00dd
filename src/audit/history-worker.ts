import { parentPort, workerData } from 'node:worker_threads'
import { createFileHistory } from './file-history.ts'
import type { History } from './history.ts'
import type { FromHistoryWorker, HistoryWorkerData, ToHistoryWorker } from './history-messages.ts'

/**
 * Reads the record: fills the index, answers queries, writes archives. A thread of its own beside the commit worker,
 * so that a large question delays no commit. It writes nothing but the index and the archive files.
 */

const data = workerData as HistoryWorkerData
const port = parentPort
if (port === null) throw new TypeError('history-worker runs as a worker thread')

const say = (message: FromHistoryWorker): void => port.postMessage(message, [])

async function open(): Promise<History> {
  const { databaseUrl } = data
  if (databaseUrl === undefined) return createFileHistory(data)
  // Loaded on use: a record in a file needs no driver.
  const { createDatabaseHistory } = await import('./postgres/database-history.ts')
  return createDatabaseHistory({ ...data, databaseUrl })
}

let opening: Promise<History> | undefined

async function answer(message: Exclude<ToHistoryWorker, { type: 'close' }>): Promise<void> {
  try {
    const history = await (opening ??= open())
    if (message.type === 'fill') return await history.fill(message.busy)
    const { id } = message
    if (message.type === 'query') return say({ type: 'rows', id, rows: await history.query(message.filter) })
    if (message.type === 'sessions')
      return say({ type: 'sessions', id, sessions: await history.sessions(message.filter) })
    say({ type: 'archive', id, archive: await history.archive(message.cutoffMs, message.nowMs) })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    say({ type: 'error', id: message.type === 'fill' ? 0 : message.id, reason })
  }
}

async function close(): Promise<void> {
  await (await opening)?.close()
  port?.close()
}

port.on('message', (message: ToHistoryWorker) => {
  if (message.type === 'close') void close()
  else void answer(message)
})
