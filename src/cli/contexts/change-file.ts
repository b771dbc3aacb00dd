import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { unavailable } from '../failure.ts'
import { readIfThere } from '../read-if-there.ts'

/** Whoever holds the lock writes two small files. */
const LOCK_WAIT_MS = 10_000

/**
 * Changes files of the user's own beside `path` while no other process does.
 *
 * The lock is a transaction on `<path>.lock`: the kernel lets go of it when the process ends, however it ends, so that
 * it is never stale.
 *
 * @throws CliFailure when the folder cannot be written, or another process holds the lock for too long
 */
export function whileLocked<Result>(path: string, work: () => Result): Result {
  const lock = `${path}.lock`
  let file: DatabaseSync
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    // Made here, since SQLite would make it readable by others.
    closeSync(openSync(lock, 'a', 0o600))
    file = new DatabaseSync(lock, { timeout: LOCK_WAIT_MS })
  } catch (error) {
    throw notWritable(path, error)
  }
  try {
    begin(file, path)
    return work()
  } finally {
    file.close()
  }
}

function begin(file: DatabaseSync, path: string): void {
  try {
    file.exec('begin exclusive')
  } catch (error) {
    throw unavailable(
      `${path} is being changed by another process`,
      'run it again when that one has ended',
      error,
    )
  }
}

/**
 * Replaces a file as a whole (0600), so that no reader sees half of it and a crash leaves the one or the other. To be
 * called with the lock held. What a symbolic link leads to is replaced, not the link.
 *
 * @param text undefined: the file goes
 * @throws CliFailure when it cannot be written
 */
export function replaceFile(path: string, text: string | undefined): void {
  try {
    const target = readIfThere(path) === undefined ? path : realpathSync(path)
    if (text === undefined) return rmSync(target, { force: true })
    const temporary = `${target}.writing`
    rmSync(temporary, { force: true })
    const file = openSync(temporary, 'wx', 0o600)
    try {
      writeSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, target)
  } catch (error) {
    throw notWritable(path, error)
  }
}

const notWritable = (path: string, error: unknown): Error =>
  unavailable(
    `${path} cannot be written (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
    'check the folder, or name another file with CASTELLAN_CONFIG',
    error,
  )
