import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { BIN } from '../fixtures/daemon.ts'
import { startUpstream } from '../fixtures/upstream.ts'
import {
  callTool,
  castellan,
  cleanEnv,
  createCleanUp,
  daemonOf,
  fixture,
  freshFolder,
  httpServer,
  manifests,
  nodePath,
  ok,
  processesWith,
  project,
  removeFolder,
  stdioServer,
  until,
  type Endpoint,
} from './system-harness.ts'

/*
 * Nothing that Castellan starts outlives it, however it ends.
 */

const cleanUp = createCleanUp()
afterEach(() => cleanUp.run())

/** A folder of programs without bubblewrap, so that the daemon uses its other way. */
function pathWithoutBubblewrap(): string {
  const folder = freshFolder()
  cleanUp.later(() => removeFolder(folder))
  symlinkSync(nodePath, join(folder, 'node'))
  return folder
}

const hasBubblewrap = spawnSync('bwrap', ['--version']).status === 0
const WAYS: readonly (readonly [kind: string, path: () => string])[] = [
  ...(hasBubblewrap ? [['bubblewrap', () => process.env['PATH'] ?? ''] as const] : []),
  ['reaper', pathWithoutBubblewrap],
]

interface Stand {
  readonly home: string
  readonly env: Readonly<Record<string, string>>
  /** In the argument list of every process of the server, and nowhere else. */
  readonly mark: string
  readonly endpoint: Endpoint
}

/** A daemon of which a stdio server runs, that has answered a call. */
async function start(
  path: string,
  up: (home: string, env: Readonly<Record<string, string>>) => Promise<unknown>,
): Promise<Stand> {
  const home = freshFolder()
  const env = { PATH: path }
  cleanUp.later(() => removeFolder(home))
  cleanUp.later(() => castellan(['down', '--force'], { home, env }))
  const mark = `mark-${home.slice(-6)}`
  const upstream = await startUpstream({ style: 'modern' })
  cleanUp.later(() => upstream.close())
  await up(home, env)
  const server = stdioServer('near', 'stdio-leaky.js', { args: [fixture('stdio-leaky.js'), mark] })
  const input = manifests(server, httpServer('far', upstream.url), project('demo', ['near', 'far']))
  await ok(['apply', '-f', '-'], { home, env, input })
  const token = (await ok(['create', 'token', 't', '-p', 'demo'], { home, env })).trim()
  const endpoint = { url: `${daemonOf(home).url}/projects/demo/mcp`, token }
  expect((await callTool(endpoint, 'near__env')).status).toBe(200)
  expect(processesWith(mark).length).toBeGreaterThan(0)
  return { home, env, mark, endpoint }
}

const detached = (home: string, env: Readonly<Record<string, string>>): Promise<string> =>
  ok(['up', '-d', '--port', '0'], { home, env })

/** `up` in the foreground. */
function foreground(
  home: string,
  env: Readonly<Record<string, string>>,
): { child: ChildProcess; ended: Promise<number | string | null> } {
  const child = spawn(nodePath, [BIN, 'up', '--port', '0'], {
    env: { ...cleanEnv(), ...env, CASTELLAN_HOME: home },
    stdio: 'ignore',
  })
  cleanUp.later(() => child.kill('SIGKILL'))
  const ended = new Promise<number | string | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal))
  })
  return { child, ended }
}

const ready = (home: string): Promise<unknown> =>
  until(
    'the daemon is ready',
    () => existsSync(join(home, 'daemon.json')) && daemonOf(home).url !== undefined,
  )

const nothingLeft = async ({ home, mark }: Stand): Promise<void> => {
  await until('no process of the server is left', () => processesWith(mark).length === 0)
  await until('no process of the home is left', () => processesWith(home).length === 0)
}

describe.each(WAYS)('in the way of %s', (kind, path) => {
  test('kill -9 of the daemon takes its servers along; the next start has none of them', async () => {
    const stand = await start(path(), detached)
    expect(await ok(['status'], stand)).toMatch(new RegExp(`^sandbox: +${kind}`, 'm'))
    process.kill(daemonOf(stand.home).pid, 'SIGKILL')
    await nothingLeft(stand)
    await ok(['up', '-d', '--port', '0'], stand)
    expect(processesWith(stand.mark)).toEqual([])
    const endpoint = { ...stand.endpoint, url: `${daemonOf(stand.home).url}/projects/demo/mcp` }
    expect((await callTool(endpoint, 'near__env')).status).toBe(200)
    await ok(['down'], stand)
    await nothingLeft(stand)
  })

  test('`down` leaves nothing: no process, no record of a daemon, a home that only its owner reads', async () => {
    const stand = await start(path(), detached)
    expect(await ok(['down'], stand)).toBe('the daemon has stopped\n')
    await nothingLeft(stand)
    expect(existsSync(join(stand.home, 'daemon.json'))).toBe(false)
    expect(spawnSync('find', [stand.home, '-perm', '/077'], { encoding: 'utf8' }).stdout).toBe('')
    expect(await ok(['down'], stand)).toContain('no daemon is running')
  })
})

describe('Ctrl-C in the foreground', () => {
  test('once: what runs may end, then 0', async () => {
    let running: ReturnType<typeof foreground> | undefined
    const stand = await start(process.env['PATH'] ?? '', async (at, env) => {
      running = foreground(at, env)
      await ready(at)
    })
    const slow = callTool(stand.endpoint, 'far__slow', { ms: 1500 })
    await new Promise((resolve) => setTimeout(resolve, 200))
    running?.child.kill('SIGINT')
    expect((await slow).status).toBe(200)
    expect(await running?.ended).toBe(0)
    await nothingLeft(stand)
  })

  test('twice: at once, with the status of an interrupted command', async () => {
    let running: ReturnType<typeof foreground> | undefined
    const stand = await start(process.env['PATH'] ?? '', async (at, env) => {
      running = foreground(at, env)
      await ready(at)
    })
    const slow = callTool(stand.endpoint, 'far__slow', { ms: 20_000 }).catch((error: unknown) => error)
    await new Promise((resolve) => setTimeout(resolve, 200))
    running?.child.kill('SIGINT')
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(running?.child.exitCode).toBeNull()
    running?.child.kill('SIGINT')
    expect(await running?.ended).toBe(130)
    expect(await slow).toBeInstanceOf(Error)
    await nothingLeft(stand)
    expect((await castellan(['audit', 'verify'], stand)).status).toBe(0)
  })

  test('while it starts: it ends, and nothing is in the way of the next start', async () => {
    const home = freshFolder()
    cleanUp.later(() => removeFolder(home))
    cleanUp.later(() => castellan(['down', '--force'], { home }))
    const { child, ended } = foreground(home, {})
    await until('it has begun', () => existsSync(join(home, 'daemon.lock')))
    child.kill('SIGINT')
    expect(['SIGINT', 130, 0]).toContain(await ended)
    await ok(['up', '-d', '--port', '0'], { home })
    expect(await ok(['status'], { home })).toContain('audit:')
  })
})
