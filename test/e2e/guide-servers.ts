import { hash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { McpServer, type AuthInfo } from '@modelcontextprotocol/server'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'

/* The servers of docs/guides/credentials.md that the fixtures do not have: they want a key, or say nothing of OAuth. */

/** What a server that wants a key looks at. */
export interface KeyedOptions {
  readonly header: string
  /** Whose each credential is, as it stands in the header; asked for each request. */
  readonly keys: () => ReadonlyMap<string, string>
  /** Its only tool, which says whose credential it was called with. */
  readonly tool: string
}

export const startKeyed = ({ header, keys, tool }: KeyedOptions): Promise<ReferenceServer> =>
  startReferenceServer({
    create: () => createTool(tool),
    guard: async (request: IncomingMessage & { auth?: AuthInfo }, response) => {
      const token = String(request.headers[header.toLowerCase()])
      const owner = keys().get(token)
      if (owner === undefined) return (response.writeHead(401).end(), false)
      request.auth = { token, clientId: owner, scopes: [] }
      return true
    },
  })

function createTool(name: string): McpServer {
  const server = new McpServer({ name: 'keyed', version: '1.0.0' }, { capabilities: { tools: {} } })
  server.registerTool(name, {}, ({ http }) => ({
    content: [{ type: 'text', text: `called as ${http?.authInfo?.clientId}` }],
  }))
  return server
}

/** An authorization server that publishes nothing about itself, and takes one client only. */
export interface SilentIssuer {
  readonly origin: string
  /** What it has issued, as it stands in the header of a request. */
  readonly issued: ReadonlyMap<string, string>
  close(): void
}

export async function startSilentIssuer(clientId: string, clientSecret: string): Promise<SilentIssuer> {
  const issued = new Map<string, string>()
  const challenges = new Map<string, string>()
  const basic = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`

  function authorize({ searchParams: asked }: URL, response: ServerResponse): void {
    const code = randomUUID()
    challenges.set(code, asked.get('code_challenge') ?? '')
    const back = new URL(asked.get('redirect_uri') ?? '')
    back.search = String(new URLSearchParams({ code, state: asked.get('state') ?? '' }))
    response.writeHead(302, { location: back.href }).end()
  }

  async function token(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = new URLSearchParams(await text(request))
    const challenge = challenges.get(asked.get('code') ?? '')
    const isGood =
      request.headers.authorization === basic &&
      challenge === hash('sha256', asked.get('code_verifier') ?? '', 'base64url')
    if (!isGood) return void response.writeHead(400, JSON_TYPE).end('{"error":"invalid_grant"}')
    const access = randomUUID()
    issued.set(`Bearer ${access}`, 'the team')
    const answer = { access_token: access, token_type: 'Bearer', expires_in: 3600 }
    response.writeHead(200, JSON_TYPE).end(JSON.stringify(answer))
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://issuer')
    if (url.pathname === '/login') return authorize(url, response)
    if (url.pathname === '/token') return void token(request, response)
    response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    issued,
    close: () => void server.close(),
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }
