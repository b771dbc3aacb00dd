import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import { Pool, TypeOverrides, type PoolClient } from 'pg'
import { createOwnSockets, type OwnSockets } from '../../lib/own-sockets.ts'
import { Fault } from '../../lib/fault.ts'
import type { Log } from '../../lib/log.ts'
import { migrate } from '../migrations/migrate.ts'
import { CONTROL_MIGRATIONS, STATE_MIGRATIONS } from '../migrations/migrations.ts'
import type { Store } from '../store.ts'
import type { ControlDb, ControlTables, StateDb, StateTables } from '../tables.ts'
import { listenForRevisions } from './listen.ts'
import { fromPostgres, isAnswer } from './postgres-error.ts'

/** Object id of the type `bigint`. */
const INT8 = 20
const MAX_CONNECTIONS = 10
const CONNECT_TIMEOUT_MS = 10_000
/** Ours are short; the longest wait is that for other changing transactions. */
const STATEMENT_TIMEOUT_MS = 15_000
/** Changing the tables of a large store may take its time, and whoever starts meanwhile waits for it. */
const MIGRATION_TIMEOUT_MS = 15 * 60_000
/** A server that has not even said by then that it took too long says nothing any more. */
const SILENT_AFTER_MS = 2000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000

/** Both parts in one PostgreSQL database (15 or newer), in the schema that comes first in the user's search path. */
export async function openPostgres(url: string, log: Log): Promise<Store> {
  await bringUpToDate(url, log)
  const sockets = createOwnSockets()
  const { make } = sockets
  const pool = openPool(url, log, {
    connections: MAX_CONNECTIONS,
    statementMs: STATEMENT_TIMEOUT_MS,
    stream: make,
  })
  const db = kyselyOn(pool)
  const control = db as unknown as ControlDb
  const state = db as unknown as StateDb
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= sockets.closeAfter(pool.end()))
  const watch: Store['watch'] = (moved) => listenForRevisions(url, log, moved)
  return { control, state, dialect: 'postgres', watch, close }
}

async function bringUpToDate(url: string, log: Log): Promise<void> {
  const pool = openPool(url, log, { connections: 1, statementMs: MIGRATION_TIMEOUT_MS })
  try {
    const db = kyselyOn(pool)
    await migrate(db, { part: 'control', migrations: CONTROL_MIGRATIONS, dialect: 'postgres' })
    await migrate(db, { part: 'state', migrations: STATE_MIGRATIONS, dialect: 'postgres' })
  } finally {
    await pool.end()
  }
}

const kyselyOn = (pool: Pool): Kysely<ControlTables & StateTables> =>
  new Kysely({ dialect: new PostgresDialect({ pool: guard(pool) }) })

interface PoolOptions {
  readonly connections: number
  readonly statementMs: number
  readonly stream?: OwnSockets['make']
}

function openPool(url: string, log: Log, { connections, statementMs, stream }: PoolOptions): Pool {
  // Checked here, since the parser's own error would quote the address, and the password with it.
  if (!URL.canParse(url) || !/^postgres(?:ql)?:$/.test(new URL(url).protocol)) {
    throw new Fault('invalid', { hint: 'give the database as postgres://user:password@host:5432/name' })
  }
  const types = new TypeOverrides()
  // `bigint` arrives as text; ours are counters and milliseconds, all below 2^53.
  types.setTypeParser(INT8, Number)
  const pool = new Pool({
    connectionString: url,
    application_name: 'castellan',
    max: connections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: statementMs,
    query_timeout: statementMs + SILENT_AFTER_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    keepAlive: true,
    types,
    ...(stream === undefined ? {} : { stream }),
  })
  // A connection may break while no statement runs on it, in a transaction too; without a listener that ends the
  // process. The statement that comes next is refused, and the pool opens another connection.
  pool.on('connect', (client) => {
    client.on('error', (error) => log.warn({ reason: fromPostgres(error) }, 'lost a database connection'))
  })
  pool.on('error', () => undefined)
  return pool
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
  /** Why nothing more is asked of it: what it was asked last was not answered, so nothing after that would be. */
  let silent: unknown
  const query = async (sql: unknown, parameters?: readonly unknown[]): Promise<unknown> => {
    if (typeof sql !== 'string') throw new Error('rows are read in pages, not streamed')
    if (silent !== undefined) throw fromPostgres(silent)
    try {
      return await client.query(sql, parameters === undefined ? [] : [...parameters])
    } catch (error) {
      if (!isAnswer(error)) silent = error
      throw fromPostgres(error)
    }
  }
  return {
    query: query as PostgresPoolClient['query'],
    release: (destroy) => client.release(destroy === true || silent !== undefined),
  }
}

async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw fromPostgres(error)
  }
}
