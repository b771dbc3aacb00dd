import type { Exchange } from '../exchange.ts'

/**
 * A call can be cancelled before it has reached its server, which may still be starting: then it must not be made.
 * Marks the exchange when that happens while `pending` is waited for.
 */
export async function hearingCancel<T>(x: Exchange, pending: Promise<T>): Promise<T> {
  const calls = x.session?.calls
  const id = x.message?.idText
  if (calls === undefined || id === undefined) return pending
  const cancel = (): void => {
    x.cancelled = true
  }
  calls.set(id, cancel)
  try {
    return await pending
  } finally {
    if (calls.get(id) === cancel) calls.delete(id)
  }
}

/** Nobody waits any more; a modern client says so by closing the connection. */
export const isAbandoned = (x: Exchange): boolean => x.cancelled || (x.era === 'modern' && x.out.gone)
