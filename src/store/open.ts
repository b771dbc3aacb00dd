import type { Log } from '../lib/log.ts'
import { openSqlite } from './sqlite/open-sqlite.ts'
import type { Store } from './store.ts'

export interface StoreOptions {
  /** Where the embedded databases are; must exist. */
  readonly home: string
  /** `postgres://…`: keep everything there instead. */
  readonly databaseUrl?: string | undefined
}

/**
 * Opens the store and brings its tables up to this version.
 * @throws Fault `unavailable` when it cannot be opened, is full or read-only, or belongs to a newer version
 */
export async function openStore(options: StoreOptions, log: Log): Promise<Store> {
  if (options.databaseUrl === undefined) return openSqlite(options.home, log)
  // Loaded on use: the embedded default starts without it.
  const { openPostgres } = await import('./postgres/open-postgres.ts')
  return openPostgres(options.databaseUrl, log)
}
