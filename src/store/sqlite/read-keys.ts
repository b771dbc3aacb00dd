import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { KeyRows } from '../master-key.ts'

/**
 * What the embedded store of a home remembers of its master key, read beside a daemon that may have it open.
 *
 * @returns undefined where there is no such store, or it is older than its store key
 */
export function readSqliteKeys(home: string): KeyRows | undefined {
  const path = join(home, 'control.db')
  if (!existsSync(path)) return undefined
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    const isKnown = db
      .prepare("select 1 from sqlite_master where type = 'table' and name = 'key_rotation'")
      .get()
    if (isKnown === undefined) return undefined
    return {
      master: db.prepare('select * from master_key').get() as KeyRows['master'],
      rotation: db.prepare('select * from key_rotation').get() as KeyRows['rotation'],
    }
  } finally {
    db.close()
  }
}
