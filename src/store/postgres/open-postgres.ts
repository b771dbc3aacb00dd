import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import { Pool, TypeOverrides, type PoolClient } from 'pg'
import { Fault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import { migrate } from '../migrations/migrate.ts'
import { CONTROL_MIGRATIONS, STATE_MIGRATIONS } from '../migrations/migrations.ts'
import type { Store } from '../store.ts'
import type { ControlDb, ControlTables, StateDb, StateTables } from '../tables.ts'
import { listenForRevisions } from './listen.ts'
import { fromPostgres } from './postgres-error.ts'

/** Object id of the type `bigint`. */
const INT8 = 20
const MAX_CONNECTIONS = 10
const CONNECT_TIMEOUT_MS = 10_000
const STATEMENT_TIMEOUT_MS = 60_000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000

/** Both parts in one PostgreSQL database (15 or newer), in the schema that comes first in the user's search path. */
export async function openPostgres(url: string, log: Log): Promise<Store> {
  const pool = openPool(url)
  // A connection may break while no statement runs on it, in a transaction too; without a listener that ends the
  // process. The statement that comes next is refused, and the pool opens another connection.
  pool.on('connect', (client) => {
    client.on('error', (error) => log.warn({ reason: fromPostgres(error) }, 'lost a database connection'))
  })
  pool.on('error', () => undefined)
  const db = new Kysely<ControlTables & StateTables>({ dialect: new PostgresDialect({ pool: guard(pool) }) })
  const control = db as unknown as ControlDb
  const state = db as unknown as StateDb
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= pool.end())
  try {
    await migrate(control, { part: 'control', migrations: CONTROL_MIGRATIONS, dialect: 'postgres' })
    await migrate(state, { part: 'state', migrations: STATE_MIGRATIONS, dialect: 'postgres' })
    const watch: Store['watch'] = (moved) => listenForRevisions(url, log, moved)
    return { control, state, dialect: 'postgres', watch, close }
  } catch (error) {
    await close()
    throw error
  }
}

function openPool(url: string): Pool {
  // Checked here, since the parser's own error would quote the address, and the password with it.
  if (!URL.canParse(url) || !/^postgres(?:ql)?:$/.test(new URL(url).protocol)) {
    throw new Fault('invalid', { hint: 'give the database as postgres://user:password@host:5432/name' })
  }
  const types = new TypeOverrides()
  // `bigint` arrives as text; ours are counters and milliseconds, all below 2^53.
  types.setTypeParser(INT8, Number)
  return new Pool({
    connectionString: url,
    application_name: 'castellan',
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    types,
  })
}

/** The pool as Kysely sees it, with every error translated. */
function guard(pool: Pool): PostgresPool {
  return {
    options: {},
    end: () => Promise.resolve(),
    connect: async () => guardClient(await translated(pool.connect())),
  }
}

function guardClient(client: PoolClient): PostgresPoolClient {
  const query = (sql: unknown, parameters?: readonly unknown[]): Promise<unknown> => {
    if (typeof sql !== 'string') throw new Error('rows are read in pages, not streamed')
    return translated(client.query(sql, parameters === undefined ? [] : [...parameters]))
  }
  return {
    query: query as PostgresPoolClient['query'],
    release: (destroy) => client.release(destroy),
  }
}

async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw fromPostgres(error)
  }
}
