import { pino, type Logger } from 'pino'

export type Log = Logger

export interface LogOptions {
  readonly level: string
  /** Where lines go: a file for a daemon with a home, standard error otherwise. */
  readonly destination: { readonly file: string } | { readonly fd: number }
}

/** Structured logs, one JSON object a line. Secrets are kept out by type (`SecretValue`), not by a list of paths. */
export function openLog(options: LogOptions): Log {
  const { destination } = options
  const to = 'file' in destination ? { dest: destination.file, mode: 0o600 } : { dest: destination.fd }
  return pino(
    { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ ...to, sync: false }),
  )
}

/** For code under test and for commands that have nothing to say. */
export const silentLog: Log = pino({ level: 'silent' })
