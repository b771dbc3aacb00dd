import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { end, type Measured } from './processes.ts'

export const BIN = new URL('../bin/castellan.js', import.meta.url).pathname

export interface Castellan extends Measured {
  readonly home: string
  /** From the start of the process until `/readyz` said yes. */
  readonly readyMs: number
  apply(manifests: readonly object[]): Promise<void>
  /** Makes a Token for a project and returns its secret. */
  createToken(project: string): Promise<string>
}

export const makeHome = (): Promise<string> => mkdtemp(join(tmpdir(), 'castellan-bench-'))
export const removeHome = (home: string): Promise<void> => rm(home, { recursive: true, force: true })

/** Starts a daemon as a user would, on a home that may hold state from an earlier start. */
export async function startCastellan(home: string): Promise<Castellan> {
  await rm(join(home, 'daemon.json'), { force: true })
  const began = performance.now()
  const child = spawn(process.execPath, [BIN, 'up', '--home', home, '--port', '0'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, CASTELLAN_HOME: home },
  })
  const { pid, url } = await waitForDaemon(home, () => child.exitCode !== null)
  const readyMs = performance.now() - began
  const call = createCaller(home, url)
  return {
    pid,
    origin: url,
    home,
    readyMs,
    async apply(manifests) {
      const items = manifests.map((manifest) => ({ apiVersion: 'castellan/v1', ...manifest }))
      await call('/api/v1/apply', { apiVersion: 'castellan/v1', kind: 'List', items })
    },
    async createToken(project) {
      const manifest = {
        apiVersion: 'castellan/v1',
        kind: 'Token',
        metadata: { name: 'bench', project },
        spec: {},
      }
      const { secret } = (await call('/api/v1/tokens', manifest)) as { secret: string }
      return secret
    },
    stop: () => end(child),
  }
}

async function waitForDaemon(home: string, ended: () => boolean): Promise<{ pid: number; url: string }> {
  for (let waited = 0; waited < 30_000; waited += 5) {
    if (ended()) throw new Error('castellan up ended before it was ready')
    try {
      const daemon = JSON.parse(await readFile(join(home, 'daemon.json'), 'utf8')) as {
        pid: number
        url: string
      }
      if ((await fetch(new URL('/readyz', daemon.url))).ok) return daemon
    } catch {
      // Not written yet, or not listening yet.
    }
    await sleep(5)
  }
  throw new Error('castellan up was not ready within 30 s')
}

function createCaller(home: string, url: string) {
  return async (path: string, body: unknown): Promise<unknown> => {
    const credential = (await readFile(join(home, 'admin-credential'), 'utf8')).trim()
    const response = await fetch(new URL(path, url), {
      method: 'POST',
      headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`)
    return JSON.parse(text) as unknown
  }
}
