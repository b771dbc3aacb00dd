import { spawn } from 'node:child_process'
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { BIN, makeHome, removeHome, startDaemon } from '../fixtures/daemon.ts'

/** One request that an edge has made to its control plane. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  body: string
  /** What came back of it so far. */
  answer: string
}

/** What stands between an edge and its control plane: it writes down everything, and gets worse when it is told to. */
export interface Between {
  readonly url: string
  readonly seen: readonly Seen[]
  /** Requests since the last time it was asked. */
  fresh(): readonly Seen[]
  /** `cut`: nobody answers. `no-streams`: event streams of what a credential is worth do not come through. */
  set(how: 'well' | 'cut' | 'no-streams'): void
  /** How long each request is held. */
  slowBy(ms: number): void
  close(): Promise<void>
}

export async function startBetween(target: string): Promise<Between> {
  const agent = new Agent({ keepAlive: true })
  const seen: Seen[] = []
  let [how, delayMs, told]: ['well' | 'cut' | 'no-streams', number, number] = ['well', 0, 0]
  const watches = new Set<ServerResponse>()

  function pass(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', headers } = request
    const one: Seen = { method, path: url, headers, body: '', answer: '' }
    seen.push(one)
    if (how === 'cut') return void request.socket.destroy()
    const isWatch = url.includes('watch=true')
    if (isWatch && how === 'no-streams') return void response.writeHead(404).end()
    if (isWatch) watches.add(response)
    const onward = httpRequest(target + url, { method, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      response.flushHeaders()
      answer.on('data', (chunk: Buffer) => void (one.answer += chunk.toString('latin1')))
      answer.pipe(response)
      answer.once('error', () => response.destroy())
    })
    onward.once('error', () => response.destroy())
    response.once('close', () => {
      watches.delete(response)
      onward.destroy()
    })
    request.on('data', (chunk: Buffer) => void (one.body += chunk.toString('utf8')))
    request.pipe(onward)
  }
  const server = createServer((request, response) => {
    if (delayMs > 0) setTimeout(pass, delayMs, request, response)
    else pass(request, response)
  })
  server.timeout = 0
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    fresh() {
      const since = seen.slice(told)
      told = seen.length
      return since
    },
    set(next) {
      how = next
      if (how === 'cut') server.closeAllConnections()
      if (how === 'no-streams') for (const response of watches) response.destroy()
    },
    slowBy: (ms) => void (delayMs = ms),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      agent.destroy()
      await closed
    },
  }
}

/** An edge gateway, as a process of its own. */
export interface Edge {
  readonly origin: string
  /** Where it keeps its record; undefined: it keeps nothing. */
  readonly home: string | undefined
  /** What it has written to standard error. */
  log(): string
  stop(): Promise<void>
}

type Env = Readonly<Record<string, string>>

/** @param keeps it has a home of its own */
export const startEdge = (
  control: string,
  { keeps = true, env = {} }: { readonly keeps?: boolean; readonly env?: Env } = {},
): Promise<Edge> => (keeps ? startInHome(control, env) : startWithout(control, env))

async function startInHome(control: string, env: Env): Promise<Edge> {
  const home = await makeHome()
  const daemon = await startDaemon(home, 0, {
    env: { CASTELLAN_ROLE: 'gateway', CASTELLAN_CONTROL_URL: control, ...env },
  })
  return {
    origin: daemon.origin,
    home,
    log: () => '',
    async stop() {
      await daemon.stop()
      await removeHome(home)
    },
  }
}

/** As in a container: configured by the environment alone. */
async function startWithout(control: string, env: Env): Promise<Edge> {
  const { CASTELLAN_HOME: _home, ...inherited } = process.env
  const child = spawn(process.execPath, [BIN, 'up'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...inherited,
      CASTELLAN_ROLE: 'gateway',
      CASTELLAN_CONTROL_URL: control,
      CASTELLAN_PORT: '0',
      ...env,
    },
  })
  let [out, log] = ['', '']
  child.stderr.on('data', (chunk: Buffer) => void (log += chunk.toString('utf8')))
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  const origin = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8')
      const found = /listens on (\S+)/.exec(out)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', (code) => reject(new Error(`castellan up ended with ${code}: ${log.slice(-2000)}`)))
  })
  return {
    origin,
    home: undefined,
    log: () => log,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}
