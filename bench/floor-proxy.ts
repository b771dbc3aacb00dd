import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pool, type Dispatcher } from 'undici'
import { parseArgs } from 'node:util'

/**
 * The floor: what any gateway on this stack has to pay. Parses the body, takes the prefix off the tool's name,
 * serialises it again and hands the answer's bytes on as they come; no authentication, no rules, no record.
 *
 * Program: `floor-proxy.ts --upstream ORIGIN [--port N]`; prints its origin on one line.
 */
const { values } = parseArgs({
  options: { upstream: { type: 'string' }, port: { type: 'string', default: '0' } },
})
if (values.upstream === undefined) throw new TypeError('--upstream ORIGIN is needed')
const pool = new Pool(values.upstream, { connections: 64, pipelining: 1, keepAliveTimeout: 600_000 })
const PREFIX = 'null__'
const CARRIED = ['mcp-session-id', 'mcp-protocol-version', 'mcp-method']
const RETURNED = ['content-type', 'content-length', 'mcp-session-id']

function forward(req: IncomingMessage, res: ServerResponse, text: string): void {
  const message = JSON.parse(text) as { params?: { name?: string } }
  const name = message.params?.name
  const headers: Record<string, string> = {
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
  }
  for (const header of CARRIED) {
    const value = req.headers[header]
    if (typeof value === 'string') headers[header] = value
  }
  if (message.params !== undefined && name?.startsWith(PREFIX) === true) {
    message.params.name = name.slice(PREFIX.length)
    headers['mcp-name'] = message.params.name
  }
  const body = JSON.stringify(message)
  pool.dispatch({ method: 'POST', path: req.url ?? '/', headers, body }, answerTo(res))
}

const answerTo = (res: ServerResponse): Dispatcher.DispatchHandler => ({
  onRequestStart() {},
  onResponseStart(_, status, headers) {
    const kept: Record<string, string | string[]> = {}
    for (const header of RETURNED) {
      const value = headers[header]
      if (value !== undefined) kept[header] = value
    }
    res.writeHead(status, kept)
  },
  onResponseData(_, chunk) {
    res.write(chunk)
  },
  onResponseEnd() {
    res.end()
  },
  onResponseError() {
    if (!res.headersSent) res.writeHead(502)
    res.end()
  },
})

const http = createServer({ keepAliveTimeout: 600_000 }, (req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => forward(req, res, Buffer.concat(chunks).toString()))
})
http.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(http.address() as AddressInfo).port}`)
})
