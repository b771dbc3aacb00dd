import {
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type QueryResult,
} from 'kysely'
import type { DatabaseFile } from './messages.ts'
import type { DatabaseWorker } from './worker-client.ts'

/**
 * Kysely on one file of the database worker. Each file has one connection, and Kysely hands it to one transaction or
 * statement at a time: nothing gets between the statements of a transaction.
 */
export function createWorkerDialect(worker: DatabaseWorker, file: DatabaseFile): Dialect {
  const connection: DatabaseConnection = {
    async executeQuery<Row>({
      sql,
      parameters,
    }: {
      readonly sql: string
      readonly parameters: readonly unknown[]
    }): Promise<QueryResult<Row>> {
      const { rows, changes } = await worker.ask({ op: 'run', file, sql, parameters })
      return { rows: rows as Row[], numAffectedRows: BigInt(changes) }
    },
    streamQuery() {
      throw new Error('rows are read in pages, not streamed')
    },
  }
  const control = (op: 'begin' | 'commit' | 'rollback') => async (): Promise<void> => {
    await worker.ask({ op, file })
  }
  const done = (): Promise<void> => Promise.resolve()
  return {
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createDriver: () => ({
      init: done,
      acquireConnection: () => Promise.resolve(connection),
      beginTransaction: control('begin'),
      commitTransaction: control('commit'),
      rollbackTransaction: control('rollback'),
      releaseConnection: done,
      destroy: done,
    }),
  }
}
