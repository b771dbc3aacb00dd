import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, fstatSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { CliContext } from '../cli/context.ts'
import { unavailable, type CliFailure } from '../cli/failure.ts'
import { openHttp } from '../cli/http-request.ts'
import { readDaemonRecord } from '../cli/target.ts'
import type { ServeConfig } from './config.ts'
import { homeFailure } from './home-lock.ts'

export interface Started {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

/** A first start may have to migrate a large store. */
const START_MS = 120_000
const POLL_MS = 25
const LOG_LINES = 15

/**
 * Starts the daemon as a process of its own, with the Node that runs here, and waits until it is ready.
 *
 * @throws CliFailure when it ends instead, with the last lines of its log, or is not ready in time
 */
export async function startDetached(config: ServeConfig, context: CliContext): Promise<Started> {
  const log = openDaemonLog(config.home)
  const child = launch(config, log.fd, context)
  closeSync(log.fd)
  const progress = showProgress(context)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  try {
    // An edge runs, and says that it is not ready, for as long as its control plane does not answer.
    const probe = config.edge === undefined ? '/readyz' : '/healthz'
    const url = await waitUntilReady(config.home, child, probe)
    if (url === undefined) throw didNotStart(child, log)
    return {
      url,
      pid: child.pid ?? 0,
      stop: async () => {
        // Waiting for it has to keep this process alive again.
        child.ref()
        child.kill('SIGTERM')
        await ended
      },
    }
  } finally {
    progress.end()
    child.unref()
  }
}

interface DaemonLog {
  readonly fd: number
  readonly path: string
  /** Where this start begins. */
  readonly from: number
}

function openDaemonLog(home: string): DaemonLog {
  const path = join(home, 'logs/daemon.log')
  try {
    mkdirSync(join(home, 'logs'), { recursive: true, mode: 0o700 })
    const fd = openSync(path, 'a', 0o600)
    return { fd, path, from: fstatSync(fd).size }
  } catch (error) {
    throw homeFailure(home, error)
  }
}

function launch(config: ServeConfig, logFd: number, context: CliContext): ChildProcess {
  const {
    home,
    host,
    port,
    database,
    logLevel,
    keyFile,
    keyCommand,
    keychain,
    peers,
    drainSeconds,
    edge,
    secretSources,
  } = config
  const args = ['up', '--home', home, '--host', host, '--port', String(port), '--log-level', logLevel]
  if (edge !== undefined) args.push('--role', 'gateway', '--control', edge.control.href)
  if (keyFile !== undefined) args.push('--key-file', keyFile)
  if (keyCommand !== undefined) args.push('--key-command', JSON.stringify(keyCommand.argv))
  if (keychain !== undefined) args.push('--key-keychain')
  if (peers !== undefined) args.push('--peer-listen', `[${peers.host}]:${peers.port}`)
  if (edge === undefined && secretSources !== undefined) {
    for (const directory of secretSources.directories) args.push('--secret-dir', directory)
    args.push('--secret-env-prefix', secretSources.envPrefix)
  }
  if (drainSeconds !== undefined) args.push('--drain-seconds', String(drainSeconds))
  if (peers?.publicUrl !== undefined) args.push('--peer-url', peers.publicUrl)
  const launcher = fileURLToPath(new URL('../../bin/castellan.js', import.meta.url))
  return spawn(process.execPath, [launcher, ...args, '--log-to', 'file'], {
    cwd: home,
    detached: true,
    stdio: ['ignore', logFd, logFd],
    // The address of a database may hold a password: it travels here, never in an argument.
    env: { ...context.env, ...(database === undefined ? {} : { CASTELLAN_DATABASE: database }) },
  })
}

/** @returns undefined when the process ended instead */
async function waitUntilReady(home: string, child: ChildProcess, probe: string): Promise<string | undefined> {
  for (let waitedMs = 0; waitedMs < START_MS; waitedMs += POLL_MS) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return undefined
    const record = readDaemonRecord(home)
    if (record?.pid === child.pid && record.url !== undefined && (await isReady(record.url, probe)))
      return record.url
    await sleep(POLL_MS)
  }
  child.kill('SIGKILL')
  return undefined
}

async function isReady(url: string, probe: string): Promise<boolean> {
  try {
    const answer = await openHttp(new URL(probe, url), { method: 'GET', headers: {}, timeoutMs: 5000 })
    answer.resume()
    return answer.statusCode === 200
  } catch {
    // Not listening yet, or not any more: the loop finds out which.
    return false
  }
}

function didNotStart(child: ChildProcess, log: DaemonLog): CliFailure {
  const lines = readFileSync(log.path).subarray(log.from).toString('utf8').trimEnd().split('\n')
  const reason = lines.filter((line) => line !== '').slice(-LOG_LINES)
  const end = child.signalCode ?? (child.exitCode === null ? 'not started' : `exit status ${child.exitCode}`)
  return unavailable(
    ['the daemon did not start', ...reason.map((line) => `  ${line}`)].join('\n'),
    `it ended with ${end}; the whole log is ${log.path}`,
  )
}

/** A dot every half second, on a terminal or not: somebody waits. */
function showProgress(context: CliContext): { end(): void } {
  context.stderr.write('starting ')
  const timer = setInterval(() => context.stderr.write('.'), 500)
  return {
    end() {
      clearInterval(timer)
      context.stderr.write('\n')
    },
  }
}
