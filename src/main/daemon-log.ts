import { mkdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Log } from '../lib/log.ts'
import type { LogLevel } from './config.ts'

export const daemonLogPath = (home: string): string => join(home, 'logs', 'daemon.log')

const MAX_BYTES = 10 * 1024 * 1024
const LOOK_EVERY_MS = 60_000

export interface DaemonLog {
  readonly log: Log
  close(): void
}

/** The daemon's log: always in the home, so that `castellan logs` has it, and on standard error where that is asked for. */
export function openDaemonLog(home: string, level: LogLevel, to: 'stderr' | 'file'): DaemonLog {
  const path = daemonLogPath(home)
  mkdirSync(join(home, 'logs'), { recursive: true, mode: 0o700 })
  rotate(path)
  const file = pino.destination({ dest: path, mode: 0o600, sync: false })
  const streams = [
    { level, stream: file },
    ...(to === 'stderr' ? [{ level, stream: pino.destination({ dest: 2, sync: false }) }] : []),
  ]
  const timer = setInterval(() => {
    if (rotate(path)) file.reopen()
  }, LOOK_EVERY_MS)
  timer.unref()
  return {
    log: pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.multistream(streams)),
    close() {
      clearInterval(timer)
      file.flushSync()
      file.end()
    },
  }
}

/** The log of a daemon that keeps no file: JSON lines on standard error. */
export function openStderrLog(level: LogLevel): DaemonLog {
  const out = pino.destination({ dest: 2, sync: false })
  return {
    log: pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, out),
    close() {
      out.flushSync()
      out.end()
    },
  }
}

/** Keeps one older part. */
function rotate(path: string): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size < MAX_BYTES) return false
  renameSync(path, `${path}.1`)
  return true
}
