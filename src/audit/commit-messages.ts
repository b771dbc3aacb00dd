import type { Tips } from './entry.ts'

/** What the thread of the gateway and the thread that writes the record say to each other. */

export interface CommitWorkerData {
  /** Where the lock, the anchors and, without a database, `audit.db` are. */
  readonly home: string
  readonly chain: string
  /** `postgres://…`: the segments are there. */
  readonly databaseUrl: string | undefined
  readonly macKey: Uint8Array
  readonly signKey: Uint8Array
  readonly anchorEveryMs: number
}

export interface SegmentMessage {
  readonly type: 'segment'
  readonly body: string
  readonly count: number
  readonly firstAtMs: number
  readonly lastAtMs: number
}

/** Segments up to `toSeq` are in an archive file: the worker signs that and lets go of the rows. */
export interface ArchivedMessage {
  readonly type: 'archived'
  readonly archive: ArchiveFile
}

export interface ArchiveFile {
  /** Name below `audit-archive/`. */
  readonly file: string
  /** Of the file's bytes, hex. */
  readonly sha256: string
  readonly fromSeq: number
  readonly toSeq: number
  /** Of segment `toSeq`, base64url. */
  readonly mac: string
  readonly entries: number
  readonly firstAtMs: number
  readonly lastAtMs: number
}

/** One at a time: the next goes out after the answer to the one before. */
export type ToCommitWorker =
  | SegmentMessage
  | ArchivedMessage
  | { readonly type: 'anchor' }
  /** Look at the other chains once more: this one is about to end. */
  | { readonly type: 'look' }
  | { readonly type: 'close' }

export type FromCommitWorker =
  | { readonly type: 'open'; readonly seq: number }
  | { readonly type: 'refused'; readonly why: RefusedStart; readonly detail: string }
  | { readonly type: 'committed' }
  | { readonly type: 'failed'; readonly reason: string }
  /** Said while nothing is being written: what comes next would not be taken, or would be again. */
  | { readonly type: 'unreachable'; readonly reason: string }
  | { readonly type: 'reachable' }
  | { readonly type: 'anchored'; readonly seq: number; readonly atMs: number }
  | { readonly type: 'not-anchored'; readonly reason: string }
  /** To be recorded: what was seen of the other chains. */
  | { readonly type: 'tips'; readonly tips: Tips }
  | { readonly type: 'look-done' }
  /** Answer to `anchor`: whatever could be anchored is. */
  | { readonly type: 'anchor-done' }
  | { readonly type: 'archive-done'; readonly reason?: string }
  | { readonly type: 'closed' }

/**
 * `locked`: another process writes this home's record. `taken`: another daemon writes the same chain of the database.
 * `damaged`: it does not hold what was anchored. `disk`, `database`: it cannot be opened.
 */
export type RefusedStart = 'locked' | 'taken' | 'damaged' | 'disk' | 'database'
