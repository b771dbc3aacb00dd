import { hash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

export const digestOf = (credential: string): string => hash('sha256', credential, 'hex')

/** A modern server whose tool `who` answers with the digest of the credential that the call came with. */
export interface KeyedServer {
  readonly url: string
  close(): Promise<void>
}

export async function startKeyedServer(): Promise<KeyedServer> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { id, method } = (await json(request)) as { id?: unknown; method: string }
    const text = digestOf(request.headers.authorization ?? 'nothing')
    const results: Readonly<Record<string, object>> = {
      'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
      'tools/list': { tools: [{ name: 'who', inputSchema: { type: 'object' } }] },
      'tools/call': { content: [{ type: 'text', text }] },
    }
    const result = Object.assign({ resultType: 'complete', ttlMs: 0, cacheScope: 'private' }, results[method])
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  }
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
