import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client'
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client'
import { StdioClientTransport as Stdio1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import type { Access, Json } from './gateway-harness.ts'

/** Official clients that answer whatever they are asked, in the same words. */

export interface CallOptions {
  readonly signal?: AbortSignal
  readonly onprogress?: (progress: { progress: number }) => void
}

export interface AskedClient {
  call(name: string, args?: Json, options?: CallOptions): Promise<Json>
  prompt(name: string): Promise<Json>
  /** From here on, log messages come. */
  wantLogs(): Promise<void>
  /** From here on, changes of the list of tools are told. */
  watchTools(): Promise<void>
  /** What it was asked: methods, for elicitations the mode. */
  readonly asked: string[]
  readonly logs: Json[]
  changes: number
  close(): Promise<void>
}

export type ClientName = 'v1' | 'v2-legacy' | 'v2-modern'

const ABOUT = { name: 'asked-client', version: '1' }
const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } }
const NAME = 'Ada'

const sampled = { role: 'assistant' as const, model: 'm', content: { type: 'text' as const, text: 'Paris' } }
const roots = { roots: [{ uri: 'file:///work' }] }
const FIELDS = { name: NAME, context: 'C', color: 'red', ok: true, username: NAME, email: 'a@example.org' }

/** A value for each field of the form; none for a page to open. */
function elicited(
  params: Json,
  asked: string[],
): { action: 'accept'; content?: Record<string, string | boolean> } {
  const form = params['requestedSchema'] as { readonly properties: Json } | undefined
  asked.push(form === undefined ? 'url' : 'form')
  if (form === undefined) return { action: 'accept' }
  const wanted = Object.entries(FIELDS).filter(([name]) => name in form.properties)
  return { action: 'accept', content: Object.fromEntries(wanted) }
}

const bearer = ({ token }: Access) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } })

/** How a client gets to what it talks to. */
interface Way {
  readonly v1: () => Parameters<Client1['connect']>[0]
  readonly v2: () => Parameters<Client2['connect']>[0]
}

const overHttp = (access: Access): Way => ({
  v1: () => new Http1(new URL(access.url), bearer(access)),
  v2: () => new Http2(new URL(access.url), bearer(access)),
})

/** A program that speaks MCP on its standard input and output. */
export interface Program {
  readonly command: string
  readonly args: string[]
  readonly env: Record<string, string>
}

const overPipe = (program: Program): Way => ({
  v1: () => new Stdio1({ ...program, stderr: 'ignore' }),
  v2: () => new Stdio2({ ...program, stderr: 'ignore' }),
})

async function connectV1(way: Way): Promise<AskedClient> {
  const client = new Client1(ABOUT, { capabilities: CAPABILITIES })
  const asked: string[] = []
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => elicited(params as unknown as Json, asked))
  client.setRequestHandler(CreateMessageRequestSchema, () => {
    asked.push('sampling')
    return sampled
  })
  client.setRequestHandler(ListRootsRequestSchema, () => {
    asked.push('roots')
    return roots
  })
  const own: AskedClient = {
    asked,
    logs: [],
    changes: 0,
    call: (name, args = {}, options) => client.callTool({ name, arguments: args }, undefined, options),
    prompt: (name) => client.getPrompt({ name }),
    wantLogs: async () => void (await client.setLoggingLevel('debug')),
    watchTools: async () => undefined,
    close: () => client.close(),
  }
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void own.logs.push(params))
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void own.changes++)
  await client.connect(way.v1())
  return own
}

async function connectV2(way: Way, era: 'legacy' | 'modern'): Promise<AskedClient> {
  const mode = era === 'modern' ? ({ pin: '2026-07-28' } as const) : ('legacy' as const)
  const client = new Client2(ABOUT, { capabilities: CAPABILITIES, versionNegotiation: { mode } })
  const asked: string[] = []
  client.setRequestHandler('elicitation/create', ({ params }) => elicited(params as unknown as Json, asked))
  client.setRequestHandler('sampling/createMessage', () => {
    asked.push('sampling')
    return sampled
  })
  client.setRequestHandler('roots/list', () => {
    asked.push('roots')
    return roots
  })
  let meta = {}
  const own: AskedClient = {
    asked,
    logs: [],
    changes: 0,
    call: (name, args = {}, options) => client.callTool({ name, arguments: args, _meta: meta }, options),
    prompt: (name) => client.getPrompt({ name }),
    async wantLogs() {
      if (era === 'legacy') await client.setLoggingLevel('debug')
      else meta = { 'io.modelcontextprotocol/logLevel': 'debug' }
    },
    async watchTools() {
      if (era === 'modern') await client.listen({ toolsListChanged: true })
    },
    close: () => client.close(),
  }
  client.setNotificationHandler('notifications/message', ({ params }) => void own.logs.push(params as Json))
  client.setNotificationHandler('notifications/tools/list_changed', () => void own.changes++)
  await client.connect(way.v2())
  return own
}

const connectBy = (name: ClientName, way: Way): Promise<AskedClient> =>
  name === 'v1' ? connectV1(way) : connectV2(way, name === 'v2-modern' ? 'modern' : 'legacy')

export const connect = (name: ClientName, access: Access): Promise<AskedClient> =>
  connectBy(name, overHttp(access))

export const connectPiped = (name: ClientName, program: Program): Promise<AskedClient> =>
  connectBy(name, overPipe(program))
