import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { nullAnswers, type NullRequest } from './null-answers.ts'

/**
 * The cheapest MCP server that is still one: every answer but its id is made in advance.
 *
 * | path | offers |
 * |---|---|
 * | `/mcp` | the tool `echo`, at once |
 * | `/slow/mcp` | the same after 1 ms |
 * | `/asking/mcp` | the same after its client has answered a question |
 * | `/many/<count>/<any>/mcp` | `count` tools, so that one process plays any number of servers |
 *
 * Program: `null-upstream.ts [--era legacy|modern] [--port N]`; prints its origin on one line.
 */
const { values } = parseArgs({
  options: { era: { type: 'string', default: 'legacy' }, port: { type: 'string', default: '0' } },
})
const modern = values.era === 'modern'
const answers = nullAnswers(modern ? 'modern' : 'legacy')
const SESSION = modern ? {} : { 'mcp-session-id': 'null-session' }
const QUESTION =
  '"method":"elicitation/create","params":{"message":"Sure?","requestedSchema":{"type":"object","properties":{"sure":{"type":"boolean"}}}}'
const ASKED = `{"resultType":"input_required","inputRequests":{"sure":{${QUESTION}}},"requestState":"asked"}`

/** Legacy: calls that wait for their client's answer, by the id of the question. */
const waiting = new Map<NullRequest['id'], () => void>()
let questions = 0

function answer(res: ServerResponse, id: NullRequest['id'], result: string): void {
  const body = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`
  res.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...SESSION,
  })
  res.end(body)
}

function refuse(res: ServerResponse, id: NullRequest['id'], code: number): void {
  const data = { supported: ['2026-07-28'], requested: '' }
  const status = !modern ? 200 : code === -32_601 ? 404 : 400
  res.writeHead(status, { 'content-type': 'application/json' })
  res.end(JSON.stringify({ jsonrpc: '2.0', id, error: { code, message: 'not here', data } }))
}

/** Asks first: in a result, or on the stream of the call. */
function askFirst(res: ServerResponse, { id, params }: NullRequest, result: string): void {
  if (modern) return answer(res, id, params?.inputResponses === undefined ? ASKED : result)
  const question = (questions += 1)
  const event = (message: string) => `event: message\ndata: ${message}\n\n`
  res.writeHead(200, { 'content-type': 'text/event-stream', ...SESSION })
  res.write(event(`{"jsonrpc":"2.0","id":${question},${QUESTION}}`))
  const finish = () => res.end(event(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`))
  waiting.set(question, finish)
  res.once('close', () => waiting.delete(question))
}

function handle(url: string, text: string, res: ServerResponse): void {
  const message = JSON.parse(text) as NullRequest
  const { id, method } = message
  if (id === undefined || method === undefined) {
    res.writeHead(202).end()
    if (id !== undefined) waiting.get(id)?.()
    return
  }
  const said = answers(message, Number(/^\/many\/(\d+)\//.exec(url)?.[1] ?? 1))
  if (!('result' in said)) return refuse(res, id, said.code)
  if (method === 'tools/call' && url.startsWith('/slow/')) setTimeout(answer, 1, res, id, said.result)
  else if (method === 'tools/call' && url.startsWith('/asking/')) askFirst(res, message, said.result)
  else answer(res, id, said.result)
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
