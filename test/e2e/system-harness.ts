import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { request as httpRequest, type Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BIN } from '../fixtures/daemon.ts'

/** For tests that use Castellan as a person does: its command, a home, and HTTP; nothing of its inside. */

const repository = fileURLToPath(new URL('../..', import.meta.url))
export const fixture = (name: string): string => join(repository, 'test/fixtures', name)
export const nodePath = process.execPath

export interface Said {
  /** Exit status; the name of the signal that ended it, where one did. */
  readonly status: number | NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly home?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string
  /** Another launcher: that of an installed package. */
  readonly bin?: string
}

/** Environment of the tests without what a developer may have set for Castellan. */
export const cleanEnv = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CASTELLAN_')))

/** For what should have ended by itself, such as an `up` that was to be refused. */
const LONGEST_MS = 45_000

/** Runs `castellan …` to its end, which is `SIGKILL` if it does not come. */
export async function castellan(args: readonly string[], options: RunOptions = {}): Promise<Said> {
  const home = options.home === undefined ? {} : { CASTELLAN_HOME: options.home }
  const child = spawn(nodePath, [options.bin ?? BIN, ...args], {
    env: { ...cleanEnv(), ...home, ...options.env },
    stdio: 'pipe',
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  // A command that has ended does not read; that is its right.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input ?? '')
  const status = await new Promise<Said['status']>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  return { status, stdout, stderr }
}

/** Like `castellan`, for commands that must succeed. @returns standard output */
export async function ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const said = await castellan(args, options)
  if (said.status !== 0)
    throw new Error(`castellan ${args.join(' ')} ended with ${said.status}: ${said.stderr}${said.stdout}`)
  return said.stdout
}

/** Things to undo at the end of a test, last first. */
export function createCleanUp(): { later(undo: () => unknown): void; run(): Promise<void> } {
  const undo: (() => unknown)[] = []
  return {
    later: (one) => void undo.push(one),
    async run() {
      for (const one of undo.splice(0).reverse()) await one()
    },
  }
}

export function freshFolder(): string {
  return mkdtempSync(join(tmpdir(), 'castellan-system-'))
}

export const removeFolder = (path: string): void => rmSync(path, { recursive: true, force: true })

/** What `<home>/daemon.json` says. */
export function daemonOf(home: string): { readonly pid: number; readonly url: string } {
  return JSON.parse(readFileSync(join(home, 'daemon.json'), 'utf8')) as { pid: number; url: string }
}

/** Pids of live processes whose command line or environment holds the text, zombies aside; never this process. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    try {
      if (readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')) return []
      const about =
        readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1')
      return about.includes(text) ? [pid] : []
    } catch {
      // Ended meanwhile, or of another user.
      return []
    }
  })
}

export interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly text: string
}

export interface Sending {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly agent?: Agent
}

/** One HTTP request, whatever its headers: `fetch` would refuse or change some. */
export function send(
  url: string,
  { method = 'GET', headers = {}, body, agent }: Sending = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.once('error', reject)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      )
    })
    request.once('error', reject)
    request.end(body)
  })
}

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'system-test', version: '1' },
}
const NAMED_BY: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
}

let ids = 0

/** A modern request as its HTTP form: no session, so that any number can be sent in any order. */
export function modern(method: string, params: Readonly<Record<string, unknown>> = {}): Sending {
  const named = NAMED_BY[method]
  return {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(named === undefined ? {} : { 'mcp-name': String(params[named]) }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: ++ids, method, params: { ...params, _meta: META } }),
  }
}

export interface Endpoint {
  /** `http://…/projects/x/mcp` */
  readonly url: string
  readonly token: string
}

export const ask = (
  { url, token }: Endpoint,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<Answer> => {
  const request = modern(method, params)
  return send(url, { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } })
}

export const callTool = (endpoint: Endpoint, name: string, args: object = {}): Promise<Answer> =>
  ask(endpoint, 'tools/call', { name, arguments: args })

/** A small file system of its own. @returns its path, or undefined where this user may mount none */
export function mountSmallDisk(mebibytes: number): string | undefined {
  const at = freshFolder()
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'tmpfs', at]).status === 0)
    return at
  removeFolder(at)
  return undefined
}

export function unmount(at: string): void {
  spawnSync('umount', ['-l', at])
  removeFolder(at)
}

export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  withinMs = 20_000,
): Promise<T> {
  for (const end = Date.now() + withinMs; ;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error(`did not come about in ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The stdio server that does what it is told, as a manifest. */
export const stdioServer = (
  name: string,
  file: string,
  more: Readonly<Record<string, unknown>> = {},
): object => ({
  apiVersion: 'castellan/v1',
  kind: 'Server',
  metadata: { name },
  spec: {
    transport: 'stdio',
    command: nodePath,
    args: [fixture(file)],
    mounts: [{ path: dirname(fixture(file)) }, { path: dirname(nodePath) }],
    ...more,
  },
})

export const httpServer = (
  name: string,
  url: string,
  more: Readonly<Record<string, unknown>> = {},
): object => ({
  apiVersion: 'castellan/v1',
  kind: 'Server',
  metadata: { name },
  spec: { transport: 'http', url, ...more },
})

export const project = (name: string, servers: readonly string[], more: object = {}): object => ({
  apiVersion: 'castellan/v1',
  kind: 'Project',
  metadata: { name },
  spec: { servers, ...more },
})

/** Manifests as one text for `apply -f -`: JSON documents are YAML. */
export const manifests = (...all: readonly object[]): string =>
  all.map((one) => JSON.stringify(one)).join('\n---\n')
