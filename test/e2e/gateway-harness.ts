import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeHeaderValue } from '../../src/protocol/header-value.ts'
import { createSseParser } from '../../src/protocol/sse.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'

/** Loose on purpose: a test says with its expectations what it wants to find. */
export type Json = Readonly<Record<string, unknown>>

const FIXTURE = new URL('../fixtures/stdio-mcp.js', import.meta.url).pathname

/** The manifest of a Server that runs `stdio-mcp.js`, which the sandbox may cover: a checkout can lie anywhere. */
export const stdioServer = (name: string, args: readonly string[] = [], more: Json = {}): Json =>
  commandServer(name, process.execPath, [FIXTURE, ...args], { mounts: [{ path: dirname(FIXTURE) }], ...more })

export const commandServer = (
  name: string,
  command: string,
  args: readonly string[] = [],
  more: Json = {},
): Json => ({
  kind: 'Server',
  metadata: { name },
  spec: { transport: 'stdio', command, args, ...more },
})

export const httpServer = (name: string, url: string, more: Json = {}): Json => ({
  kind: 'Server',
  metadata: { name },
  spec: { transport: 'http', url, ...more },
})

export const project = (name: string, servers: readonly string[], more: Json = {}): Json => ({
  kind: 'Project',
  metadata: { name },
  spec: { servers, ...more },
})

export const secret = (name: string, data: Record<string, string>): Json => ({
  kind: 'Secret',
  metadata: { name },
  spec: { data },
})

/** What a client has in hand: an endpoint and a token for it. */
export interface Access {
  readonly url: string
  readonly token: string
}

export interface Gate {
  readonly daemon: Daemon
  access(project: string, server?: string): Promise<Access>
  /** Restarts on the same home and port: as a user would, or after `kill -9`. */
  restart(how: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Status of a server as `castellan get` has it. */
  status(server: string): Promise<Json>
  end(): Promise<void>
}

export async function startGate(manifests: readonly Json[]): Promise<Gate> {
  const home = await makeHome()
  let daemon = await startDaemon(home)
  await daemon.apply(manifests)
  const tokens = new Map<string, Promise<string>>()
  return {
    get daemon() {
      return daemon
    },
    async access(name, server) {
      const token = tokens.get(name) ?? createToken(daemon, name, 'harness')
      tokens.set(name, token)
      return { url: endpoint(daemon, name, server), token: await token }
    },
    async restart(how) {
      const port = Number(new URL(daemon.origin).port)
      if (how === 'SIGTERM') await daemon.stop()
      else await kill(daemon.pid)
      daemon = await startDaemon(home, port)
    },
    async status(server) {
      const { status } = (await daemon.call('GET', `/api/v1/servers/${server}`)) as Json
      return status as Json
    },
    async end() {
      await daemon.stop()
      await removeHome(home)
    },
  }
}

export const endpoint = (daemon: Daemon, name: string, server?: string): string =>
  `${daemon.origin}/projects/${name}${server === undefined ? '' : `/servers/${server}`}/mcp`

async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  await until('the daemon is gone', () => {
    try {
      process.kill(pid, 0)
      return false
    } catch {
      return true
    }
  })
}

export async function createToken(
  daemon: Daemon,
  name: string,
  token: string,
  spec: Json = {},
): Promise<string> {
  const manifest = {
    apiVersion: 'castellan/v1',
    kind: 'Token',
    metadata: { name: token, project: name },
    spec,
  }
  const made = (await daemon.call('POST', '/api/v1/tokens', manifest)) as { secret: string }
  return made.secret
}

/** Waits for what must become true; says what it waited for when it does not. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 20_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== null && found !== false) return found
    if (performance.now() > end) throw new Error(`waited ${withinMs} ms in vain: ${what}`)
    await sleep(20)
  }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The body, byte for byte. */
  readonly text: string
  /** Its JSON-RPC messages, be it one JSON body or an event stream. */
  readonly messages: readonly Json[]
  /** The last of them: the response. */
  readonly reply: Json
}

/** A request on its way: messages arrive in `messages` while it runs. */
export interface Running {
  readonly messages: readonly Json[]
  /** Status and headers have come. */
  readonly opened: Promise<void>
  readonly answer: Promise<Answer>
  /** Closes the connection. */
  hangUp(): void
}

export interface Sent {
  readonly method?: string
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string | undefined>>
}

const DEFAULT_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

/** One HTTP request, with nothing added that is not said here. A header of `undefined` is left out. */
function start({ url, token }: Access, { method = 'POST', body, headers = {} }: Sent): Running {
  const all = { ...DEFAULT_HEADERS, authorization: `Bearer ${token}`, ...headers }
  const given = Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const messages: Json[] = []
  const opened = Promise.withResolvers<void>()
  const settled = Promise.withResolvers<Answer>()
  opened.promise.catch(() => undefined)
  settled.promise.catch(() => undefined)
  const request = httpRequest(url, { method, headers: given, agent: false }, (response) => {
    opened.resolve()
    collect(response, messages).then(settled.resolve, settled.reject)
  })
  request.on('error', (error) => {
    opened.reject(error)
    settled.reject(error)
  })
  request.end(body)
  return { messages, opened: opened.promise, answer: settled.promise, hangUp: () => void request.destroy() }
}

