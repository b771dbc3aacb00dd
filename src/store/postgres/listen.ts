import { Client } from 'pg'
import type { Log } from '../../lib/log.ts'
import type { Watch } from '../store.ts'
import { fromPostgres } from './postgres-error.ts'

const CONNECT_TIMEOUT_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

/**
 * Holds a connection of its own that is told of every committed revision, opened again whenever it is lost.
 * @param moved also called when it has just been opened: what was said before was said to nobody
 */
export function listenForRevisions(url: string, log: Log, moved: () => void): Watch {
  let current: Client | undefined
  let timer: NodeJS.Timeout | undefined
  let pauseMs = FIRST_PAUSE_MS
  let closed = false

  function connect(): void {
    const client = new Client({
      connectionString: url,
      application_name: 'castellan-listen',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: CONNECT_TIMEOUT_MS,
    })
    current = client
    client.on('notification', moved)
    // Both may come, and each alone: a broken connection, and one that was ended in good order.
    client.on('error', (error) => lost(client, error))
    client.on('end', () => lost(client, undefined))
    client
      .connect()
      .then(() => client.query('listen castellan_revision'))
      .then(
        () => {
          pauseMs = FIRST_PAUSE_MS
          moved()
        },
        (error: unknown) => lost(client, error),
      )
  }

  function lost(client: Client, error: unknown): void {
    if (client !== current) return
    current = undefined
    client.end().catch(() => undefined)
    if (closed) return
    const reason = error === undefined ? 'it was closed' : fromPostgres(error)
    log.warn({ reason }, 'not told of configuration changes by the database; asking it once a second instead')
    timer = setTimeout(connect, pauseMs).unref()
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }

  connect()
  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await current?.end().catch(() => undefined)
    },
  }
}
