import type { IncomingMessage } from 'node:http'
import type { SecretValue } from '../../lib/secret-value.ts'
import { createSseParser } from '../../protocol/sse.ts'
import { openHttp, transportReason } from '../http-request.ts'

/** Exit statuses of `test mcp`: 1 the endpoint cannot be reached or refuses us, 2 it breaks the protocol. */
export class McpFailure extends Error {
  override readonly name = 'McpFailure'
  readonly exit: 1 | 2
  readonly hint: string

  constructor(exit: 1 | 2, message: string, hint: string) {
    super(message)
    this.exit = exit
    this.hint = hint
  }
}

export interface Endpoint {
  readonly url: URL
  readonly token: SecretValue | undefined
  /** For one request, from its first byte to the last of its answer. */
  readonly timeoutMs: number
}

export interface Reply {
  readonly status: number
  readonly sessionId: string | undefined
  /** The response to our request; absent for a notification, and where the answer holds none. */
  readonly message: JsonRpcResponse | undefined
}

export interface JsonRpcResponse {
  readonly id?: unknown
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly code?: unknown; readonly message?: unknown; readonly data?: unknown }
}

const MAX_BYTES = 32 * 1024 * 1024

/**
 * Posts one JSON-RPC message (Streamable HTTP) and reads the answer, be it JSON or a stream.
 *
 * @param message its `id` is the one that is waited for
 * @throws McpFailure with exit 1 when there is no answer, or it is 401, 403 or 5xx
 */
export async function postMessage(
  endpoint: Endpoint,
  message: { readonly id?: number; readonly method: string; readonly params?: unknown },
  headers: Readonly<Record<string, string>>,
): Promise<Reply> {
  const signal = AbortSignal.timeout(endpoint.timeoutMs)
  try {
    const answer = await openHttp(endpoint.url, {
      method: 'POST',
      headers: {
        ...headers,
        ...bearer(endpoint.token),
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      timeoutMs: 0,
      signal,
    })
    const status = answer.statusCode ?? 0
    refuseStatus(status)
    return {
      status,
      sessionId: headerOf(answer, 'mcp-session-id'),
      message: message.id === undefined ? drain(answer) : await readResponse(answer, message.id),
    }
  } catch (error) {
    if (error instanceof McpFailure) throw error
    throw new McpFailure(
      1,
      signal.aborted
        ? `no answer to ${message.method} within ${endpoint.timeoutMs / 1000} s`
        : `no connection: ${transportReason(error)}`,
      signal.aborted
        ? 'give it longer with --timeout'
        : 'check the address, and that the daemon runs: castellan status',
    )
  }
}

/** Ends a legacy session. Best effort: the endpoint may not offer it, and the test is over. */
export async function endSession(
  endpoint: Endpoint,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  try {
    const answer = await openHttp(endpoint.url, {
      method: 'DELETE',
      headers: { ...headers, ...bearer(endpoint.token) },
      timeoutMs: 2000,
    })
    answer.resume()
  } catch {
    // The session will expire.
  }
}

const bearer = (token: SecretValue | undefined): Record<string, string> =>
  token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }

function refuseStatus(status: number): void {
  if (status === 401)
    throw new McpFailure(
      1,
      'the endpoint wants a valid token (401)',
      'set CASTELLAN_TOKEN; make one with: castellan create token NAME -p PROJECT',
    )
  if (status === 403)
    throw new McpFailure(
      1,
      'the endpoint refuses this token here (403)',
      'use a token of the project in the address',
    )
  if (status >= 500 || status === 429)
    throw new McpFailure(
      1,
      `the endpoint cannot serve now (${status})`,
      'look at: castellan status, castellan logs',
    )
}

function headerOf(answer: IncomingMessage, name: string): string | undefined {
  const value = answer.headers[name]
  return typeof value === 'string' ? value : undefined
}

function drain(answer: IncomingMessage): undefined {
  answer.resume()
}

async function readResponse(answer: IncomingMessage, id: number): Promise<JsonRpcResponse | undefined> {
  if (headerOf(answer, 'content-type')?.startsWith('text/event-stream') === true)
    return await readStream(answer, id)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  return parseResponse(Buffer.concat(chunks))
}

async function readStream(answer: IncomingMessage, id: number): Promise<JsonRpcResponse | undefined> {
  const responses: JsonRpcResponse[] = []
  const parser = createSseParser(MAX_BYTES, ({ data }) => {
    const response = parseResponse(data)
    if (response?.id === id) responses.push(response)
  })
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (!parser.feed(chunk)) throw tooLarge()
    if (responses.length > 0) break
  }
  return responses[0]
}

const tooLarge = (): McpFailure =>
  new McpFailure(2, 'an answer is larger than 32 MiB', 'the server should page its lists')

function parseResponse(bytes: Buffer): JsonRpcResponse | undefined {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as JsonRpcResponse & { jsonrpc?: unknown }
    return value?.jsonrpc === '2.0' && (value.result !== undefined || value.error !== undefined)
      ? value
      : undefined
  } catch {
    // HTML of a proxy, most often. The caller reports that there is no response.
    return undefined
  }
}
