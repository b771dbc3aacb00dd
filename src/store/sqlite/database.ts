import { chmodSync, closeSync, fstatSync, openSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

/** One SQLite file, opened for writing. Lives in the worker: every method blocks. */
export interface Database {
  run(sql: string, parameters: readonly unknown[]): { readonly rows: unknown[]; readonly changes: number }
  begin(): void
  commit(): void
  /** Nothing to do when SQLite has rolled back by itself. */
  rollback(): void
  close(): void
}

/** Prepared statements kept for each file; the statements of the store are fewer. */
const KEPT_STATEMENTS = 256
const BUSY_TIMEOUT_MS = 5000

export function openDatabase(path: string): Database {
  makePrivate(path)
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS })
  // FULL: the write-ahead log is synced at every commit, so what is acknowledged survives a power cut.
  db.exec('pragma journal_mode = wal')
  db.exec('pragma synchronous = full')
  db.exec('pragma trusted_schema = off')
  // What was sealed with a key that is replaced must not stay in the file.
  db.exec('pragma secure_delete = on')
  db.exec('pragma journal_size_limit = 67108864')
  const prepare = createStatementCache(db)
  let inTransaction = false

  /**
   * Some errors (a full disk, a failed write) make SQLite roll back by itself. What follows in that transaction must
   * not be taken for statements of their own, each committed alone.
   */
  function assertTransactionLives(): void {
    if (inTransaction && !db.isTransaction) throw new Error('the transaction was rolled back by SQLite')
  }

  return {
    run(sql, parameters) {
      assertTransactionLives()
      const statement = prepare(sql)
      const values = parameters as SQLInputValue[]
      if (statement.columns().length > 0) return { rows: statement.all(...values), changes: 0 }
      return { rows: [], changes: Number(statement.run(...values).changes) }
    },
    begin() {
      // Immediate: whoever has begun can write; nothing fails half-way because another process wrote first.
      db.exec('begin immediate')
      inTransaction = true
    },
    commit() {
      assertTransactionLives()
      db.exec('commit')
      inTransaction = false
    },
    rollback() {
      inTransaction = false
      if (db.isTransaction) db.exec('rollback')
    },
    close: () => db.close(),
  }
}

/** SQLite gives its `-wal` and `-shm` files the permissions of the database file. */
function makePrivate(path: string): void {
  const fd = openSync(path, 'a', 0o600)
  try {
    if ((fstatSync(fd).mode & 0o077) !== 0) chmodSync(path, 0o600)
  } finally {
    closeSync(fd)
  }
}

function createStatementCache(db: DatabaseSync): (sql: string) => StatementSync {
  const statements = new Map<string, StatementSync>()
  return (sql) => {
    const known = statements.get(sql)
    if (known !== undefined) return known
    const statement = db.prepare(sql)
    if (statements.size >= KEPT_STATEMENTS) statements.clear()
    statements.set(sql, statement)
    return statement
  }
}
