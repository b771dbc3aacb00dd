import { Client } from 'pg'
import type { KeyRows } from '../master-key.ts'
import { fromPostgres } from './postgres-error.ts'

const CONNECT_TIMEOUT_MS = 10_000
const STATEMENT_MS = 15_000

/**
 * What a database remembers of its master key, without bringing its tables up to this version.
 *
 * @returns undefined where it has none, or is older than its store key
 * @throws Fault `unavailable` when the database cannot be reached
 */
export async function readPostgresKeys(url: string): Promise<KeyRows | undefined> {
  const client = new Client({
    connectionString: url,
    application_name: 'castellan',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: STATEMENT_MS,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const known = await client.query<{ found: string | null }>("select to_regclass('key_rotation') as found")
    if ((known.rows[0]?.found ?? null) === null) return undefined
    const master = await client.query('select * from master_key')
    const rotation = await client.query('select * from key_rotation')
    return {
      master: master.rows[0] as KeyRows['master'],
      rotation: rotation.rows[0] as KeyRows['rotation'],
    }
  } catch (error) {
    throw fromPostgres(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}
