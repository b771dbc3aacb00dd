import { CAPABILITIES_KEY, CLIENT_INFO_KEY, VERSION_KEY } from '../src/protocol/envelope.ts'
import type { Era } from '../src/protocol/revisions.ts'

/** An MCP endpoint as a client of one era sees it. */
export interface Endpoint {
  readonly url: string
  readonly era: Era
  readonly token?: string | undefined
}

/** What the load generator has to send to call a tool, or to list all. */
export interface Prepared {
  readonly url: string
  readonly method: string
  readonly params: string
  readonly headers: readonly Readonly<Record<string, string>>[]
}

const ENVELOPE = {
  [VERSION_KEY]: '2026-07-28',
  [CLIENT_INFO_KEY]: { name: 'bench', version: '1' },
  [CAPABILITIES_KEY]: {},
}
const ARGUMENTS = { message: 'hello, is there anybody out there?', tags: ['a', 'b'], limit: 20 }

const bearer = ({ token }: Endpoint) => (token === undefined ? {} : { authorization: `Bearer ${token}` })

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
    capabilities: {},
    clientInfo: { name: 'bench', version: '1' },
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
  const call = tool === undefined ? {} : { name: tool, arguments: ARGUMENTS }
  if (endpoint.era === 'modern') {
    const name = tool === undefined ? {} : { 'mcp-name': tool }
    const headers = {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...name,
      ...bearer(endpoint),
    }
    return {
      url: endpoint.url,
      method,
      params: JSON.stringify({ ...call, _meta: ENVELOPE }),
      headers: [headers],
    }
  }
  const headers = []
  for (let i = 0; i < connections; i += 1) headers.push(await openSession(endpoint))
  return { url: endpoint.url, method, params: JSON.stringify(call), headers }
}
