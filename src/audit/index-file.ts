import { closeSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { decodeBody } from './encode.ts'
import type { Entry, Intent, Outcome } from './entry.ts'
import { sameMac, type SegmentRow } from './chain.ts'
import type { RecordReader } from './record-file.ts'

/**
 * `audit-index.db`: the record once more, cut into rows that can be searched. It is made from `audit.db` alone and can
 * be deleted at any time. A file of its own, so that filling it takes no lock and no fsync from the commits.
 */
export interface IndexFile {
  readonly db: DatabaseSync
  /** Newest segment that is in it. */
  filledTo(): number
  take(segments: readonly SegmentRow[]): void
  /** Removes the rows of the segments up to `toSeq`. */
  forget(toSeq: number): void
  close(): void
}

/** Counted up whenever the schema or the way it is filled changes: an index of another version is made anew. */
const VERSION = 1

/** Row number of an entry: its segment and its place in it, so that numbers follow the chain. */
const rowNumber = (seq: number, place: number): number => seq * 4096 + place

const SCHEMA = `
  CREATE TABLE calls (
    n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, principal TEXT NOT NULL,
    principal_name TEXT NOT NULL, project TEXT, server TEXT, target TEXT, session TEXT, decision TEXT NOT NULL,
    reason TEXT, status TEXT, duration_ms REAL, code TEXT, count INTEGER
  ) STRICT;
  CREATE INDEX calls_by_time ON calls (at_ms);
  CREATE INDEX calls_by_project ON calls (project, at_ms);
  CREATE INDEX calls_by_principal ON calls (principal, at_ms);
  CREATE INDEX calls_by_principal_name ON calls (principal_name, at_ms);
  CREATE INDEX calls_by_target ON calls (target, at_ms);
  CREATE INDEX calls_open ON calls (id) WHERE status IS NULL;
  CREATE TABLE filled (only INTEGER PRIMARY KEY CHECK (only = 1), seq INTEGER NOT NULL, mac BLOB NOT NULL) STRICT;
  INSERT INTO filled VALUES (1, 0, x'');
  PRAGMA user_version = ${VERSION};
`

export const indexPath = (home: string): string => join(home, 'audit-index.db')

/** Opens the index of this very record; one that was made from another, or is damaged, is made anew. */
export function openIndex(home: string, record: RecordReader): IndexFile {
  const existing = tryOpen(home, record)
  if (existing !== undefined) return existing
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${indexPath(home)}${suffix}`, { force: true })
  closeSync(openSync(indexPath(home), 'a', 0o600))
  const db = connect(home)
  db.exec(`BEGIN; ${SCHEMA} COMMIT;`)
  return indexOf(db)
}

function connect(home: string): DatabaseSync {
  const db = new DatabaseSync(indexPath(home), { timeout: 1_000 })
  // NORMAL: a power cut may cost the last rows, never the file; they are filled in again.
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  return db
}

/** @returns undefined for a file that is not there, of another version, or damaged */
function tryOpen(home: string, record: RecordReader): IndexFile | undefined {
  closeSync(openSync(indexPath(home), 'a', 0o600))
  let db: DatabaseSync | undefined
  try {
    db = connect(home)
    const version = db.prepare('PRAGMA user_version').get()?.['user_version']
    if (version === VERSION && isOf(db, record)) return indexOf(db)
  } catch {
    // Whatever is wrong with a file that can be made again: it is made again.
  }
  db?.close()
  return undefined
}

function isOf(db: DatabaseSync, record: RecordReader): boolean {
  const filled = db.prepare('SELECT seq, mac FROM filled').get() as
    | { seq: number; mac: Uint8Array }
    | undefined
  const row = record.segment(filled?.seq ?? 0)
  return filled?.seq === 0 || (row !== undefined && filled !== undefined && sameMac(row.mac, filled.mac))
}

function indexOf(db: DatabaseSync): IndexFile {
  const filled = db.prepare('SELECT seq FROM filled')
  const setFilled = db.prepare('UPDATE filled SET seq = ?, mac = ?')
  const forget = db.prepare('DELETE FROM calls WHERE n < ?')
  const write = createRowWriter(db)
  return {
    db,
    filledTo: () => filled.get()?.['seq'] as number,
    take(segments) {
      const last = segments.at(-1)
      if (last === undefined) return
      db.exec('BEGIN IMMEDIATE')
      try {
        write(segments)
        setFilled.run(last.seq, last.mac)
        db.exec('COMMIT')
      } catch (error) {
        db.exec('ROLLBACK')
        throw error
      }
    },
    forget: (toSeq) => void forget.run(rowNumber(toSeq + 1, 0)),
    close: () => db.close(),
  }
}

function createRowWriter(db: DatabaseSync): (segments: readonly SegmentRow[]) => void {
  const columns =
    'n, at_ms, id, event, principal, principal_name, project, server, target, session, decision, reason, status, duration_ms, code, count'
  const insert = db.prepare(
    `INSERT INTO calls (${columns}) VALUES (${columns.replaceAll(/\w+/g, '?')}) ON CONFLICT (n) DO NOTHING`,
  )
  const update = db.prepare(
    'UPDATE calls SET status = ?, duration_ms = ?, code = ? WHERE id = ? AND status IS NULL',
  )
  const put = (n: number, entry: Intent, outcome: Outcome | undefined): void => {
    const { id, event, principal, principalName, project, server, target, session, decision, reason } = entry
    const who = [principal, principalName, project ?? null, server ?? null, target ?? null, session ?? null]
    const end = [outcome?.status ?? null, outcome?.durationMs ?? null, outcome?.code ?? null]
    insert.run(n, Math.trunc(entry.atMs), id, event, ...who, decision, reason ?? null, ...end, null)
  }
  const putOther = (n: number, entry: Exclude<Entry, Intent | Outcome>): void => {
    const gap = entry.type === 'gap'
    const of = gap ? ['gap', '-', '-'] : ['refusals', '-', entry.source]
    const reason = gap ? `entries lost since ${new Date(entry.sinceMs).toISOString()}` : entry.reason
    const none = [null, null, null, null, 'deny', reason, null, null, null]
    insert.run(
      n,
      Math.trunc(entry.atMs),
      `${of[0]}-${n}`,
      ...of,
      ...none,
      gap ? entry.entriesLost : entry.count,
    )
  }
  return (segments) => {
    const outcomes = new Map<string, Outcome>()
    const entries = segments.flatMap((segment) =>
      decode(segment).map((entry, i) => [rowNumber(segment.seq, i), entry] as const),
    )
    for (const [, entry] of entries) if (entry.type === 'outcome') outcomes.set(entry.of, entry)
    for (const [n, entry] of entries) {
      if (entry.type === 'outcome') continue
      if (entry.type !== 'intent') putOther(n, entry)
      else {
        put(n, entry, outcomes.get(entry.id))
        outcomes.delete(entry.id)
      }
    }
    // Those left belong to calls of an earlier slice.
    for (const late of outcomes.values()) update.run(late.status, late.durationMs, late.code ?? null, late.of)
  }
}

/** The listing goes on where the record was damaged, and says so in the place of what was there. */
function decode({ seq, body, firstAtMs }: SegmentRow): Entry[] {
  try {
    return decodeBody(body)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    const reason = `segment ${seq} cannot be read: castellan audit verify`
    return [{ type: 'refusals', atMs: firstAtMs, source: '-', reason, count: 0 }]
  }
}
