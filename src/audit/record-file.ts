import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import type { SegmentRow } from './chain.ts'
import type { ArchiveFile } from './commit-messages.ts'
import type { ChainWriter, Checkpoint, SettledReader } from './record.ts'

/** The statements on `audit.db`. One connection writes (in the commit worker); any number reads beside it. */

export const recordPath = (home: string): string => join(home, 'audit.db')

// `body` stands last, so that reading the rest does not walk through its overflow pages.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS segments (
    seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, first_at_ms INTEGER NOT NULL, last_at_ms INTEGER NOT NULL,
    mac BLOB NOT NULL, body TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS checkpoints (
    to_seq INTEGER PRIMARY KEY, content TEXT NOT NULL, sig TEXT NOT NULL
  ) STRICT;
`

/**
 * Whoever holds this may write the record of a home. The lock is SQLite's own on an empty file beside it: the kernel
 * lets go of it when the process dies, and readers of `audit.db` never meet it.
 * @returns undefined while another process or thread holds it
 */
export function lockRecord(home: string): { release(): void } | undefined {
  const path = join(home, 'audit.lock')
  closeSync(openSync(path, 'a', 0o600))
  const lock = new DatabaseSync(path, { timeout: 0 })
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (isBusy(error)) return undefined
    throw error
  }
  return { release: () => lock.close() }
}

export interface RecordWriter extends RecordReader, Omit<ChainWriter, keyof RecordReader> {}

/** Throws what SQLite throws. The caller holds the lock. */
export function openWriter(home: string): RecordWriter {
  const path = recordPath(home)
  // Made before SQLite would make it: it gives its -wal and -shm files the same mode.
  closeSync(openSync(path, 'a', 0o600))
  const db = new DatabaseSync(path, { timeout: 100 })
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000')
    db.exec(SCHEMA)
    return writerOf(db)
  } catch (error) {
    db.close()
    throw error
  }
}

function writerOf(db: DatabaseSync): RecordWriter {
  const insert = db.prepare(
    'INSERT INTO segments (seq, count, first_at_ms, last_at_ms, mac, body) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const remove = db.prepare(
    'DELETE FROM segments WHERE seq IN (SELECT seq FROM segments WHERE seq <= ? ORDER BY seq LIMIT ?)',
  )
  const checkpoint = db.prepare('INSERT INTO checkpoints (to_seq, content, sig) VALUES (?, ?, ?)')
  return {
    ...readerOf(db),
    insert: (row) => void insert.run(row.seq, row.count, row.firstAtMs, row.lastAtMs, row.mac, row.body),
    addCheckpoint: ({ archive, content, sig }) => void checkpoint.run(archive.toSeq, content, sig),
    removeUpTo: (toSeq, limit) => Number(remove.run(toSeq, limit).changes),
    // Whoever can read the file can read the anchors beside it.
    keepAnchor: () => undefined,
  }
}

export interface RecordReader extends SettledReader {
  tip(): SegmentRow | undefined
  segment(seq: number): SegmentRow | undefined
  segmentsAfter(seq: number): IterableIterator<SegmentRow>
  checkpoints(): Checkpoint[]
  close(): void
}

/** @returns undefined where there is no record yet */
export function openReader(home: string): RecordReader | undefined {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(recordPath(home), { readOnly: true, timeout: 1_000 })
    return readerOf(db)
  } catch (error) {
    db?.close()
    if (errcode(error) === SQLITE_CANTOPEN) return undefined
    throw error
  }
}

function readerOf(db: DatabaseSync): RecordReader {
  const columns = 'seq, count, first_at_ms, last_at_ms, mac, body'
  const tip = db.prepare(`SELECT ${columns} FROM segments ORDER BY seq DESC LIMIT 1`)
  const one = db.prepare(`SELECT ${columns} FROM segments WHERE seq = ?`)
  const after = db.prepare(`SELECT ${columns} FROM segments WHERE seq > ? ORDER BY seq`)
  const checkpoints = db.prepare('SELECT content, sig FROM checkpoints ORDER BY to_seq')
  return {
    tip: () => optionalRow(tip.get()),
    segment: (seq) => optionalRow(one.get(seq)),
    *segmentsAfter(seq) {
      for (const row of after.iterate(seq)) yield rowOf(row)
    },
    checkpoints: () => checkpoints.all().map(checkpointOf),
    async snapshot(read) {
      db.exec('BEGIN')
      try {
        return await read()
      } finally {
        db.exec('COMMIT')
      }
    },
    close: () => db.close(),
  }
}

type Row = Record<string, SQLOutputValue>

const rowOf = (row: Row): SegmentRow => ({
  seq: row['seq'] as number,
  count: row['count'] as number,
  firstAtMs: row['first_at_ms'] as number,
  lastAtMs: row['last_at_ms'] as number,
  mac: row['mac'] as Uint8Array,
  body: row['body'] as string,
})

const optionalRow = (row: Row | undefined): SegmentRow | undefined =>
  row === undefined ? undefined : rowOf(row)

const checkpointOf = (row: Row): Checkpoint => {
  const content = row['content'] as string
  return { archive: JSON.parse(content) as ArchiveFile, content, sig: row['sig'] as string }
}

const SQLITE_BUSY = 5
const SQLITE_CORRUPT = 11
const SQLITE_CANTOPEN = 14
const SQLITE_NOTADB = 26

/** SQLite's primary result code, 0 for any other error. */
const errcode = (error: unknown): number =>
  (((error as { errcode?: unknown } | null)?.errcode as number | undefined) ?? 0) & 0xff

const isBusy = (error: unknown): boolean => errcode(error) === SQLITE_BUSY

/** The file is there and is not, or no longer, a database. */
export const isDamage = (error: unknown): boolean =>
  errcode(error) === SQLITE_CORRUPT || errcode(error) === SQLITE_NOTADB
