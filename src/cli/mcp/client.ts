import { CAPABILITIES_KEY, CLIENT_INFO_KEY, VERSION_KEY } from '../../protocol/envelope.ts'
import { encodeHeaderValue } from '../../protocol/header-value.ts'
import { isLegacyRevision, LATEST_LEGACY, LATEST_MODERN, type Era } from '../../protocol/revisions.ts'
import { endSession, McpFailure, postMessage, type Endpoint, type Reply } from './exchange.ts'

export interface McpClient {
  readonly era: Era
  readonly protocolVersion: string
  /** Name and version that the server gives itself. */
  readonly server: string
  /** @throws McpFailure, exit 2 for a JSON-RPC error or an answer that is none */
  request(
    method: string,
    params: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>>>
  close(): Promise<void>
}

const CLIENT = { name: 'castellan-test', version: '1' }

/** Opens a legacy session, which every revision but the newest knows; where that is refused, speaks the newest. */
export async function connectMcp(endpoint: Endpoint): Promise<McpClient> {
  const reply = await postMessage(
    endpoint,
    {
      id: 1,
      method: 'initialize',
      params: { protocolVersion: LATEST_LEGACY, capabilities: {}, clientInfo: CLIENT },
    },
    {},
  )
  if (reply.message?.result !== undefined) return await legacyClient(endpoint, reply)
  if (reply.message?.error !== undefined) return await modernClient(endpoint)
  throw notMcp(reply)
}

async function legacyClient(endpoint: Endpoint, opened: Reply): Promise<McpClient> {
  const { protocolVersion, serverInfo } = opened.message?.result ?? {}
  if (typeof protocolVersion !== 'string' || !isLegacyRevision(protocolVersion))
    throw new McpFailure(
      2,
      'initialize was answered without a protocol version that is known',
      'the server has to name one',
    )
  const headers = {
    'mcp-protocol-version': protocolVersion,
    ...(opened.sessionId === undefined ? {} : { 'mcp-session-id': opened.sessionId }),
  }
  await postMessage(endpoint, { method: 'notifications/initialized' }, headers)
  let id = 1
  return {
    era: 'legacy',
    protocolVersion,
    server: nameOf(serverInfo),
    async request(method, params) {
      id += 1
      return resultOf(method, await postMessage(endpoint, { id, method, params }, headers))
    },
    async close() {
      if (opened.sessionId !== undefined) await endSession(endpoint, headers)
    },
  }
}

async function modernClient(endpoint: Endpoint): Promise<McpClient> {
  let id = 1
  const request = async (method: string, params: Readonly<Record<string, unknown>>) => {
    id += 1
    const _meta = { [VERSION_KEY]: LATEST_MODERN, [CAPABILITIES_KEY]: {}, [CLIENT_INFO_KEY]: CLIENT }
    const headers = {
      'mcp-protocol-version': LATEST_MODERN,
      'mcp-method': method,
      ...(typeof params['name'] === 'string' ? { 'mcp-name': encodeHeaderValue(params['name']) } : {}),
    }
    return resultOf(
      method,
      await postMessage(endpoint, { id, method, params: { ...params, _meta } }, headers),
    )
  }
  const discovered = await request('server/discover', {})
  const meta = discovered['_meta'] as Readonly<Record<string, unknown>> | undefined
  return {
    era: 'modern',
    protocolVersion: LATEST_MODERN,
    server: nameOf(meta?.['io.modelcontextprotocol/serverInfo'] ?? discovered['serverInfo']),
    request,
    close: async () => {},
  }
}

function resultOf(method: string, reply: Reply): Readonly<Record<string, unknown>> {
  const { message } = reply
  if (message?.result !== undefined) return message.result
  if (message?.error === undefined) throw notMcp(reply)
  const text = typeof message.error.message === 'string' ? message.error.message.slice(0, 500) : 'no message'
  throw new McpFailure(
    2,
    `${method} was answered with error ${String(message.error.code)}: ${text}`,
    'the message is the server’s; its log may say more',
  )
}

const notMcp = (reply: Reply): McpFailure =>
  reply.status === 404
    ? new McpFailure(
        1,
        'there is no endpoint at this address (404)',
        'an endpoint of Castellan is /projects/PROJECT/mcp',
      )
    : new McpFailure(
        2,
        `the answer (status ${reply.status}) holds no JSON-RPC response`,
        'is this the address of an MCP endpoint?',
      )

function nameOf(info: unknown): string {
  const { name, version } = (info ?? {}) as { name?: unknown; version?: unknown }
  return typeof name === 'string' ? `${name}${typeof version === 'string' ? ` ${version}` : ''}` : 'unnamed'
}
