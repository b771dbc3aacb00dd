import type { ArchiveFile } from './commit-messages.ts'
import type { AuditRow } from './query.ts'
import type { AuditFilter } from './readings.ts'
import type { Soon } from './record.ts'
import type { AuditSessions } from './sessions.ts'

/** The record as it is searched and archived, beside the one who writes it. */
export interface History {
  /** Takes new segments into the index. `busy`: only when very far behind. */
  fill(busy: boolean): Soon<void>
  query(filter: AuditFilter): Soon<AuditRow[]>
  sessions(filter: AuditFilter): Soon<AuditSessions>
  /** Writes the oldest segments that end before `cutoffMs` into one archive file. @returns undefined: nothing is due */
  archive(cutoffMs: number, nowMs: number): Soon<ArchiveFile | undefined>
  close(): Soon<void>
}

/** Entries taken into the index in one transaction: some 20 ms. */
export const SLICE_ENTRIES = 2_000
/** While the gateway is busy the index may fall behind by about this much, so that a query never has long to wait. */
export const MAX_BEHIND_SEGMENTS = 20_000
