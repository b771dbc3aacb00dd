import { McpFailure } from '../../src/cli/mcp/exchange.ts'
import type { McpClient } from '../../src/cli/mcp/client.ts'
import { must, Skipped, type Check } from './check.ts'
import { INITIALIZE, knock, PING } from './knock.ts'
import type { Place } from './place.ts'
import { revocation } from './revocation.ts'

const tokenOf = ({ token }: Place): string => {
  if (token === undefined) throw new Skipped('set CASTELLAN_TOKEN to a token of the project')
  return token
}

interface Tool {
  readonly name: string
  readonly inputSchema?: { readonly required?: readonly string[] }
  readonly annotations?: { readonly readOnlyHint?: boolean }
}

/** In the order in which somebody would try them. */
export const CHECKS: readonly Check[] = [
  {
    name: 'it answers, and is ready',
    async run(place) {
      for (const probe of ['healthz', 'readyz']) {
        const { status } = await place.fetch(probe, undefined)
        must(status === 200, `/${probe} answered with status ${status}`)
      }
      return undefined
    },
  },
  {
    name: 'nobody gets in without a credential, or with one that is none',
    async run(place) {
      for (const bearer of [undefined, `cst_${'A'.repeat(43)}`]) {
        const { status, headers } = await knock(place, bearer)
        must(status === 401, `status ${status} in place of 401`)
        must(headers.has('www-authenticate'), 'a 401 without WWW-Authenticate')
      }
      return undefined
    },
  },
  {
    name: 'a token lists tools, and calls one that needs nothing',
    run: (place) => withClient(place, callHarmless),
  },
  {
    name: 'contract: names, schemas and errors are what clients rely on',
    run: (place) => withClient(place, contract),
  },
  { name: 'contract: requests that are none are refused, each with its status', run: statuses },
  { name: 'another project is refused in the same words, whether or not it exists', run: otherProject },
  { name: 'a token that is revoked is refused within 5 s', run: revocation },
]

async function withClient(place: Place, use: (client: McpClient) => Promise<string>): Promise<string> {
  const client = await place.connect(tokenOf(place))
  try {
    return await use(client)
  } finally {
    await client.close()
  }
}

const MAX_PAGES = 100

async function toolsOf(client: McpClient): Promise<readonly Tool[]> {
  const all: Tool[] = []
  let params: { readonly cursor?: string } = {}
  for (let page = 0; page < MAX_PAGES; page++) {
    const { tools, nextCursor } = (await client.request('tools/list', params)) as {
      readonly tools?: readonly Tool[]
      readonly nextCursor?: string
    }
    must(Array.isArray(tools), 'tools/list was answered without tools')
    all.push(...tools)
    if (nextCursor === undefined) return all
    params = { cursor: nextCursor }
  }
  throw new Error(`tools/list has no end: ${MAX_PAGES} pages`)
}

async function callHarmless(client: McpClient): Promise<string> {
  const tools = await toolsOf(client)
  must(tools.length > 0, 'no tool is listed')
  const listed = `${tools.length} listed`
  const harmless = tools.find(
    ({ inputSchema, annotations }) =>
      (inputSchema?.required ?? []).length === 0 && annotations?.readOnlyHint === true,
  )
  if (harmless === undefined)
    return `${listed}; none called, since none says that it only reads and needs no arguments`
  await client.request('tools/call', { name: harmless.name, arguments: {} })
  return `${listed}, ${harmless.name} called`
}

async function contract(client: McpClient): Promise<string> {
  const tools = await toolsOf(client)
  const odd = tools.find(({ name, inputSchema }) => !/^[\w-]{1,64}$/.test(name) || inputSchema === undefined)
  must(odd === undefined, `the tool ${odd?.name.slice(0, 64) ?? ''} has a name or schema that clients refuse`)
  must(new Set(tools.map(({ name }) => name)).size === tools.length, 'two tools have one name')
  const refusal = await client.request('tools/call', { name: 'nobody__nothing', arguments: {} }).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  must(
    refusal instanceof McpFailure && refusal.exit === 2,
    'a tool that does not exist was not answered with a JSON-RPC error',
  )
  return `${client.era}, ${client.protocolVersion}`
}

async function statuses(place: Place): Promise<undefined> {
  const token = tokenOf(place)
  const rows: readonly (readonly [what: string, status: number, init: RequestInit])[] = [
    ['a body that is no JSON', 400, { body: '{"jsonrpc":' }],
    ['a session that is not there', 404, { headers: { 'mcp-session-id': 'nobody' }, body: PING }],
    ['a media type that is not taken', 415, { headers: { 'content-type': 'text/plain' }, body: INITIALIZE }],
  ]
  for (const [what, wanted, init] of rows) {
    const { status } = await knock(place, token, init)
    must(status === wanted, `${what}: status ${status} in place of ${wanted}`)
  }
  return undefined
}

async function otherProject(place: Place): Promise<string | undefined> {
  const token = tokenOf(place)
  const other = await findOther(place)
  const texts = new Set<string>()
  for (const project of ['smoke-nothing-by-this-name', other ?? 'smoke-nothing-else']) {
    const { status, text } = await knock(place, token, {}, project)
    must(status === 403, `status ${status} in place of 403`)
    texts.add(text)
  }
  must(texts.size === 1, 'the two answers differ')
  return other === undefined
    ? 'with two that do not exist; set SMOKE_OTHER_PROJECT to one that does'
    : undefined
}

/** One that exists, where somebody at hand knows. */
async function findOther(place: Place): Promise<string | undefined> {
  if (place.otherProject !== undefined || place.operator === undefined) return place.otherProject
  const answer = await place.fetch('api/v1/projects', place.operator)
  const { items = [] } = (await answer.json()) as {
    readonly items?: readonly { readonly metadata: { readonly name: string } }[]
  }
  return items.map(({ metadata }) => metadata.name).find((name) => name !== place.project)
}
