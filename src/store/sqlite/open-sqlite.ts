import { join } from 'node:path'
import { Kysely } from 'kysely'
import type { Log } from '../../lib/log.ts'
import { migrate } from '../migrations/migrate.ts'
import { CONTROL_MIGRATIONS, STATE_MIGRATIONS } from '../migrations/migrations.ts'
import type { Store } from '../store.ts'
import type { ControlTables, StateTables } from '../tables.ts'
import type { DatabaseFile } from './messages.ts'
import { startWorker } from './worker-client.ts'
import { createWorkerDialect } from './worker-dialect.ts'

type Worker = ReturnType<typeof startWorker>

async function openFile<Tables>(worker: Worker, home: string, file: DatabaseFile): Promise<Kysely<Tables>> {
  await worker.ask({ op: 'open', file, path: join(home, `${file}.db`) })
  return new Kysely<Tables>({ dialect: createWorkerDialect(worker, file) })
}

/** `state.db` alone: for a process that has no configuration of its own. */
export async function openSqliteState(home: string, log: Log): Promise<Pick<Store, 'state' | 'close'>> {
  const worker = startWorker(log)
  try {
    const state = await openFile<StateTables>(worker, home, 'state')
    await migrate(state, { part: 'state', migrations: STATE_MIGRATIONS, dialect: 'sqlite' })
    return { state, close: () => worker.close() }
  } catch (error) {
    await worker.close()
    throw error
  }
}

/** `control.db` and `state.db` in the home, both behind one worker thread. */
export async function openSqlite(home: string, log: Log): Promise<Store> {
  const worker = startWorker(log)
  const open = <Tables>(file: DatabaseFile): Promise<Kysely<Tables>> => openFile<Tables>(worker, home, file)
  try {
    const [control, state] = await Promise.all([open<ControlTables>('control'), open<StateTables>('state')])
    await migrate(control, { part: 'control', migrations: CONTROL_MIGRATIONS, dialect: 'sqlite' })
    await migrate(state, { part: 'state', migrations: STATE_MIGRATIONS, dialect: 'sqlite' })
    return { control, state, dialect: 'sqlite', watch: undefined, close: () => worker.close() }
  } catch (error) {
    await worker.close()
    throw error
  }
}
