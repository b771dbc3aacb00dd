import type { SegmentRow } from './chain.ts'
import type { ArchiveFile } from './commit-messages.ts'

/** At once from a file, later from a database on the network: one `await` takes either. */
export type Soon<T> = T | Promise<T>

/** A statement, signed, that segments of the chain have been moved into an archive file. */
export interface Checkpoint {
  readonly archive: ArchiveFile
  /** What was signed, byte for byte. */
  readonly content: string
  readonly sig: string
}

/** One chain of the record, wherever it lies: in `audit.db` of a home, or in a database that daemons share. */
export interface ChainReader {
  tip(): Soon<SegmentRow | undefined>
  segment(seq: number): Soon<SegmentRow | undefined>
  /** Rows after `seq`, in order, read as they are asked for. */
  segmentsAfter(seq: number): Iterable<SegmentRow> | AsyncIterable<SegmentRow>
  checkpoints(): Soon<Checkpoint[]>
}

/** A chain that is read from one end to the other while somebody may write it. */
export interface SettledReader extends ChainReader {
  /** One unchanging view for all that `read` does, whatever is committed meanwhile. */
  snapshot<T>(read: () => Promise<T>): Promise<T>
  close(): Soon<void>
}

/** The other chains of a shared record. Rejects as the writer does. */
export interface OtherChains {
  /** The newest anchor that each has left, as its writer wrote it. */
  anchors(): Promise<readonly string[]>
  /** Whether the segments of a chain after `from` and up to `to` hold anything but tips. */
  hasMore(chain: string, from: number, to: number): Promise<boolean>
}

/** Of one chain there is one of these at a time. Each write is a transaction of its own, durable when it resolves. */
export interface ChainWriter extends ChainReader {
  insert(row: SegmentRow): Soon<void>
  addCheckpoint(checkpoint: Checkpoint): Soon<void>
  /** Removes at most `limit` of the rows up to `toSeq`. @returns how many went */
  removeUpTo(toSeq: number, limit: number): Soon<number>
  /** Takes a copy of the newest anchor, for those who cannot read the home. Best effort: the one in the home counts. */
  keepAnchor(line: string): Soon<void>
  /** Whether a row could be written now; rejects when not. Absent where asking would say no more than writing. */
  readonly ping?: () => Promise<void>
  /** Those of the other daemons. Absent where each record has one chain. */
  readonly others?: OtherChains
  close(): Soon<void>
}
