import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { clientLines } from '../../src/main/quickstart/client-lines.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const WAIT_MS = 45_000

/** A user's home with a copy of this checkout in it, so that the sandbox hides the checkout as it does a user's. */
let userHome: string
let checkout: string
let tokenFile: string
const started: ChildProcess[] = []

beforeAll(() => {
  userHome = realpathSync(mkdtempSync(join(tmpdir(), 'castellan-quickstart-')))
  checkout = join(userHome, 'cast ellan')
  tokenFile = join(checkout, '.castellan/quickstart-token')
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: ROOT })
  for (const file of files.toString().split('\0').filter(isPartOfStart))
    cpSync(join(ROOT, file), join(checkout, file))
  symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
})
afterEach(() => {
  for (const child of started.splice(0)) killGroup(child, 'SIGKILL')
})
afterAll(() => rmSync(userHome, { recursive: true, force: true }))

const isPartOfStart = (file: string): boolean =>
  /^(?:bin|examples|scripts|src)\/|^package(?:-lock)?\.json$/.test(file) && !file.endsWith('.test.ts')

interface Start {
  readonly child: ChildProcess
  /** Everything that it has printed. */
  screen(): string
  /** Resolves with the screen once it holds this; rejects when the process ends before. */
  until(text: string): Promise<string>
  /** Exit status as a shell sees it: 130 for an end by SIGINT. */
  readonly exit: Promise<number | undefined>
}

/** `npm start` in the copy, in a process group of its own, as a terminal would have it. */
function npmStart(...options: string[]): Start {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(?:CASTELLAN_|npm_|VITEST)/i.test(name))
  const child = spawn('npm', ['start', '--silent', '--', ...options], {
    cwd: checkout,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...Object.fromEntries(inherited), HOME: userHome },
  })
  started.push(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const exit = new Promise<number | undefined>((resolve) => {
    child.once('close', (status, signal) => resolve(status ?? (signal === 'SIGINT' ? 130 : undefined)))
  })
  return {
    child,
    exit,
    screen: () => text,
    until: async (wanted) => {
      for (let waitedMs = 0; !text.includes(wanted); waitedMs += 20) {
        if (child.exitCode !== null || waitedMs > WAIT_MS) throw new Error(`it did not come to that: ${text}`)
        await sleep(20)
      }
      return text
    },
  }
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // It has ended.
  }
}

/** Command lines of processes that run something of this checkout, or have it open as their home. */
const processes = (): readonly string[] =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(checkout))

async function untilNoProcess(): Promise<readonly string[]> {
  for (let waitedMs = 0; waitedMs < 10_000 && processes().length > 0; waitedMs += 50) await sleep(50)
  return processes()
}

const endpointOn = (screen: string): string =>
  /http:\/\/127\.0\.0\.1:\d+\/projects\/quickstart\/mcp/.exec(screen)?.[0] ?? 'none'

const modeOf = (path: string): number => statSync(path).mode & 0o777

test('npm start ends in a called tool, a private token and lines for every client; Ctrl-C leaves nothing', async () => {
  const start = npmStart('--port', '0')
  const screen = await start.until('Ctrl-C stops all of it')
  expect(screen).toContain('Echo: Hello from behind the gate')
  expect(screen).toMatch(/files +stdio +14 tools, 4 of them denied by the project/)
  for (const name of ['everything', 'everything-http', 'memory'])
    expect(screen).toMatch(new RegExp(`${name} +(?:stdio|http) +\\d+ tools`))
  for (const { paste } of clientLines(endpointOn(screen)))
    expect(screen).toContain(paste.map((line) => `    ${line}\n`).join(''))

  const token = readFileSync(tokenFile, 'utf8').trim()
  expect(token).toMatch(/^cst_/)
  expect(screen).not.toContain(token)
  expect(screen).not.toContain('\u001b')
  expect(modeOf(join(checkout, '.castellan'))).toBe(0o700)
  expect(modeOf(tokenFile)).toBe(0o600)
  expect(processes().filter((line) => line.includes('mcp-server-'))).not.toEqual([])

  killGroup(start.child, 'SIGINT')
  // npm ends by the signal as well, having waited.
  expect([0, 130]).toContain(await start.exit)
  expect(start.screen().trimEnd()).toMatch(/Stopped; nothing of it keeps running\.$/)
  expect(await untilNoProcess()).toEqual([])
})

