import { closeSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sameMac, type SegmentRow } from './chain.ts'
import { CALLER_COLUMNS, COLUMNS, indexRows, rowNumber } from './index-rows.ts'
import { auditRowOf, type Index } from './query.ts'
import { conditionText, hasIndex, RARE_DECISION, RARE_KIND, type Condition } from './readings.ts'
import type { RecordReader } from './record-file.ts'
import { IS_REQUEST, sessionsStatement, type SessionRow } from './sessions.ts'

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
const VERSION = 3

const SCHEMA = `
  CREATE TABLE calls (
    n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, principal TEXT NOT NULL,
    principal_name TEXT NOT NULL, project TEXT, server TEXT, target TEXT, session TEXT, decision TEXT NOT NULL,
    reason TEXT, status TEXT, duration_ms REAL, code TEXT, count INTEGER, user_name TEXT, token_name TEXT,
    token_sha TEXT, actor TEXT, kind TEXT NOT NULL, grant_name TEXT, injected TEXT
  ) STRICT;
  CREATE INDEX calls_by_time ON calls (at_ms);
  CREATE INDEX calls_by_project ON calls (project, at_ms);
  CREATE INDEX calls_by_principal ON calls (principal, at_ms);
  CREATE INDEX calls_by_principal_name ON calls (principal_name, at_ms);
  CREATE INDEX calls_by_target ON calls (target, at_ms);
  CREATE INDEX calls_by_actor ON calls (actor, at_ms) WHERE actor IS NOT NULL;
  CREATE INDEX calls_by_grant ON calls (grant_name, at_ms) WHERE grant_name IS NOT NULL;
  CREATE INDEX calls_by_kind ON calls (kind, at_ms) WHERE ${RARE_KIND};
  CREATE INDEX calls_by_decision ON calls (decision, at_ms) WHERE ${RARE_DECISION};
  CREATE INDEX calls_open ON calls (id) WHERE status IS NULL;
  CREATE TABLE callers (
    principal TEXT NOT NULL, user_name TEXT NOT NULL, token_name TEXT NOT NULL, token_sha TEXT NOT NULL,
    PRIMARY KEY (principal, user_name, token_name, token_sha)
  ) STRICT, WITHOUT ROWID;
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
  const places = COLUMNS.map(() => '?').join(', ')
  const insert = db.prepare(
    `INSERT INTO calls (${COLUMNS.join(', ')}) VALUES (${places}) ON CONFLICT (n) DO NOTHING`,
  )
  const update = db.prepare(
    'UPDATE calls SET status = ?, duration_ms = ?, code = ?, session = coalesce(session, ?) WHERE id = ? AND status IS NULL',
  )
  const keep = db.prepare(
    `INSERT INTO callers (${CALLER_COLUMNS.join(', ')}) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  )
  return (segments) => {
    const { rows, callers, late } = indexRows(segments)
    for (const caller of callers) keep.run(...caller)
    for (const row of rows) insert.run(...row)
    for (const { of, status, durationMs, code, session } of late)
      update.run(status, durationMs, code ?? null, session ?? null, of)
  }
}

/** The first that fits is walked, so the rarer comes first; the planner has no statistics and would have to guess. */
const INDEXES: readonly (readonly [Condition['column'], string])[] = [
  ['kind', 'calls_by_kind'],
  ['target', 'calls_by_target'],
  ['actor', 'calls_by_actor'],
  ['grant_name', 'calls_by_grant'],
  ['decision', 'calls_by_decision'],
  ['principal', 'calls_by_principal'],
  ['principal_name', 'calls_by_principal_name'],
  ['project', 'calls_by_project'],
]

function walkedFor(where: readonly Condition[]): string {
  const indexed = where.filter(hasIndex)
  return INDEXES.find(([name]) => indexed.some(({ column }) => column === name))?.[1] ?? 'calls_by_time'
}

const conditionsText = (where: readonly Condition[]): string =>
  where.map((condition) => conditionText(condition, '?')).join(' AND ')

export function searchIn(db: DatabaseSync): Index {
  const values = (where: readonly Condition[]) => where.map(({ value }) => value)
  return {
    any(condition) {
      const sql = `SELECT 1 FROM calls INDEXED BY ${walkedFor([condition])} WHERE ${conditionsText([condition])} LIMIT 1`
      return db.prepare(sql).get(condition.value) !== undefined
    },
    callers(where, limit) {
      const sql = `SELECT DISTINCT principal FROM callers WHERE ${conditionsText(where)} LIMIT ?`
      return db
        .prepare(sql)
        .all(...values(where), limit)
        .map((row) => row['principal'] as string)
    },
    newest(where, limit) {
      const sql = `SELECT * FROM calls INDEXED BY ${walkedFor(where)}
        WHERE ${conditionsText(where)} ORDER BY at_ms DESC, n DESC LIMIT ?`
      const rows = db.prepare(sql).all(...values(where), limit)
      return rows.map((row) => ({ n: row['n'] as number, row: auditRowOf(row) }))
    },
    sessions(where, most) {
      const requests = `SELECT * FROM calls INDEXED BY ${walkedFor(where)}
        WHERE ${conditionsText(where)} AND ${IS_REQUEST} ORDER BY at_ms DESC, n DESC LIMIT ?`
      return db.prepare(sessionsStatement(requests)).all(...values(where), most) as unknown as SessionRow[]
    },
  }
}
