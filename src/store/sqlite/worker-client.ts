import { Worker } from 'node:worker_threads'
import { entryUrl, workerEnvironment } from '../../lib/entry.ts'
import { Fault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import { STORE_CLOSED, WORKER_ENDED } from '../database-hints.ts'
import type { Reply, Request } from './messages.ts'
import { fromSqlite } from './sqlite-error.ts'

type Answer = Extract<Reply, { readonly ok: true }>

/** The main thread's end of the database worker. */
export interface DatabaseWorker {
  /** @throws Fault `conflict`, `unavailable`; a plain error for a statement that is wrong */
  ask(request: Request): Promise<Answer>
  /** Waits for what was asked before, closes the files and ends the thread. Idempotent. */
  close(): Promise<void>
}

interface Waiting {
  resolve(answer: Answer): void
  reject(error: Error): void
}

export function startWorker(log: Log): DatabaseWorker {
  const worker = new Worker(entryUrl('store/sqlite/worker'), { name: 'store', env: workerEnvironment() })
  const waiting: Waiting[] = []
  let head = 0
  let closing: Promise<void> | undefined
  let gone: Fault | undefined

  /** A queue whose front moves: `shift()` of a long array copies it. */
  function next(): Waiting | undefined {
    const first = waiting[head++]
    if (head === waiting.length) {
      waiting.length = 0
      head = 0
    }
    return first
  }

  function fail(fault: Fault): void {
    gone ??= fault
    for (let one = next(); one !== undefined; one = next()) one.reject(gone)
  }

  worker.on('message', (reply: Reply) => {
    const one = next()
    if (reply.ok) one?.resolve(reply)
    else one?.reject(fromSqlite(reply.error))
  })
  worker.on('error', (cause) => {
    log.fatal({ err: cause }, 'the database worker failed')
    fail(new Fault('unavailable', { hint: WORKER_ENDED, cause }))
  })
  const exited = new Promise<void>((resolve) => {
    worker.once('exit', (code) => {
      if (closing === undefined) log.fatal({ code }, 'the database worker ended')
      fail(new Fault('unavailable', { hint: closing === undefined ? WORKER_ENDED : STORE_CLOSED }))
      resolve()
    })
  })

  function ask(request: Request): Promise<Answer> {
    if (gone !== undefined) return Promise.reject(gone)
    return new Promise((resolve, reject) => {
      // Before it is queued: a value that cannot be copied throws here, and no reply will come for it.
      worker.postMessage(request, [])
      waiting.push({ resolve, reject })
    })
  }

  async function end(): Promise<void> {
    try {
      await ask({ op: 'close' })
    } finally {
      await exited
    }
  }

  return {
    ask: (request) =>
      closing === undefined ? ask(request) : Promise.reject(new Fault('unavailable', { hint: STORE_CLOSED })),
    close: () => (closing ??= gone === undefined ? end() : exited),
  }
}
