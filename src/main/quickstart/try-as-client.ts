import { CliFailure } from '../../cli/failure.ts'
import { connectMcp, type McpClient } from '../../cli/mcp/client.ts'
import { McpFailure } from '../../cli/mcp/exchange.ts'
import type { SecretValue } from '../../lib/secret-value.ts'

export interface Tried {
  /** Names. */
  readonly tools: readonly string[]
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
  /** The text of the result. */
  readonly result: string
}

const TOOL = 'everything__echo'
const ARGUMENTS = { message: 'Hello from behind the gate' }
/** The first start of the servers reads their packages from a cold disk. */
const TIMEOUT_MS = 60_000

/**
 * Connects, lists the tools and calls one, as any MCP client would.
 *
 * @throws CliFailure when the endpoint does not let it
 */
export async function tryAsClient(endpoint: URL, token: SecretValue): Promise<Tried> {
  try {
    const client = await connectMcp({ url: endpoint, token, timeoutMs: TIMEOUT_MS })
    try {
      const tools = await listTools(client)
      const { content } = await client.request('tools/call', { name: TOOL, arguments: ARGUMENTS })
      const [first] = content as readonly { readonly text?: string }[]
      return { tools, tool: TOOL, arguments: ARGUMENTS, result: first?.text ?? 'a result without text' }
    } finally {
      await client.close()
    }
  } catch (error) {
    if (!(error instanceof McpFailure)) throw error
    throw new CliFailure({ code: 'upstream_invalid', message: error.message, hint: error.hint }, error)
  }
}

async function listTools(client: McpClient): Promise<readonly string[]> {
  const names: string[] = []
  let cursor: unknown
  do {
    const page = await client.request('tools/list', cursor === undefined ? {} : { cursor })
    names.push(...(page['tools'] as readonly { readonly name: string }[]).map(({ name }) => name))
    cursor = page['nextCursor']
  } while (cursor !== undefined)
  return names
}
