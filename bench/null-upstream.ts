import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'

/**
 * The cheapest MCP server that is still one: every answer but its id is made in advance.
 *
 * | path | offers |
 * |---|---|
 * | `/mcp` | the tool `echo`, at once |
 * | `/slow/mcp` | the same after 1 ms |
 * | `/many/<count>/<any>/mcp` | `count` tools, so that one process plays any number of servers |
 *
 * Program: `null-upstream.ts [--era legacy|modern] [--port N]`; prints its origin on one line.
 */
const { values } = parseArgs({
  options: { era: { type: 'string', default: 'legacy' }, port: { type: 'string', default: '0' } },
})
const modern = values.era === 'modern'

const fields = modern ? '"resultType":"complete",' : ''
const cache = modern ? '"ttlMs":300000,"cacheScope":"public",' : ''
const CAPABILITIES = '"capabilities":{"tools":{"listChanged":true}}'
const INFO = '{"name":"null","version":"1.0.0"}'
const CALLED = `{${fields}"content":[{"type":"text","text":"ok"}]}`
const OPENED = `{"protocolVersion":"2025-11-25",${CAPABILITIES},"serverInfo":${INFO}}`
const DISCOVERED = `{${fields}${cache}"supportedVersions":["2026-07-28"],${CAPABILITIES},"_meta":{"io.modelcontextprotocol/serverInfo":${INFO}}}`
const SESSION = modern ? {} : { 'mcp-session-id': 'null-session' }
const lists = new Map<number, string>()

function list(count: number): string {
  const known = lists.get(count)
  if (known !== undefined) return known
  const property = (name: string) =>
    `"${name}":{"type":"string","description":"The ${name} that is looked for"}`
  const schema = `{"type":"object","properties":{${['query', 'cursor', 'owner', 'label'].map(property).join(',')}}}`
  const names = count === 1 ? ['echo'] : Array.from({ length: count }, (_, i) => `tool_${i}`)
  const tools = names.map((name) => `{"name":"${name}","description":"Does nothing","inputSchema":${schema}}`)
  const made = `{${fields}${cache}"tools":[${tools.join(',')}]}`
  lists.set(count, made)
  return made
}

function answer(res: ServerResponse, id: unknown, result: string): void {
  const body = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`
  res.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...SESSION,
  })
  res.end(body)
}

function refuse(res: ServerResponse, status: number, id: unknown, code: number): void {
  const data = { supported: ['2026-07-28'], requested: '' }
  res.writeHead(status, { 'content-type': 'application/json' })
  res.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message: 'not here', data } }))
}

function handle(url: string, text: string, res: ServerResponse): void {
  const { id, method } = JSON.parse(text) as { id?: number; method?: string }
  if (id === undefined) return void res.writeHead(202).end()
  if (method === 'tools/call') {
    if (url.startsWith('/slow/')) setTimeout(answer, 1, res, id, CALLED)
    else answer(res, id, CALLED)
  } else if (method === 'tools/list') answer(res, id, list(Number(/^\/many\/(\d+)\//.exec(url)?.[1] ?? 1)))
  else if (method === 'initialize')
    if (modern) refuse(res, 400, id, -32_022)
    else answer(res, id, OPENED)
  else if (method === 'server/discover')
    if (modern) answer(res, id, DISCOVERED)
    else refuse(res, 200, id, -32_601)
  else if (method === 'ping') answer(res, id, '{}')
  else refuse(res, modern ? 404 : 200, id, -32_601)
}

const http = createServer({ keepAliveTimeout: 600_000 }, (req: IncomingMessage, res) => {
  if (req.method !== 'POST') {
    req.resume()
    res.writeHead(req.method === 'DELETE' ? 200 : 405).end()
    return
  }
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => handle(req.url ?? '/', Buffer.concat(chunks).toString(), res))
})
http.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(http.address() as AddressInfo).port}`)
})
