import { pino, type Logger } from 'pino'

/** Structured logs, one JSON object a line. Secrets are kept out by type (`SecretValue`), not by a list of paths. */
export type Log = Logger

/** For code under test and for commands that have nothing to say. */
export const silentLog: Log = pino({ level: 'silent' })
