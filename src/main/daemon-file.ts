import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DaemonRecord } from '../cli/target.ts'

/** Publishes where the daemon of a home is, for the command line. Replaced as a whole, so that no reader sees half. */
export function writeDaemonRecord(home: string, record: DaemonRecord): void {
  const path = join(home, 'daemon.json')
  const temporary = `${path}.${record.pid}`
  writeFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 })
  renameSync(temporary, path)
}

/** To be called by the holder of the home's lock only. */
export const removeDaemonRecord = (home: string): void => rmSync(join(home, 'daemon.json'), { force: true })
