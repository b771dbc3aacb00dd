import { Pool } from 'undici'
import type { Daemon } from '../test/fixtures/daemon.ts'
import { CLIENT_INFO } from './client.ts'

/** Many sessions of legacy clients on one endpoint, opened quickly. */
export interface Crowd {
  /** Opens a session, of one principal or another, and returns its id. */
  open(index: number): Promise<Member>
  close(): Promise<void>
}

/** One legacy client. */
export interface Member {
  readonly headers: Readonly<Record<string, string>>
  /** @throws Error when the answer is not a result */
  ask(method: string, params: object): Promise<void>
  /** DELETE. */
  end(): Promise<void>
}

/** How many requests are on their way at once. */
const AT_ONCE = 32

/** Tokens of a project, each a principal of its own. */
export async function makeTokens(daemon: Daemon, project: string, count: number): Promise<string[]> {
  const tokens: string[] = []
  for (let i = 0; i < count; i += 1) {
    const metadata = { name: `one-${i}`, project }
    const manifest = { apiVersion: 'castellan/v1', kind: 'Token', metadata, spec: {} }
    const { secret } = (await daemon.call('POST', '/api/v1/tokens', manifest)) as { secret: string }
    tokens.push(secret)
  }
  return tokens
}

export function gather(daemon: Daemon, project: string, tokens: readonly string[]): Crowd {
  const pool = new Pool(daemon.origin, { connections: AT_ONCE })
  const path = `/projects/${project}/mcp`
  async function send(method: 'POST' | 'DELETE', headers: Record<string, string>, message?: object) {
    const body = message === undefined ? null : JSON.stringify({ jsonrpc: '2.0', ...message })
    const response = await pool.request({ method, path, headers, body })
    const text = await response.body.text()
    const bad =
      response.statusCode >= 400 || (message !== undefined && 'id' in message && !text.includes('"result"'))
    if (bad) throw new Error(`the endpoint answered ${response.statusCode}: ${text.slice(0, 500)}`)
    return response.headers
  }
  return {
    async open(index) {
      const base = {
        authorization: `Bearer ${tokens[index % tokens.length]}`,
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
      }
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: CLIENT_INFO }
      const opened = await send('POST', base, { id: 0, method: 'initialize', params })
      const headers = {
        ...base,
        'mcp-protocol-version': '2025-11-25',
        'mcp-session-id': String(opened['mcp-session-id']),
      }
      await send('POST', headers, { method: 'notifications/initialized' })
      let id = 0
      return {
        headers,
        ask: async (method, params) => void (await send('POST', headers, { id: (id += 1), method, params })),
        end: async () => void (await send('DELETE', headers)),
      }
    },
    close: () => pool.close(),
  }
}

/** Does it `count` times, some at once. */
export async function repeat(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next
      next += 1
      await work(index)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
