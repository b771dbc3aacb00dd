import { unavailable, type CliFailure } from '../cli/failure.ts'
import { readDaemonRecord } from '../cli/target.ts'
import type { ServeConfig } from './config.ts'
import { removeDaemonRecord, writeDaemonRecord } from './daemon-file.ts'
import { lockHome, type HomeLock } from './home-lock.ts'
import type { Daemon } from './serve.ts'
import { stopOnSignals } from './stop-signals.ts'

/**
 * Runs a daemon in this process until somebody stops it: takes the home, publishes the address, ends gracefully on
 * SIGINT and SIGTERM.
 *
 * @param started is called once it answers; when that fails, the daemon is stopped
 * @throws CliFailure when the home is taken or cannot be used; Fault when a part cannot be opened; what `started` throws
 */
export async function runDaemon(
  config: ServeConfig,
  version: string,
  started: (daemon: Daemon) => Promise<void>,
): Promise<void> {
  const { drainSeconds = 0, edge } = config
  // An edge has a home only if it was given one: it need not keep anything.
  const home = edge === undefined ? config.home : edge.home
  const lock = home === undefined ? undefined : takeHome(home)
  const role = edge === undefined ? undefined : ('gateway' as const)
  const record = { pid: process.pid, startedAtMs: Date.now(), version, drainSeconds, role }
  const signals = stopOnSignals()
  try {
    if (home !== undefined) writeDaemonRecord(home, record)
    const daemon = await open(config)
    let stopping = false
    signals.stopWith(() => {
      stopping = true
      return daemon.stop()
    })
    if (home !== undefined) writeDaemonRecord(home, { ...record, url: daemon.url })
    try {
      await started(daemon)
    } catch (error) {
      await daemon.stop()
      // What was under way when the signal came had to fail.
      if (!stopping) throw error
    }
    await daemon.stopped
  } finally {
    signals.dispose()
    if (home !== undefined) removeDaemonRecord(home)
    lock?.release()
  }
}

async function open(config: ServeConfig): Promise<Daemon> {
  if (config.edge !== undefined) {
    const { serveEdge } = await import('./edge/serve-edge.ts')
    return serveEdge(config, config.edge)
  }
  const { serve } = await import('./serve.ts')
  return serve(config)
}

/** @throws CliFailure when another daemon has it, with its pid */
export function takeHome(home: string): HomeLock {
  const lock = lockHome(home)
  if (lock === undefined) throw alreadyRunning(home)
  return lock
}

function alreadyRunning(home: string): CliFailure {
  const record = readDaemonRecord(home)
  const who = record === undefined ? '' : `, with pid ${record.pid}`
  return unavailable(
    `a daemon is running for the home ${home} already${who}`,
    'use it, stop it with castellan down, or choose another home with --home',
  )
}
