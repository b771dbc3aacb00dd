import { startDeadline } from '../deadline.ts'
import { httpExchange } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'

const nothing = (): void => {}

/** It may take it another time: it does not know us at the moment, or has too much to do. */
const NOT_NOW = new Set([401, 403, 408, 429])

/**
 * Tells a legacy server that a session is over (MCP 2025-11-25, transports, "Session Management").
 *
 * @param headers with the id of the session
 * @returns whether nothing more can be done: it is ended, was unknown, or is not for clients to end (405); false when
 *   there was no such answer in time
 */
export function endHttpSession(
  { dispatcher, origin, path }: HttpTarget,
  headers: Record<string, string>,
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const over = (): void => {
      deadline.clear()
      resolve(false)
    }
    const deadline = startDeadline(timeoutMs, () => {
      call.abort()
      resolve(false)
    })
    const call = httpExchange(
      dispatcher,
      { method: 'DELETE', origin, path, headers, statusOnly: true },
      {
        status: (status) => resolve(status < 500 && !NOT_NOW.has(status)),
        message: nothing,
        end: over,
        error: over,
      },
    )
  })
}
