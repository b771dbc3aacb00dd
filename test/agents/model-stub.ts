import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PROVIDERS, sendJson } from './providers.ts'
import { decide } from './script.ts'

export interface ModelStub {
  readonly url: string
  /** Tools that were offered with the latest request. */
  offered(): readonly string[]
  close(): Promise<void>
}

/**
 * Plays the model provider for Claude Code, Codex and Gemini CLI on loopback, so that the real client makes real MCP
 * calls without a model, an account or a network. It shows nothing of how well a model would choose.
 */
export async function startModelStub(
  hooks: Readonly<Record<string, () => Promise<void>>> = {},
): Promise<ModelStub> {
  const ran = new Map<string, Promise<void>>()
  let offered: readonly string[] = []
  let count = 0

  /** A prompt comes again with every turn, and a client may repeat a request: each place in it runs once. */
  const runHook = (name: string, place: string): Promise<void> => {
    const running = ran.get(place) ?? hooks[name]?.() ?? Promise.reject(new Error('there is no such hook'))
    ran.set(place, running)
    return running
  }

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url ?? '/'
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk as Buffer)
    if (req.method !== 'POST') return sendJson(res, { object: 'list', data: [], models: [], has_more: false })
    if (/count_?tokens/i.test(path)) return sendJson(res, { input_tokens: 1, totalTokens: 1 })
    const provider = PROVIDERS.find((one) => one.owns(path))
    if (provider === undefined) return sendJson(res, { error: { message: 'no such route' } }, 404)
    const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>
    const { turns, tools } = provider.read(body)
    if (tools.length > 0) offered = tools
    count += 1
    provider.write(res, await decide(turns, tools, runHook), { body, path, count })
  }

  const http = createServer((req, res) => {
    serve(req, res).catch((error: unknown) => {
      if (res.headersSent) res.destroy()
      else sendJson(res, { error: { message: String(error) } }, 500)
    })
  })
  await new Promise<void>((resolve) => {
    http.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    offered: () => offered,
    async close() {
      const closed = new Promise((resolve) => http.close(resolve))
      http.closeAllConnections()
      await closed
    },
  }
}
