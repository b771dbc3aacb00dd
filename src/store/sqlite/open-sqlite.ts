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

/** `control.db` and `state.db` in the home, both behind one worker thread. */
export async function openSqlite(home: string, log: Log): Promise<Store> {
  const worker = startWorker(log)

  async function open<Tables>(file: DatabaseFile): Promise<Kysely<Tables>> {
    await worker.ask({ op: 'open', file, path: join(home, `${file}.db`) })
    return new Kysely<Tables>({ dialect: createWorkerDialect(worker, file) })
  }

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
