import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { Fault } from '../lib/fault.ts'
import { anchorsPath } from './anchors.ts'
import { archiveDirectory } from './archive.ts'
import { indexPath } from './index-file.ts'
import { chainFolder } from './postgres/chain-folder.ts'
import { lockRecord, recordPath } from './record-file.ts'

const PREFIX = 'audit-set-aside-'

/**
 * Moves a record that cannot be trusted, with its anchors and archives, into a folder of its own below the home, where
 * `verify` can still read it. The next start begins a new chain, and its first entry names the folder. Of a record in a
 * database that is what the home has of it; the chain itself stays there, and `verify` goes on to say what is wrong.
 * @param where whether the record lies in the files of the home or in a database
 * @returns the folder's name
 * @throws Fault `conflict` while a daemon writes the record, `not_found` when there is none
 */
export function setAside(home: string, nowMs: number, where: 'files' | 'database' = 'files'): string {
  const folder = where === 'files' ? home : chainFolder(home)
  if (!existsSync(folder)) throw nothing()
  const lock = lockRecord(folder)
  if (lock === undefined)
    throw new Fault('conflict', { hint: 'a daemon writes this record: stop it with `castellan down`' })
  try {
    const all = (where === 'files' ? filesOf(home) : [folder]).filter((path) => existsSync(path))
    if (all.length === 0) throw nothing()
    const directory = `${PREFIX}${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}`
    mkdirSync(join(home, directory), { mode: 0o700 })
    for (const path of all) renameSync(path, join(home, directory, path.slice(home.length + 1)))
    return directory
  } finally {
    lock.release()
  }
}

function filesOf(home: string): string[] {
  const [record, index] = [recordPath(home), indexPath(home)]
  const databases = ['', '-wal', '-shm'].flatMap((suffix) => [`${record}${suffix}`, `${index}${suffix}`])
  return [...databases, anchorsPath(home), archiveDirectory(home)]
}

const nothing = (): Fault => new Fault('not_found', { hint: 'this home has no audit record' })

/** The folder of the record before this one, if one was set aside. */
export const newestSetAside = (home: string): string | undefined =>
  readdirSync(home)
    .filter((name) => name.startsWith(PREFIX))
    .sort()
    .at(-1)
