import { VERSION_KEY } from '../../protocol/envelope.ts'
import { encodeHeaderValue, isPlainHeader } from '../../protocol/header-value.ts'
import { elements, members } from '../../protocol/json-spans.ts'
import { hasPath, rawAt, spanOf, stringAt, type Message } from '../../protocol/message.ts'
import { paramHeadersOf, readParamHeaders, type ParamHeader } from '../../protocol/param-headers.ts'
import { claimsModern } from '../../protocol/revisions.ts'
import { POST_HEADERS, type Wire } from './carry.ts'
import { exchange, type Refusal } from './exchange.ts'
import type { Lane } from './lane.ts'
import type { OpenRequest } from './open-request.ts'

const VERSION_PATH = 'params/_meta/io.modelcontextprotocol.protocolVersion'
const MAX_PAGES = 100
const MAX_TOOLS = 10_000

/** It has an envelope. `initialize` belongs to the older era, unless the envelope is of a newer revision. */
export const isModern = (message: Message): boolean =>
  hasPath(message, VERSION_PATH) &&
  (message.method !== 'initialize' || claimsModern(stringAt(message, VERSION_PATH) ?? ''))

/**
 * 2026-07-28 over HTTP: what a client on a pipe need not send, headers that repeat the body, is added here. Which
 * arguments travel in headers too is learned from the lists of tools that pass by.
 */
export class ModernLane implements Lane {
  readonly #wire: Wire
  readonly #mintId: () => string
  readonly #params = new Map<string, readonly ParamHeader[]>()
  /** Calls that were refused for their headers once already. */
  readonly #corrected = new WeakSet<OpenRequest>()

  /** @param mintId JSON text of ids for requests of our own */
  constructor(wire: Wire, mintId: () => string) {
    this.#wire = wire
    this.#mintId = mintId
  }

  async turn(): Promise<void> {}

  headers({ first }: OpenRequest): Record<string, string> {
    return first === undefined ? {} : this.headersOf(first)
  }

  headersOf(message: Message): Record<string, string> {
    const name = nameOf(message)
    const tool = message.method === 'tools/call' ? this.#params.get(name ?? '') : undefined
    return {
      ...plain('mcp-protocol-version', stringAt(message, VERSION_PATH)),
      ...plain('mcp-method', message.method),
      ...(name === undefined ? {} : { 'mcp-name': encodeHeaderValue(name) }),
      ...(tool === undefined ? {} : paramHeadersOf(message, tool)),
    }
  }

  passing({ first }: OpenRequest, message: Message): void {
    if (first?.method === 'tools/list' && message.idText === first.idText) this.#learn(message)
  }

  /** MCP 2026-07-28: after -32020 a client should list the tools again, and retry. */
  async mend(request: OpenRequest, { message }: Refusal): Promise<boolean> {
    const call = request.first
    if (call?.method !== 'tools/call' || this.#corrected.has(request)) return false
    if (message === undefined || rawAt(message, 'error/code') !== '-32020') return false
    this.#corrected.add(request)
    await this.#list(rawAt(call, 'params/_meta') ?? '{}', request.signal)
    return true
  }

  /** @param meta JSON text of the envelope under which the list is asked for: lists may differ by who asks */
  async #list(meta: string, signal: AbortSignal): Promise<void> {
    let at = ''
    for (let page = 0; page < MAX_PAGES; page++) {
      const body = `{"jsonrpc":"2.0","id":${this.#mintId()},"method":"tools/list","params":{${at}"_meta":${meta}}}`
      const reply = await this.#ask(Buffer.from(body), meta, signal)
      if (reply === undefined) return
      this.#learn(reply)
      const next = rawAt(reply, 'result/nextCursor')
      if (next === undefined) return
      at = `"cursor":${next},`
    }
  }

  async #ask(body: Buffer, meta: string, signal: AbortSignal): Promise<Message | undefined> {
    const { [VERSION_KEY]: version } = JSON.parse(meta) as Record<string, unknown>
    let reply: Message | undefined
    await exchange(
      this.#wire.daemon,
      {
        method: 'POST',
        headers: {
          ...POST_HEADERS,
          ...plain('mcp-protocol-version', version),
          'mcp-method': 'tools/list',
          'content-length': String(body.length),
        },
        body,
        signal,
      },
      {
        message([message]) {
          if (message?.shape === 'result') reply = message
          return undefined
        },
        get isDone() {
          return reply !== undefined
        },
      },
    )
    return reply
  }

  #learn(reply: Message): void {
    const { bytes } = reply
    const result = spanOf(reply, 'result')
    const tools = result === undefined ? undefined : members(bytes, result).get('tools')
    if (tools === undefined) return
    for (const tool of elements(bytes, tools)) {
      const name = members(bytes, tool).get('name')
      if (name === undefined || bytes[name.start] !== 0x22) continue
      const key = JSON.parse(bytes.toString('utf8', name.start, name.end)) as string
      const params = readParamHeaders(bytes.subarray(tool.start, tool.end))
      if (params === undefined || 'reason' in params) this.#params.delete(key)
      else if (this.#params.size < MAX_TOOLS) this.#params.set(key, params)
    }
  }
}

/** What no header can hold is left out, for the daemon to miss. */
const plain = (name: string, value: unknown): Record<string, string> =>
  typeof value === 'string' && isPlainHeader(value) ? { [name]: value } : {}

/** What `Mcp-Name` repeats: the name, the URI, or the task. */
function nameOf(message: Message): string | undefined {
  if (message.method === 'tools/call' || message.method === 'prompts/get')
    return stringAt(message, 'params/name')
  if (message.method === 'resources/read') return stringAt(message, 'params/uri')
  if (!/^tasks\/(?:get|update|cancel)$/.test(message.method)) return undefined
  const params = spanOf(message, 'params')
  const task = params === undefined ? undefined : members(message.bytes, params).get('taskId')
  return task === undefined || message.bytes[task.start] !== 0x22
    ? undefined
    : (JSON.parse(message.bytes.toString('utf8', task.start, task.end)) as string)
}
