import type { Session } from '../classify/session.ts'
import type { Exchange } from '../exchange.ts'

/**
 * A call can be cancelled before it has reached its server, which may still be starting: then it must not be made.
 * Marks the exchange when that happens while `pending` is waited for.
 */
export async function hearingCancel<T>(x: Exchange, pending: Promise<T>): Promise<T> {
  const id = x.message?.idText
  if (x.session === undefined || id === undefined) return pending
  const finish = openCall(x.session, id, () => {
    x.cancelled = true
  })
  try {
    return await pending
  } finally {
    finish()
  }
}

/** Nobody waits any more; a modern client says so by closing the connection. */
export const isAbandoned = (x: Exchange): boolean => x.cancelled || (x.era === 'modern' && x.out.gone)

/**
 * Registers a running call under its id, so that `notifications/cancelled` finds it; returns how to take it out again. Of
 * calls under one id, which no client should make, it finds the first; the end of the session finds all.
 */
export function openCall(session: Session | undefined, id: string, cancel: () => void): () => void {
  if (session === undefined) return () => {}
  const { calls } = session
  let key = id
  // JSON text ends in no space and number, so this is nobody's id.
  for (let n = calls.size; calls.has(key); n++) key = `${id} ${n}`
  calls.set(key, cancel)
  return () => {
    if (calls.get(key) === cancel) calls.delete(key)
  }
}
