import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { unavailable } from '../../cli/failure.ts'

export interface EverythingHttp {
  readonly url: string
  readonly port: number
  stop(): Promise<void>
}

const START_MS = 30_000
const STOP_MS = 2000

/**
 * Starts the reference server over Streamable HTTP on a free loopback port. It ends when this process does, also on
 * `kill -9`: the channel between the two closes.
 *
 * @param home where its output goes: `logs/everything-http.log`
 * @throws CliFailure when it ends instead
 */
export async function startEverythingHttp(root: string, home: string): Promise<EverythingHttp> {
  const folder = join(home, 'logs')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'everything-http.log')
  const log = openSync(path, 'w', 0o600)
  const child = spawn(process.execPath, [join(root, 'examples/quickstart/everything-http.js')], {
    stdio: ['ignore', log, log, 'ipc'],
    // One of its tools shows its environment, so it gets none of ours.
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/castellan') },
  })
  closeSync(log)
  try {
    const port = await portOf(child)
    return { port, url: `http://127.0.0.1:${port}/mcp`, stop: () => stop(child) }
  } catch (cause) {
    await stop(child)
    throw unavailable('server-everything did not start over HTTP', `${path} says why`, cause)
  }
}

function portOf(child: ChildProcess): Promise<number> {
  const signal = AbortSignal.timeout(START_MS)
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve((message as { readonly port: number }).port))
    child.once('error', reject)
    child.once('exit', () => reject(new Error('it ended')))
    signal.addEventListener('abort', () => reject(new Error('it said nothing')))
  })
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
    return Promise.resolve()
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    if (child.connected) child.disconnect()
  })
}
