import { Fault } from '../../lib/fault.ts'
import {
  ALREADY_EXISTS,
  CANNOT_CONNECT,
  CANNOT_WRITE,
  DISK_FULL,
  LOGIN_REFUSED,
  REPEAT,
  TOO_MANY_CONNECTIONS,
} from '../database-hints.ts'

const UNIQUE_VIOLATION = '23505'

/** SQLSTATE (PostgreSQL appendix A), whole or its class of two characters, to what can be done about it. */
const HINT_BY_STATE: ReadonlyMap<string, string> = new Map([
  ['08', CANNOT_CONNECT], // connection exception
  ['57', CANNOT_CONNECT], // operator intervention: shutting down, starting up
  ['57014', REPEAT], // cancelled by a timeout: it waited too long for another
  ['25P03', CANNOT_CONNECT], // idle in a transaction for too long
  ['28', LOGIN_REFUSED], // invalid authorization
  ['3D000', LOGIN_REFUSED], // no such database
  ['42501', LOGIN_REFUSED], // insufficient privilege
  ['25006', CANNOT_WRITE], // read-only: a standby
  ['53100', DISK_FULL],
  ['53300', TOO_MANY_CONNECTIONS],
  ['40', REPEAT], // serialization failure, deadlock
  ['55P03', REPEAT], // lock not available
])

/** What the driver reports without a SQLSTATE: the connection itself failed. */
const NETWORK = /^(?:E[A-Z_]+|SELF_SIGNED_CERT.*|UNABLE_TO_.*|CERT_.*|DEPTH_ZERO.*)$/
const DRIVER = /timeout|terminated|connection error|SSL|not queryable|client was closed|after calling end/i

/**
 * What a failed statement becomes: a Fault where a caller or an operator can do something, else a plain error (a
 * bug). The driver's error is not kept as the cause: its details hold values, and its connection the password.
 */
export function fromPostgres(error: unknown): Error {
  const { message, code } = describe(error)
  const cause = new Error(`PostgreSQL: ${message} (${code ?? 'no code'})`)
  if (code === UNIQUE_VIOLATION) return new Fault('conflict', { hint: ALREADY_EXISTS, cause })
  const hint = findHint(message, code)
  return hint === undefined ? cause : new Fault('unavailable', { hint, cause })
}

/** Whether the server has said it: the driver's own errors mean that it was not heard. */
export const isAnswer = (error: unknown): boolean => /^[0-9A-Z]{5}$/.test(describe(error).code ?? '')

function findHint(message: string, code: string | undefined): string | undefined {
  if (code === undefined) return DRIVER.test(message) ? CANNOT_CONNECT : undefined
  return (
    HINT_BY_STATE.get(code) ??
    HINT_BY_STATE.get(code.slice(0, 2)) ??
    (NETWORK.test(code) ? CANNOT_CONNECT : undefined)
  )
}

function describe(error: unknown): { readonly message: string; readonly code: string | undefined } {
  // Several addresses were tried: each failed in its own way, and one is enough to tell.
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0])
  if (!(error instanceof Error)) return { message: 'an unknown error', code: undefined }
  const { code } = error as { code?: unknown }
  return { message: error.message, code: typeof code === 'string' ? code : undefined }
}
