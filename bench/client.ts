import { CAPABILITIES_KEY, CLIENT_INFO_KEY, VERSION_KEY } from '../src/protocol/envelope.ts'
import type { Era } from '../src/protocol/revisions.ts'
import type { Job } from './job.ts'

/** An MCP endpoint as a client of one era sees it. */
export interface Endpoint {
  readonly url: string
  readonly era: Era
  readonly token?: string | undefined
  /** The server asks during each call, and the client can be asked. */
  readonly asks?: boolean
}

/** What the load generator has to send to call a tool, or to list all. */
export type Prepared = Pick<Job, 'manner' | 'url' | 'method' | 'params' | 'headers'>

export const CLIENT_INFO = { name: 'bench', version: '1' }
const ARGUMENTS = { message: 'hello, is there anybody out there?', tags: ['a', 'b'], limit: 20 }

const capabilities = (asks = false) => (asks ? { elicitation: {} } : {})
const bearer = ({ token }: Endpoint) => (token === undefined ? {} : { authorization: `Bearer ${token}` })

/** Parameters of a request of the modern era. */
export const modernParams = (params: object, asks?: boolean): object => ({
  ...params,
  _meta: {
    [VERSION_KEY]: '2026-07-28',
    [CLIENT_INFO_KEY]: CLIENT_INFO,
    [CAPABILITIES_KEY]: capabilities(asks),
  },
})

/** The headers that have to say the same as its body. */
export const modernHeaders = (method: string, name?: string): Record<string, string> => ({
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': method,
  ...(name === undefined ? {} : { 'mcp-name': name }),
})

async function post(endpoint: Endpoint, headers: Record<string, string>, message: object): Promise<Response> {
  const response = await fetch(endpoint.url, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...bearer(endpoint),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`the endpoint answered ${response.status}: ${text.slice(0, 500)}`)
  return response
}

/** Opens one legacy session and returns the headers that belong to it. */
async function openSession(endpoint: Endpoint): Promise<Record<string, string>> {
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: capabilities(endpoint.asks),
    clientInfo: CLIENT_INFO,
  }
  const opened = await post(endpoint, {}, { id: 0, method: 'initialize', params })
  const session = opened.headers.get('mcp-session-id')
  const headers = {
    'mcp-protocol-version': '2025-11-25',
    ...(session === null ? {} : { 'mcp-session-id': session }),
  }
  await post(endpoint, headers, { method: 'notifications/initialized' })
  return { ...headers, ...bearer(endpoint) }
}

/** Prepares `tools/call` of `tool`, or `tools/list` without one, for so many connections, each with its own session. */
export async function prepare(endpoint: Endpoint, connections: number, tool?: string): Promise<Prepared> {
  const method = tool === undefined ? 'tools/list' : 'tools/call'
  const manner: Job['manner'] = endpoint.asks === true ? { by: 'asked', era: endpoint.era } : { by: 'plain' }
  const call = tool === undefined ? {} : { name: tool, arguments: ARGUMENTS }
  if (endpoint.era === 'modern') {
    const params = JSON.stringify(modernParams(call, endpoint.asks))
    const headers = [{ ...modernHeaders(method, tool), ...bearer(endpoint) }]
    return { manner, url: endpoint.url, method, params, headers }
  }
  const headers = []
  for (let i = 0; i < connections; i += 1) headers.push(await openSession(endpoint))
  return { manner, url: endpoint.url, method, params: JSON.stringify(call), headers }
}
