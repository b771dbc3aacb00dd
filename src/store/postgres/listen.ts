import { Client } from 'pg'
import type { Log } from '../../lib/log.ts'
import type { Watch } from '../store.ts'
import { createOwnSockets, type OwnSockets } from '../../lib/own-sockets.ts'
import { fromPostgres } from './postgres-error.ts'

const CONNECT_TIMEOUT_MS = 10_000
/** Whether anybody is still there, since nothing may be said for days. */
const ASK_EVERY_MS = 10_000
const ANSWER_WITHIN_MS = 5000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5000

/**
 * Holds a connection of its own that is told of every committed revision, opened again whenever it is lost.
 * @param moved also called when it has just been opened: what was said before was said to nobody
 */
export function listenForRevisions(url: string, log: Log, moved: () => void): Watch {
  let current: { readonly client: Client; readonly sockets: OwnSockets } | undefined
  let timer: NodeJS.Timeout | undefined
  let pauseMs = FIRST_PAUSE_MS
  let closed = false

  function connect(): void {
    const sockets = createOwnSockets()
    const client = new Client({
      stream: sockets.make,
      connectionString: url,
      application_name: 'castellan-listen',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: CONNECT_TIMEOUT_MS,
      query_timeout: ANSWER_WITHIN_MS,
    })
    current = { client, sockets }
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
          timer = setTimeout(ask, ASK_EVERY_MS, client).unref()
          moved()
        },
        (error: unknown) => lost(client, error),
      )
  }

  function ask(client: Client): void {
    client.query('select 1').then(
      () => {
        if (client === current?.client && !closed) timer = setTimeout(ask, ASK_EVERY_MS, client).unref()
      },
      (error: unknown) => lost(client, error),
    )
  }

  function lost(client: Client, error: unknown): void {
    if (client !== current?.client) return
    clearTimeout(timer)
    void current.sockets.closeAfter(client.end())
    current = undefined
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
      await current?.sockets.closeAfter(current.client.end())
    },
  }
}