async function collect(response: IncomingMessage, messages: Json[]): Promise<Answer> {
  const { statusCode: status = 0, headers } = response
  let text = ''
  if (headers['content-type'] === 'text/event-stream') {
    // An event without data carries only an id (MCP 2025-11-25).
    const parser = createSseParser(1 << 26, ({ data }) => {
      if (data.length > 0) messages.push(JSON.parse(data.toString()) as Json)
    })
    for await (const chunk of response) {
      text += String(chunk)
      parser.feed(chunk as Buffer)
    }
  } else {
    text = await readText(response)
    if (headers['content-type'] === 'application/json' && text !== '') messages.push(JSON.parse(text) as Json)
  }
  return { status, headers, text, messages, reply: messages.at(-1) ?? {} }
}

export const send = (access: Access, sent: Sent): Promise<Answer> => start(access, sent).answer

export const jsonRpc = (id: unknown, method: string, params?: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) })

/** A client of either era, as small as can be. */
export interface Caller {
  /** Answer to the request, whole. */
  ask(method: string, params?: Json, id?: unknown): Promise<Answer>
  begin(method: string, params?: Json, id?: unknown): Running
}

export interface LegacyCaller extends Caller {
  readonly session: string
  /** Result of `initialize`. */
  readonly opened: Json
  readonly headers: Readonly<Record<string, string>>
  notify(method: string, params?: Json): Promise<Answer>
  /** Opens the GET stream; resolves once it is open. */
  listen(): Promise<Running>
}

export const initializeParams = (protocolVersion: string): Json => ({
  protocolVersion,
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
})

export async function openLegacy(access: Access, version = '2025-11-25'): Promise<LegacyCaller> {
  const { headers, reply, status, text } = await send(access, {
    body: jsonRpc(0, 'initialize', initializeParams(version)),
  })
  const session = headers['mcp-session-id']
  if (status !== 200 || typeof session !== 'string')
    throw new Error(`initialize was answered ${status}: ${text}`)
  const caller = resumeLegacy(access, session, version)
  await caller.notify('notifications/initialized')
  return { ...caller, opened: reply['result'] as Json }
}

/** The same session, without asking for a new one. */
export function resumeLegacy(access: Access, session: string, version = '2025-11-25'): LegacyCaller {
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': version }
  let last = 0
  const begin: Caller['begin'] = (method, params, id = ++last) =>
    start(access, { body: jsonRpc(id, method, params), headers })
  return {
    session,
    headers,
    opened: {},
    begin,
    ask: (method, params, id) => begin(method, params, id).answer,
    notify: (method, params) =>
      send(access, {
        headers,
        body: JSON.stringify({ jsonrpc: '2.0', method, ...(params === undefined ? {} : { params }) }),
      }),
    async listen() {
      const stream = start(access, {
        method: 'GET',
        headers: { ...headers, accept: 'text/event-stream', 'content-type': undefined },
      })
      await stream.opened
      return stream
    },
  }
}

const META = 'io.modelcontextprotocol'
const NAMED_BY: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
}

export const modernMeta = (more: Json = {}): Json => ({
  [`${META}/protocolVersion`]: '2026-07-28',
  [`${META}/clientCapabilities`]: {},
  [`${META}/clientInfo`]: { name: 'test', version: '1' },
  ...more,
})

export function modernHeaders(method: string, params: Json = {}): Record<string, string> {
  const field = NAMED_BY[method]
  return {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    ...(field === undefined ? {} : { 'mcp-name': encodeHeaderValue(String(params[field])) }),
  }
}

export function modernCaller(access: Access): Caller {
  let last = 0
  const begin: Caller['begin'] = (method, params = {}, id = ++last) => {
    const _meta = modernMeta(params['_meta'] as Json | undefined)
    return start(access, {
      headers: modernHeaders(method, params),
      body: jsonRpc(id, method, { ...params, _meta }),
    })
  }
  return { begin, ask: (method, params, id) => begin(method, params, id).answer }
}

/** What stands at a path of a JSON value, such as `result.tools.0.name`. */
export const at = (value: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((part, key) => (part as Json | undefined)?.[key], value)

/** Result of a tool that answers with JSON in a text block. */
export function toolJson({ reply, text }: Answer): unknown {
  const said = at(reply, 'result.content.0.text')
  if (typeof said !== 'string') throw new Error(`not a tool result: ${text}`)
  return JSON.parse(said) as unknown
}

export const namesIn = ({ reply }: Answer, list: 'tools' | 'prompts' = 'tools'): string[] =>
  (at(reply, `result.${list}`) as { name: string }[]).map(({ name }) => name)
