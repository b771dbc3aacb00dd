import { unread, type Reading, type SecretBackend } from './backend.ts'

/** No value is worth waiting longer for: the last one is used meanwhile. */
export const READ_MS = 5000

export interface BoundedRead {
  /** Within the time, always. */
  readonly answer: Promise<Reading>
  /** Resolves when the backend has answered, however late. */
  readonly settled: Promise<Reading>
}

/** Asks a backend for a value, and waits for as long as it may take. */
export function readBounded(
  backend: Pick<SecretBackend, 'read'>,
  reference: string,
  withinMs = READ_MS,
): BoundedRead {
  const giveUp = new AbortController()
  const late = Promise.withResolvers<Reading>()
  const timer = setTimeout(() => {
    giveUp.abort()
    late.resolve(unread('away', `there was no answer within ${withinMs / 1000} s`))
  }, withinMs)
  timer.unref()
  const settled = backend
    .read(reference, giveUp.signal)
    .catch(() => unread('away', 'it could not be asked'))
    .finally(() => clearTimeout(timer))
  return { answer: Promise.race([settled, late.promise]), settled }
}
