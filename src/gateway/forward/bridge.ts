import { bridgeError } from '../../protocol/bridge/error.ts'
import { toLegacyRequest, toModernRequest } from '../../protocol/bridge/request.ts'
import { toLegacyResult, toModernResult } from '../../protocol/bridge/result.ts'
import { downgradeResult, isBehind } from '../../protocol/bridge/skew.ts'
import { resultMessage } from '../../protocol/json-rpc.ts'
import { rawAt, spanOf, stringAt, type Message } from '../../protocol/message.ts'
import { LATEST_LEGACY } from '../../protocol/revisions.ts'
import { splice, type Edit } from '../../protocol/splice.ts'
import { need, type Exchange, type OutcomeStatus, type Refusal } from '../exchange.ts'
import type { Caller } from './caller.ts'
import { passesLevel } from './log-level.ts'
import { freshParams, outgoingParams } from './outgoing-params.ts'
import type { Lease } from './pool.ts'
import type { UpstreamRequest } from './upstream.ts'

/** Where the eras of client and server meet: pure, from one exchange and one connection. */

/** @param fresh the headers of its parameters are made anew, whatever the client sent */
export function upstreamRequest(x: Exchange, lease: Lease, fresh = false): UpstreamRequest {
  const message = need(x.message, 'message')
  const route = need(x.route, 'route')
  return {
    method: message.method,
    message,
    edits: x.era === lease.info.era ? route.edits : [...route.edits, ...eraEdits(x, message)],
    name: NAMED.has(message.method) ? route.key : undefined,
    headers: fresh ? freshParams(x) : outgoingParams(x, lease),
    timeoutMs: route.server.spec.timeouts.callSeconds * 1000,
  }
}

/** Methods whose `Mcp-Name` header repeats a part of the body. */
const NAMED = new Set([
  'tools/call',
  'prompts/get',
  'resources/read',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
])

/** A client without a session has not said who it is. */
const UNKNOWN_CLIENT = '{"name":"unknown","version":"0"}'

function eraEdits(x: Exchange, message: Message): Edit[] {
  if (x.era === 'modern') return toLegacyRequest(message)
  return toModernRequest(message, {
    clientInfo: x.session?.clientInfo ?? UNKNOWN_CLIENT,
    capabilities: x.offer.modern,
    logLevel: x.session?.logLevel,
  })
}

/** A notification on its way to the client, or undefined when this client does not get it. */
export function eventFor(x: Caller, event: Message): Buffer | undefined {
  const message = need(x.message, 'message')
  if (event.method === 'notifications/progress') {
    const token = rawAt(message, 'params/_meta/progressToken')
    const at = spanOf(event, 'params/progressToken')
    return token === undefined || at === undefined ? undefined : splice(event.bytes, [{ ...at, text: token }])
  }
  if (event.method === 'notifications/message') {
    const wanted =
      x.era === 'legacy'
        ? x.session?.logLevel
        : stringAt(message, 'params/_meta/io.modelcontextprotocol.logLevel')
    // A legacy client that has set no level leaves it to the server; a modern one has to ask in each request.
    if (wanted === undefined) return x.era === 'legacy' ? event.bytes : undefined
    return passesLevel(stringAt(event, 'params/level'), wanted) ? event.bytes : undefined
  }
  return x.era === 'modern' || event.method.startsWith('notifications/') ? event.bytes : undefined
}

export interface Answer {
  readonly status: number
  readonly bytes: Buffer
  readonly outcome: OutcomeStatus
  readonly code: string | undefined
}

/** The response as this client may see it: its own id, its own era. */
export function answerFor(x: Caller, lease: Lease, reply: Message): Answer | Refusal {
  const message = need(x.message, 'message')
  const id = spanOf(reply, 'id')
  const own = need(message.idText, 'id')
  const edits: Edit[] = id === undefined ? [] : [{ ...id, text: own }]
  if (reply.shape === 'error') return errorFor(x, reply, edits)
  const resultType = rawAt(reply, 'result/resultType')
  if (resultType !== undefined && resultType !== '"complete"' && !mayGet(x, lease, resultType)) {
    return { code: 'upstream_invalid', hint: 'it gave a result of a kind that nobody asked for' }
  }
  if (x.era !== lease.info.era) {
    edits.push(
      ...(x.era === 'modern'
        ? toModernResult(reply, message.method, lease.info.serverInfo)
        : toLegacyResult(reply)),
    )
  }
  const revision = x.session?.protocolVersion
  if (revision !== undefined && isBehind(revision))
    edits.push(...downgradeResult(reply, message.method, revision))
  return {
    status: 200,
    bytes: splice(reply.bytes, edits),
    outcome: rawAt(reply, 'result/isError') === 'true' ? 'tool-error' : 'ok',
    code: undefined,
  }
}

/** What a result that is not complete may be, for this client. */
const mayGet = (x: Caller, lease: Lease, resultType: string): boolean =>
  x.era === 'modern' ? resultType !== '"task"' || x.offer.tasks : lease.info.era === 'legacy'

/** A tool that failed, told so that a model reads it; in the era of the client. */
export const toolError = (x: Caller, text: string): Answer => ({
  status: 200,
  bytes: toolBytes(x, text, ',"isError":true'),
  outcome: 'tool-error',
  code: undefined,
})

/** The result of a tool of ours. */
export const toolText = (x: Caller, text: string): Answer => ({
  status: 200,
  bytes: toolBytes(x, text, ''),
  outcome: 'ok',
  code: undefined,
})

function toolBytes(x: Caller, text: string, more: string): Buffer {
  const modern = x.era === 'modern' ? '"resultType":"complete",' : ''
  const content = JSON.stringify([{ type: 'text', text }])
  return Buffer.from(resultMessage(need(x.message?.idText, 'id'), `{${modern}"content":${content}${more}}`))
}

function errorFor(x: Caller, reply: Message, edits: Edit[]): Answer {
  const bridged = bridgeError(reply, {
    era: x.era,
    method: x.kind,
    opensUrls: x.offer.elicitUrl && x.session?.protocolVersion === LATEST_LEGACY,
    capabilities: x.offer.modern,
  })
  if ('text' in bridged) return toolError(x, bridged.text)
  edits.push(...bridged.edits)
  if (spanOf(reply, 'id') === undefined) edits.push(insertId(reply, need(x.message?.idText, 'id')))
  return {
    status: statusOf(x, bridged.code),
    bytes: splice(reply.bytes, edits),
    outcome: 'error',
    code: String(bridged.code),
  }
}

/** Only for modern clients does a status say more than "here is the answer" (MCP 2026-07-28, "Status codes"). */
function statusOf(x: Caller, code: number): number {
  if (x.era === 'legacy') return 200
  if (code === -32601) return 404
  return code === -32021 ? 400 : 200
}

/** Some clients wait for an answer with their id for as long as they can, so an error without one gets it. */
const insertId = (reply: Message, id: string): Edit => {
  const start = reply.bytes.indexOf('{') + 1
  return { start, end: start, text: `"id":${id},` }
}

/** The server does not know the resource, so another one may. */
export const isNotFound = (reply: Message): boolean => {
  const code = rawAt(reply, 'error/code')
  return code === '-32002' || code === '-32602'
}