test('a second start keeps the token; a third beside it says that one runs; kill -9 leaves nothing', async () => {
  const kept = readFileSync(tokenFile, 'utf8')
  const start = npmStart('--port', '0')
  const screen = await start.until('Ctrl-C stops all of it')
  expect(screen).toContain('Token of an earlier start is still valid')
  expect(readFileSync(tokenFile, 'utf8')).toBe(kept)

  const beside = npmStart()
  expect(await beside.exit).toBe(0)
  expect(beside.screen()).toContain('It is running already')
  expect(beside.screen()).toContain(endpointOn(screen))

  const { pid } = JSON.parse(readFileSync(join(checkout, '.castellan/daemon.json'), 'utf8')) as {
    pid: number
  }
  process.kill(pid, 'SIGKILL')
  await start.exit
  expect(await untilNoProcess()).toEqual([])
})

test('the lines for curl work as they are printed, once the shell has the token', async () => {
  const start = npmStart('--port', '0')
  const screen = await start.until('Ctrl-C stops all of it')
  const exported = /^ +export QUICKSTART_TOKEN=.*$/m.exec(screen)?.[0] ?? ''
  const curl = clientLines(endpointOn(screen)).find(({ client }) => client === 'curl')
  const answer = execFileSync('sh', ['-c', [exported, ...(curl?.paste ?? [])].join('\n')], { cwd: checkout })
  expect(JSON.parse(answer.toString())).toMatchObject({
    result: { content: [{ text: 'Echo: Hello from curl' }] },
  })
})

test('a token that is revoked is renewed', async () => {
  const first = npmStart('--port', '0')
  const endpoint = new URL(endpointOn(await first.until('Ctrl-C stops all of it')))
  const old = readFileSync(tokenFile, 'utf8')
  const credential = readFileSync(join(checkout, '.castellan/admin-credential'), 'utf8').trim()
  await fetch(new URL('/api/v1/tokens/quickstart?project=quickstart', endpoint), {
    method: 'PATCH',
    headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
    body: JSON.stringify({ spec: { revoked: true } }),
  })
  const again = npmStart()
  await again.exit
  expect(again.screen()).toContain('Token renewed')
  expect(again.screen()).toContain('Echo: Hello from behind the gate')
  expect(readFileSync(tokenFile, 'utf8')).not.toBe(old)
})

test('a port that is taken, and an option that is unknown, are said in a sentence', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  const taken = npmStart('--port', String(port))
  expect(await taken.exit).toBe(1)
  expect(taken.screen()).toContain(`error: port ${port} is taken or may not be used`)
  holder.close()
  const unknown = npmStart('--prot', '1')
  expect(await unknown.exit).toBe(2)
  expect(unknown.screen()).toContain('npm start takes --port <number> and nothing else')
  expect(unknown.screen()).not.toMatch(/\n +at /)
})

test('without a registry, and after an install that was cut off, the install says what to do', async () => {
  const folder = join(userHome, 'bare')
  for (const file of ['package.json', 'package-lock.json', 'scripts/ensure-installed.js'])
    cpSync(join(ROOT, file), join(folder, file))
  mkdirSync(join(folder, 'node_modules'))
  const env = {
    PATH: process.env['PATH'],
    HOME: userHome,
    npm_config_registry: 'http://127.0.0.1:9/',
    npm_config_fetch_retries: '0',
    npm_config_cache: join(userHome, 'empty-cache'),
  }
  const ended = await new Promise<{ status: number | null; text: string }>((resolve) => {
    const child = spawn(process.execPath, ['scripts/ensure-installed.js'], { cwd: folder, env })
    let text = ''
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.once('close', (status) => resolve({ status, text }))
  })
  expect(ended.status).toBe(1)
  expect(ended.text).toContain('An earlier install did not finish')
  expect(ended.text).toContain('the package registry cannot be reached')
  expect(ended.text).toContain('Nothing was started')
})
