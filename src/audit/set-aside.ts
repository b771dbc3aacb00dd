import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { Fault } from '../lib/fault.ts'
import { anchorsPath } from './anchors.ts'
import { archiveDirectory } from './archive.ts'
import { indexPath } from './index-file.ts'
import { lockRecord, recordPath } from './record-file.ts'

const PREFIX = 'audit-set-aside-'

/**
 * Moves a record that cannot be trusted, with its anchors and archives, into a folder of its own below the home, where
 * `verify` can still read it. The next start begins a new chain, and its first entry names the folder.
 * @returns the folder's name
 * @throws Fault `conflict` while a daemon writes the record, `not_found` when there is none
 */
export function setAside(home: string, nowMs: number): string {
  const lock = lockRecord(home)
  if (lock === undefined)
    throw new Fault('conflict', { hint: 'a daemon writes this record: stop it with `castellan down`' })
  try {
    const record = recordPath(home)
    const index = indexPath(home)
    const all = [
      ...['', '-wal', '-shm'].flatMap((suffix) => [`${record}${suffix}`, `${index}${suffix}`]),
      anchorsPath(home),
      archiveDirectory(home),
    ].filter((path) => existsSync(path))
    if (all.length === 0) throw new Fault('not_found', { hint: 'this home has no audit record' })
    const directory = `${PREFIX}${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}`
    mkdirSync(join(home, directory), { mode: 0o700 })
    for (const path of all) renameSync(path, join(home, directory, path.slice(home.length + 1)))
    return directory
  } finally {
    lock.release()
  }
}

/** The folder of the record before this one, if one was set aside. */
export const newestSetAside = (home: string): string | undefined =>
  readdirSync(home)
    .filter((name) => name.startsWith(PREFIX))
    .sort()
    .at(-1)
