import { Client, TypeOverrides, type QueryResultRow } from 'pg'
import { createOwnSockets, type OwnSockets } from '../../lib/own-sockets.ts'

/** Object id of the type `bigint`. */
const INT8 = 20
const CONNECT_TIMEOUT_MS = 5_000

export type Query = <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>

/** One session with the database, opened by its first use and again after it broke. */
export interface Session {
  /** Rejects with a sentence that holds no part of the address; the next statement then has a new session. */
  readonly query: Query
  /** All of `work` or nothing. One at a time, and nothing else meanwhile. Rejects as `query` does. */
  transaction<T>(begin: string, work: (query: Query) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface SessionOptions {
  readonly url: string
  /** Longest time of one statement. */
  readonly statementMs: number
  /** Runs on each new session before any other statement; when it fails, the session is given up. */
  readonly prepare?: (query: Query) => Promise<void>
  /** A session that was open is lost. */
  readonly onLost?: () => void
}

export function createSession({ url, statementMs, prepare, onLost }: SessionOptions): Session {
  const socketsOf = new WeakMap<Client, OwnSockets>()
  let open: Promise<Client> | undefined
  let closed = false

  /** Nothing more is asked of it, and it goes even if nobody answers on it. */
  const letGo = (client: Client): Promise<void> =>
    socketsOf.get(client)?.closeAfter(client.end()) ?? Promise.resolve()

  function session(): Promise<Client> {
    if (closed) throw new SessionFailure('the session with the database is closed')
    if (open !== undefined) return open
    const opening = connect(() => {
      if (open !== opening) return
      open = undefined
      if (!closed) onLost?.()
    })
    return (open = opening)
  }

  async function connect(gone: () => void): Promise<Client> {
    const sockets = createOwnSockets()
    const client = new Client({ ...settings(url, statementMs), stream: sockets.make })
    socketsOf.set(client, sockets)
    // Without a listener a connection that breaks while nothing runs on it would end the thread.
    client.on('error', gone)
    client.on('end', gone)
    try {
      await client.connect()
      await client.query(PREPARE)
      await prepare?.(queryOf(client))
      return client
    } catch (error) {
      gone()
      void letGo(client)
      throw error instanceof RecordRefused ? error : failureOf(error)
    }
  }

  async function using<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const opening = session()
    const client = await opening
    try {
      return await work(queryOf(client))
    } catch (error) {
      // What became of the statement is unknown, and of the session too: whoever asks again gets another one.
      if (open === opening) open = undefined
      void letGo(client)
      throw error
    }
  }

  return {
    query: (text, values) => using((query) => query(text, values)),
    transaction: (begin, work) =>
      using(async (query) => {
        await query(begin)
        const result = await work(query)
        await query('COMMIT')
        return result
      }),
    async close() {
      const client = await open?.catch(() => undefined)
      closed = true
      if (client !== undefined) await letGo(client)
    },
  }
}

const queryOf =
  (client: Client): Query =>
  async <Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    try {
      return (await client.query<Row>(text, [...values])).rows
    } catch (error) {
      throw failureOf(error)
    }
  }

/**
 * Durable means on disk, whatever the server's default. A session whose client has vanished without a word is noticed
 * within half a minute: it holds the lock of its chain until then.
 */
const PREPARE = `
  SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
  SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3`

function settings(url: string, statementMs: number) {
  const types = new TypeOverrides()
  // `bigint` arrives as text; ours are counters and milliseconds, all below 2^53.
  types.setTypeParser(INT8, Number)
  return {
    connectionString: url,
    application_name: 'castellan audit',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: statementMs,
    // For a server that says nothing any more.
    query_timeout: statementMs + 2_000,
    keepAlive: true,
    types,
  }
}

/** SQLSTATE (PostgreSQL appendix A), whole or its class of two characters. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['08', 'the database cannot be reached'],
  ['57', 'the database is starting, stopping or too slow'],
  ['28', 'the database refuses the login'],
  ['3D', 'the database is not there'],
  ['42501', 'the user of the database may not do this'],
  ['25006', 'the database cannot be written'],
  ['53100', 'the disk of the database is full'],
  ['53300', 'the database has no connection left'],
  ['23505', 'another daemon has written this chain'],
])

/** Says what went wrong without what the driver knows of addresses, users and values. */
function failureOf(error: unknown): SessionFailure {
  if (error instanceof SessionFailure) return error
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown }
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) {
    const reason = REASONS.get(code) ?? REASONS.get(code.slice(0, 2))
    return reason === undefined ? new StatementFailure(code) : new SessionFailure(`${reason} (${code})`)
  }
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code))
    return new SessionFailure(`the database cannot be reached (${code})`)
  return new SessionFailure(
    /timeout/i.test(String(message))
      ? 'the database does not answer in time'
      : 'the connection to the database is lost',
  )
}

/** A statement was not done, or what became of it is unknown. */
export class SessionFailure extends Error {}

/** The database does not take the statement: its tables are not those that were made. */
class StatementFailure extends SessionFailure {
  /** SQLSTATE */
  readonly code: string

  constructor(code: string) {
    super(`the database refuses the statement (${code})`)
    this.code = code
  }
}

/** The database answers, and the record in it is not for this daemon. */
export class RecordRefused extends Error {
  readonly why: 'taken' | 'newer'

  constructor(why: 'taken' | 'newer', message: string) {
    super(message)
    this.why = why
  }
}
