import type { ArchiveFile } from './commit-messages.ts'
import type { AuditRow } from './query.ts'
import type { AuditFilter } from './readings.ts'
import type { AuditSessions } from './sessions.ts'

/** What the gateway's thread and the thread that reads the record say to each other. */

export interface HistoryWorkerData {
  /** Where the archive and, without a database, `audit.db` and its index are. */
  readonly home: string
  readonly chain: string
  /** `postgres://…`: the record of all daemons is there. */
  readonly databaseUrl: string | undefined
}

export type ToHistoryWorker =
  /** Take new segments into the index. `busy`: only when very far behind. */
  | { readonly type: 'fill'; readonly busy: boolean }
  | { readonly type: 'query'; readonly id: number; readonly filter: AuditFilter }
  | { readonly type: 'sessions'; readonly id: number; readonly filter: AuditFilter }
  /** Write the oldest segments that end before `cutoffMs` into one archive file. */
  | { readonly type: 'archive'; readonly id: number; readonly cutoffMs: number; readonly nowMs: number }
  | { readonly type: 'close' }

export type FromHistoryWorker =
  | { readonly type: 'rows'; readonly id: number; readonly rows: AuditRow[] }
  | { readonly type: 'sessions'; readonly id: number; readonly sessions: AuditSessions }
  | { readonly type: 'archive'; readonly id: number; readonly archive: ArchiveFile | undefined }
  | { readonly type: 'error'; readonly id: number; readonly reason: string }
