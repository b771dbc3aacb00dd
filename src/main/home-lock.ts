import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CliFailure } from '../cli/failure.ts'

export interface HomeLock {
  release(): void
}

const SQLITE_BUSY = 5

/**
 * Takes a home for this process, making it (0700) where there is none. The lock is a held exclusive transaction on
 * `<home>/daemon.lock`: the kernel lets go of it when the process ends, however it ends, so nothing is ever stale.
 * Whoever takes it has to keep the value: once it is garbage, so is the lock.
 *
 * @returns undefined when another process holds it
 * @throws CliFailure `unavailable` when the home cannot be made or written
 */
export function lockHome(home: string): HomeLock | undefined {
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 })
    // Made here, since SQLite would make it readable by others and reports a read-only home as "cannot open".
    closeSync(openSync(lockPath(home), 'a', 0o600))
  } catch (error) {
    throw homeFailure(home, error)
  }
  const file = new DatabaseSync(lockPath(home), { timeout: 0 })
  try {
    file.exec('begin exclusive')
  } catch (error) {
    file.close()
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined
    throw homeFailure(home, error)
  }
  return { release: () => file.close() }
}

/** Whether a process holds the lock right now. Leaves nothing behind in a home that does not exist. */
export function isHomeLocked(home: string): boolean {
  let file: DatabaseSync
  try {
    file = new DatabaseSync(lockPath(home), { readOnly: true, timeout: 0 })
  } catch {
    // No lock file, so nobody has ever started here (or it cannot be read, and then stopping fails by itself).
    return false
  }
  try {
    // Any read needs a shared lock, which the exclusive one denies.
    file.prepare('select count(*) from sqlite_schema').get()
    return false
  } catch (error) {
    return (error as { errcode?: number }).errcode === SQLITE_BUSY
  } finally {
    file.close()
  }
}

const lockPath = (home: string): string => join(home, 'daemon.lock')

// oxfmt-ignore
const REASONS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  EACCES:  ['you may not write there', 'choose another with --home, or run this as its owner'],
  EPERM:   ['you may not write there', 'choose another with --home, or run this as its owner'],
  EROFS:   ['the file system is read-only', 'choose another with --home, on a disk that can be written'],
  ENOSPC:  ['the disk is full', 'free some space, or choose another with --home'],
  EDQUOT:  ['your disk quota is used up', 'free some space, or choose another with --home'],
  ENOTDIR: ['a part of the path is a file', 'choose another with --home'],
  EEXIST:  ['a part of the path is a file', 'choose another with --home'],
  ENOENT:  ['a directory cannot be made there', 'choose another with --home'],
}

/** Primary result codes of SQLite for what the system calls otherwise (https://sqlite.org/rescode.html). */
const SYSTEM_CODES: ReadonlyMap<number, string> = new Map([
  [8, 'EROFS'], // SQLITE_READONLY
  [10, 'ENOSPC'], // SQLITE_IOERR: of the empty file of the lock, only the journal is written
  [13, 'ENOSPC'], // SQLITE_FULL
])

/** A home that cannot be used, in words that say what to do. */
export function homeFailure(home: string, error: unknown): CliFailure {
  const { errcode, code: system } = error as NodeJS.ErrnoException & { readonly errcode?: number }
  const code = SYSTEM_CODES.get((errcode ?? 0) & 0xff) ?? system ?? 'unknown reason'
  const [reason, hint] = REASONS[code] ?? [code, 'choose another with --home']
  return new CliFailure(
    { code: 'unavailable', message: `the home ${home} cannot be used: ${reason}`, hint },
    error,
  )
}
