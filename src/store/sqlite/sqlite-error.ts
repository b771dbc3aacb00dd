import { Fault } from '../../lib/fault.ts'
import {
  ALREADY_EXISTS,
  CANNOT_WRITE,
  DATABASE_BUSY,
  DATABASE_DAMAGED,
  DISK_FULL,
} from '../database-hints.ts'
import type { WorkerError } from './messages.ts'

/** Extended result codes of `SQLITE_CONSTRAINT` that mean "there is one already" (https://sqlite.org/rescode.html). */
const NOT_UNIQUE: ReadonlySet<number | undefined> = new Set([1555, 2067])

/** `SQLITE_IOERR_SHMSIZE`: the index of the write-ahead log cannot grow, for want of room. */
const NO_ROOM_FOR_INDEX = 4874

/** Primary result codes (the low byte) that are the machine's doing, and not a bug of ours. */
const HINT_BY_RESULT: ReadonlyMap<number, string> = new Map([
  [5, DATABASE_BUSY], // SQLITE_BUSY
  [8, CANNOT_WRITE], // SQLITE_READONLY
  [10, CANNOT_WRITE], // SQLITE_IOERR
  [11, DATABASE_DAMAGED], // SQLITE_CORRUPT
  [13, DISK_FULL], // SQLITE_FULL
  [14, CANNOT_WRITE], // SQLITE_CANTOPEN
  [26, DATABASE_DAMAGED], // SQLITE_NOTADB
])

const HINT_BY_SYSTEM_CODE: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', DISK_FULL],
  ['EDQUOT', DISK_FULL],
  ['EACCES', CANNOT_WRITE],
  ['EPERM', CANNOT_WRITE],
  ['EROFS', CANNOT_WRITE],
  ['ENOENT', CANNOT_WRITE],
])

/** What a failed statement becomes: a Fault where a caller or an operator can do something, else a plain error (a bug). */
export function fromSqlite(error: WorkerError): Error {
  const cause = new Error(`SQLite: ${error.message} (${error.errcode ?? error.code ?? 'no code'})`)
  if (NOT_UNIQUE.has(error.errcode)) return new Fault('conflict', { hint: ALREADY_EXISTS, cause })
  const hint =
    error.errcode === undefined
      ? HINT_BY_SYSTEM_CODE.get(error.code ?? '')
      : error.errcode === NO_ROOM_FOR_INDEX
        ? DISK_FULL
        : HINT_BY_RESULT.get(error.errcode & 0xff)
  return hint === undefined ? cause : new Fault('unavailable', { hint, cause })
}
