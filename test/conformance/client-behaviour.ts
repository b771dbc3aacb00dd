import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import type { Requirements } from './suite.ts'

/** What a scenario wants a client to do, done by an official client in front of the gateway. */
export interface Endpoint {
  readonly url: string
  readonly token: string
  readonly revision: Requirements
}

/** What the suite hands over with some scenarios. */
export interface Context {
  readonly toolCalls?: readonly { readonly name: string; readonly arguments: Record<string, unknown> }[]
  readonly client_id?: string
  readonly client_secret?: string
}

export type Behaviour = (endpoint: Endpoint, context: Context) => Promise<void>

const isModern = ({ revision }: Endpoint): boolean => revision === '2026-07-28'

async function withClient(endpoint: Endpoint, use: (client: Client) => Promise<void>): Promise<void> {
  const mode = isModern(endpoint) ? ({ pin: endpoint.revision } as const) : ('legacy' as const)
  const client = new Client(
    { name: 'conformance-client', version: '1.0.0' },
    {
      capabilities: { elicitation: { form: { applyDefaults: true } } },
      versionNegotiation: { mode },
    },
  )
  client.setRequestHandler('elicitation/create', ({ params }) => ({
    action: 'accept',
    content:
      'requestedSchema' in params && 'confirmed' in params.requestedSchema.properties
        ? { confirmed: true }
        : {},
  }))
  const headers = { authorization: `Bearer ${endpoint.token}` }
  await client.connect(new StreamableHTTPClientTransport(new URL(endpoint.url), { requestInit: { headers } }))
  try {
    await use(client)
  } finally {
    await client.close()
  }
}

const listOnly: Behaviour = (endpoint) =>
  withClient(endpoint, async (client) => void (await client.listTools()))

const callFirst: Behaviour = (endpoint) =>
  withClient(endpoint, async (client) => {
    const { tools } = await client.listTools()
    if (tools[0] !== undefined) await client.callTool({ name: tools[0].name, arguments: { a: 2, b: 3 } })
  })

const callAsTold: Behaviour = (endpoint, { toolCalls = [] }) =>
  withClient(endpoint, async (client) => {
    await client.listTools()
    for (const call of toolCalls) await client.callTool(call)
  })

const useEverything: Behaviour = (endpoint) =>
  withClient(endpoint, async (client) => {
    const [{ tools }, { resources }, { prompts }] = [
      await client.listTools(),
      await client.listResources(),
      await client.listPrompts(),
    ]
    for (const { name } of tools) await client.callTool({ name, arguments: {} })
    for (const { uri } of resources) await client.readResource({ uri })
    for (const { name } of prompts) await client.getPrompt({ name })
  })

/** An official client would drop the invalid tools itself; asked without one, the list shows what the gateway lets through. */
const callWhateverIsListed: Behaviour = async (endpoint) => {
  const { tools } = (await post(endpoint, 'tools/list', {})) as {
    readonly tools: readonly { name: string }[]
  }
  for (const { name } of tools)
    await post(endpoint, 'tools/call', { name, arguments: { region: 'us-west1' } })
}

/** Never scored: the schema comes back as it was listed. */
const echoSchema: Behaviour = async (endpoint) => {
  const { tools } = (await post(endpoint, 'tools/list', {})) as {
    readonly tools: readonly { name: string; inputSchema: unknown }[]
  }
  const schema = tools.find(({ name }) => name === 'json_schema_2020_12_tool')?.inputSchema
  await post(endpoint, 'tools/call', { name: 'json_schema_echo', arguments: { schema } })
}

let nextId = 0
async function post(endpoint: Endpoint, method: string, params: Record<string, unknown>): Promise<unknown> {
  const response = await fetch(endpoint.url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${endpoint.token}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': endpoint.revision,
      'mcp-method': method,
      ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}),
      ...(isObject(params['arguments']) && 'region' in params['arguments']
        ? { 'mcp-param-region': 'us-west1' }
        : {}),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: ++nextId,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': endpoint.revision,
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    }),
  })
  return ((await response.json()) as { readonly result?: unknown }).result
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const askedByTools =
  (...names: readonly string[]): Behaviour =>
  (endpoint) =>
    withClient(endpoint, async (client) => {
      await client.listTools()
      for (const name of names) await client.callTool({ name, arguments: {} })
    })

/** Calls one tool while another waits for its answer: what belongs to one must not travel with the other. */
const answerRounds = askedByTools(
  'test_mrtr_echo_state',
  'test_mrtr_unrelated',
  'test_mrtr_no_state',
  'test_mrtr_no_result_type',
)

const callTestTool: Behaviour = (endpoint) =>
  withClient(endpoint, async (client) => {
    await client.listTools()
    await client.callTool({ name: 'test-tool', arguments: {} })
  })

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  initialize: listOnly,
  tools_call: callFirst,
  'request-metadata': listOnly,
  'sse-retry': callFirst,
  'json-schema-ref-no-deref': listOnly,
  'elicitation-sep1034-client-defaults': askedByTools('test_client_elicitation_defaults'),
  'sep-2322-client-request-state': answerRounds,
  'http-standard-headers': useEverything,
  'http-custom-headers': callAsTold,
  'http-invalid-tool-headers': callWhateverIsListed,
  'json-schema-2020-12-preservation': echoSchema,
}

export const behaviourOf = (scenario: string): Behaviour | undefined =>
  BEHAVIOURS[scenario] ?? (scenario.startsWith('auth/') ? callTestTool : undefined)
