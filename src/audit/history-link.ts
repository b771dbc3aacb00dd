import { Worker } from 'node:worker_threads'
import { entryUrl, workerEnvironment } from '../lib/entry.ts'
import { Fault } from '../lib/fault.ts'
import type { Log } from '../lib/log.ts'
import type { ArchiveFile } from './commit-messages.ts'
import type { FromHistoryWorker, HistoryWorkerData, ToHistoryWorker } from './history-messages.ts'
import type { AuditRow } from './query.ts'
import type { AuditFilter } from './readings.ts'
import type { AuditSessions } from './sessions.ts'

/** The history worker, seen from the gateway's thread. Started by its first use: a quiet daemon never pays for it. */
export interface HistoryLink {
  readonly fill: (busy: boolean) => void
  readonly query: (filter: AuditFilter) => Promise<AuditRow[]>
  readonly sessions: (filter: AuditFilter) => Promise<AuditSessions>
  /** @returns the archive file that was written, undefined when nothing is due */
  readonly archive: (cutoffMs: number, nowMs: number) => Promise<ArchiveFile | undefined>
  readonly close: () => Promise<void>
}

type Answer = (message: FromHistoryWorker | undefined) => void
type Question =
  | Omit<Extract<ToHistoryWorker, { type: 'query' | 'sessions' }>, 'id'>
  | Omit<Extract<ToHistoryWorker, { type: 'archive' }>, 'id'>

/** A question to a database that says nothing any more is not waited for at the end: nothing is lost with it. */
const PATIENCE_MS = 5000

/** @param environment what the driver of the database reads besides the address */
export function createHistoryLink(
  data: HistoryWorkerData,
  log: Log,
  environment: Readonly<Record<string, string>>,
): HistoryLink {
  const asked = new Map<number, Answer>()
  let worker: Worker | undefined
  let lastId = 0

  function hear(message: FromHistoryWorker): void {
    if (message.type === 'error' && message.id === 0)
      log.warn({ reason: message.reason }, 'audit index is behind')
    const answer = asked.get(message.id)
    asked.delete(message.id)
    answer?.(message)
  }

  function running(): Worker {
    if (worker !== undefined) return worker
    const started = new Worker(entryUrl('audit/history-worker'), {
      workerData: data,
      name: 'audit-history',
      env: { ...workerEnvironment(), ...environment },
    })
    started.on('message', hear)
    started.on('error', (error) => log.error({ err: error }, 'the thread that reads the audit record failed'))
    started.on('exit', () => {
      // It holds nothing but copies: the next question starts another one.
      if (worker === started) worker = undefined
      for (const answer of asked.values()) answer(undefined)
      asked.clear()
    })
    worker = started
    return started
  }

  const ask = (question: Question): Promise<FromHistoryWorker | undefined> => {
    const id = ++lastId
    return new Promise((resolve) => {
      asked.set(id, resolve)
      running().postMessage({ ...question, id }, [])
    })
  }

  const unanswered = (message: FromHistoryWorker | undefined): Fault =>
    new Fault('unavailable', {
      hint: 'the audit record cannot be read at the moment: the log of the daemon has the reason',
      detail: message?.type === 'error' ? message.reason : 'the thread ended',
    })

  return {
    fill: (busy) => running().postMessage({ type: 'fill', busy } satisfies ToHistoryWorker, []),
    async query(filter) {
      const message = await ask({ type: 'query', filter })
      if (message?.type === 'rows') return message.rows
      throw unanswered(message)
    },
    async sessions(filter) {
      const message = await ask({ type: 'sessions', filter })
      if (message?.type === 'sessions') return message.sessions
      throw unanswered(message)
    },
    async archive(cutoffMs, nowMs) {
      const message = await ask({ type: 'archive', cutoffMs, nowMs })
      if (message?.type === 'archive') return message.archive
      throw unanswered(message)
    },
    async close() {
      const ending = worker
      if (ending === undefined) return
      const exit = new Promise<void>((resolve) => ending.once('exit', () => resolve()))
      ending.postMessage({ type: 'close' } satisfies ToHistoryWorker, [])
      const late = setTimeout(() => void ending.terminate(), PATIENCE_MS)
      await exit
      clearTimeout(late)
    },
  }
}
