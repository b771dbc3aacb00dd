import type { IncomingMessage, RequestOptions } from 'node:http'
import { unavailable } from './failure.ts'

// An `import` of this module reads every export of it, `WebSocket` among them, which loads the whole of the built-in
// fetch: 20 ms, a quarter of what a `castellan get` takes.
const { request: requestHttp } = process.getBuiltinModule('node:http')

export interface HttpRequest {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Buffer | undefined
  /** Silence after which the request is given up; 0 waits for ever (streams). */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Called when the last byte was handed to the system. */
  readonly onSent?: () => void
}

export interface HttpAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
  /** Its Link header. */
  readonly link?: string | undefined
  readonly etag?: string | undefined
}

/** What a transport error means in words; codes that are not here are shown as they are. */
// oxfmt-ignore
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET:   'the connection was cut',
  ENOTFOUND:    'there is no such host',
  EAI_AGAIN:    'the name of the host cannot be looked up now',
  ETIMEDOUT:    'it did not answer in time',
  EPROTO:       'it does not speak TLS; is it http rather than https?',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; is it http rather than https?',
  HPE_INVALID_CONSTANT: 'it does not speak HTTP; is it https rather than http?',
}

export const transportReason = (error: unknown): string => {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown reason'
  return (
    REASONS[code] ?? (/SSL|TLS|CERT|SELF_SIGNED/.test(code) ? `its certificate is refused (${code})` : code)
  )
}

/**
 * One request over http or https; resolves when the headers are there. `node:http`, since the built-in `fetch` costs
 * a third of the time that a whole `castellan get` may take.
 *
 * @throws Error of the transport (with `code`), or of the signal
 */
export async function openHttp(url: URL, request: HttpRequest): Promise<IncomingMessage> {
  const send = url.protocol === 'https:' ? (await import('node:https')).request : requestHttp
  const options: RequestOptions = { method: request.method, headers: { ...request.headers }, agent: false }
  if (request.signal !== undefined) options.signal = request.signal
  return new Promise((resolve, reject) => {
    const outgoing = send(url, options, resolve)
    outgoing.on('error', reject)
    if (request.onSent !== undefined) outgoing.on('finish', request.onSent)
    if (request.timeoutMs > 0) {
      outgoing.setTimeout(request.timeoutMs, () =>
        outgoing.destroy(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' })),
      )
    }
    outgoing.end(request.body)
  })
}

const IDEMPOTENT = new Set(['GET', 'PUT', 'DELETE'])
const MAX_ATTEMPTS = 5
/** The connection was there, and broke: the daemon may have been started again. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/**
 * A request and its whole answer. One that may be repeated (by its method, or since it has an Idempotency-Key) is tried
 * again when it is refused with 429 or 503 or its connection breaks, at the pace of `Retry-After` (RFC 9110 §10.2.3) or
 * with doubling pauses; five attempts in all. Where nothing has answered at all, nothing is waited for.
 *
 * @throws CliFailure when nothing answers there
 */
export async function sendHttp(url: URL, request: HttpRequest): Promise<HttpAnswer> {
  const mayRepeat = IDEMPOTENT.has(request.method) || request.headers['idempotency-key'] !== undefined
  let reached = false
  for (let attempt = 1; ; attempt++) {
    const isLast = !mayRepeat || attempt === MAX_ATTEMPTS
    const answer = await attemptHttp(url, request).catch((error: unknown) => {
      reached ||= BROKEN.has((error as NodeJS.ErrnoException).code ?? '')
      if (isLast || !reached) throw noDaemon(url, error)
      return undefined
    })
    reached ||= answer !== undefined
    if (answer !== undefined && (isLast || (answer.status !== 429 && answer.status !== 503))) return answer
    const { setTimeout: sleep } = await import('node:timers/promises')
    await sleep(answer?.retryAfterMs ?? 100 * 2 ** attempt)
  }
}

interface Attempt extends HttpAnswer {
  readonly retryAfterMs: number | undefined
}

async function attemptHttp(url: URL, request: HttpRequest): Promise<Attempt> {
  const message = await openHttp(url, request)
  const { 'content-type': type = '', link, etag, 'retry-after': retryAfter } = message.headers
  return {
    status: message.statusCode ?? 0,
    type,
    body: await readText(message),
    link: Array.isArray(link) ? link[0] : link,
    etag,
    retryAfterMs: parseRetryAfter(retryAfter),
  }
}

/** What most servers do with a request that is not TLS on a port that is for TLS. */
const wasCut = (url: URL, error: unknown): boolean =>
  url.protocol === 'http:' && (error as NodeJS.ErrnoException).code === 'ECONNRESET'

export const noDaemon = (url: URL, error: unknown): Error =>
  unavailable(
    `no daemon answers at ${url.origin}: ${transportReason(error)}${wasCut(url, error) ? '; is it https rather than http?' : ''}`,
    'start one with: castellan up; or ask another: castellan config get-contexts lists those that are known',
    error,
  )

/** Seconds only, at most 30: nobody waits longer in front of a terminal. */
function parseRetryAfter(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Math.min(Number(header), 30) * 1000 : undefined
}

/** The whole body. (`node:stream/consumers` does this too, and loads the web streams with it.) */
export async function readText(message: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of message.setEncoding('utf8')) text += String(chunk)
  return text
}
