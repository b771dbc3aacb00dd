import { parentPort } from 'node:worker_threads'
import { openDatabase, type Database } from './database.ts'
import type { DatabaseFile, Reply, Request, WorkerError } from './messages.ts'

/*
 * Entry of the database worker: the only thread that opens the store's SQLite files. A commit waits for the disk, and
 * the thread that serves requests must not.
 */

if (parentPort === null) throw new Error('this file is the entry of a worker thread')
const port = parentPort
const databases = new Map<DatabaseFile, Database>()

port.on('message', (request: Request) => {
  port.postMessage(answer(request), [])
  if (request.op === 'close') port.close()
})

function answer(request: Request): Reply {
  try {
    return { ok: true, ...perform(request) }
  } catch (error) {
    return { ok: false, error: describe(error) }
  }
}

type Done = Omit<Extract<Reply, { readonly ok: true }>, 'ok'>

const DONE: Done = { rows: [], changes: 0 }

function perform(request: Request): Done {
  if (request.op === 'run') return opened(request.file).run(request.sql, request.parameters)
  if (request.op === 'open') databases.set(request.file, openDatabase(request.path))
  else if (request.op === 'close') closeAll()
  else opened(request.file)[request.op]()
  return DONE
}

function closeAll(): void {
  for (const database of databases.values()) database.close()
  databases.clear()
}

function opened(file: DatabaseFile): Database {
  const database = databases.get(file)
  if (database === undefined) throw new Error(`the ${file} database is not open`)
  return database
}

function describe(error: unknown): WorkerError {
  if (!(error instanceof Error)) return { message: String(error) }
  const { errcode, code } = error as { errcode?: number; code?: string }
  return { message: error.message, errcode, code }
}
