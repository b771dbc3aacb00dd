import { readOffer } from '../../protocol/client-offer.ts'
import { rawAt, readMessage, type MessageProblem } from '../../protocol/message.ts'
import { MAX_DEPTH } from '../../protocol/json-scan.ts'
import { batchProblem, readBatch } from '../classify/batch.ts'
import { classify } from '../classify/classify.ts'
import { sentTwice } from '../classify/sent-twice.ts'
import { need, type Exchange, type Refusal } from '../exchange.ts'
import type { HostCheck } from './allowed-hosts.ts'
import { MAX_BODY_BYTES, readBody } from './read-body.ts'

/** Host, Origin and the headers that every request must have; nothing is read or looked up before this. */
export function createAdmit(hosts: HostCheck): (x: Exchange) => Refusal | undefined {
  return ({ request, target }) => {
    const { headers, method } = request
    if (!hosts.hostAllowed(headers.host) || !hosts.originAllowed(headers.origin))
      return { code: 'origin_refused' }
    if (method !== 'POST') return undefined
    const type = headers['content-type'] ?? ''
    if (!/^application\/json(?:\s*;|\s*$)/i.test(type))
      return { code: 'unsupported_media', hint: 'send application/json' }
    // What is posted over HTTP+SSE is answered elsewhere.
    return target.sse !== undefined || accepts(headers.accept) ? undefined : { code: 'not_acceptable' }
  }
}

/** Both must be acceptable, since the server picks (MCP, Streamable HTTP). No header accepts everything (RFC 9110). */
function accepts(accept: string | undefined): boolean {
  if (accept === undefined || accept.includes('*/*')) return true
  return accept.includes('application/json') && accept.includes('text/event-stream')
}

/** Reads, scans and parses the body of a POST. */
export function receive(x: Exchange): Promise<Refusal | undefined> | undefined {
  if (x.request.method !== 'POST') return undefined
  return readBody(x.request, MAX_BODY_BYTES, (body) => {
    if (body === 'too-large') return { code: 'too_large', hint: `at most ${MAX_BODY_BYTES} bytes` }
    if (body === 'aborted') return { code: 'not_json', detail: 'the client went away' }
    const message = readMessage(body, 'client')
    if (message.ok) x.message = message.value
    else if (message.error === 'batch') return receiveBatch(x, body)
    else return PROBLEMS[message.error]
    return undefined
  })
}

function receiveBatch(x: Exchange, body: Buffer): Refusal | undefined {
  const read = readBatch(body)
  if ('code' in read) return read
  x.batch = read
  return undefined
}

const PROBLEMS = {
  encoding: { code: 'not_json', hint: 'it is not UTF-8' },
  syntax: { code: 'not_json' },
  depth: { code: 'not_jsonrpc', hint: `it is nested deeper than ${MAX_DEPTH} levels` },
  'duplicate-key': { code: 'not_jsonrpc', hint: 'an object in it has the same key twice' },
  envelope: { code: 'not_jsonrpc' },
} as const satisfies Record<Exclude<MessageProblem, 'batch'>, Refusal>

/** What kind of request it is, and of which era. */
export function classifyExchange(x: Exchange): Refusal | undefined {
  if (x.request.method === 'GET' || x.request.method === 'DELETE') {
    x.kind = x.request.method === 'DELETE' ? 'end' : x.target.sse === undefined ? 'stream' : 'connect'
    return undefined
  }
  if (x.batch !== undefined) {
    x.kind = 'batch'
    return batchProblem(x.batch, x.request.headers)
  }
  const classified = classify(need(x.message, 'message'), x.request.headers)
  if ('refusal' in classified) return classified.refusal
  if (classified.era === 'modern' && sentTwice(x.request, 'mcp-name'))
    return { code: 'header_mismatch', hint: 'Mcp-Name was sent twice' }
  x.era = classified.era
  x.kind = classified.kind
  if (x.era === 'modern' && x.message?.shape === 'request')
    x.offer = readOffer(rawAt(x.message, 'params/_meta/io.modelcontextprotocol.clientCapabilities') ?? '{}')
  return undefined
}
