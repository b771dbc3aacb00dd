import type { IncomingMessage } from 'node:http'
import { CliFailure, knownCode, usage } from './failure.ts'
import { type HttpAnswer, noDaemon, openHttp, readText, sendHttp } from './http-request.ts'
import type { Target } from './target.ts'

/** Parameters of the query; absent ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly query?: Query
  readonly body?: { readonly type: string; readonly text: string }
  /**
   * Of a POST: it is done once, however often it has to be sent until an answer arrives (an Idempotency-Key, which
   * creating and applying have a memory for).
   */
  readonly once?: boolean
  /** ETag of what the change was made from: if it has changed since, it stays as it is (`changed_meanwhile`). */
  readonly ifMatch?: string | undefined
  /** Nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined
}

/** How long a request may stay silent, by what it does: an `apply` of thousands takes its time. */
const TIMEOUT_MS = { GET: 30_000, POST: 120_000, PUT: 120_000, PATCH: 120_000, DELETE: 60_000 } as const

/**
 * Asks the control API.
 *
 * @param path segments below `/api/v1/`; each is encoded
 * @returns the body of the answer, as text
 * @throws CliFailure what the daemon said, or that none answers
 */
export async function callApi(
  target: Target,
  path: readonly string[],
  request: ApiRequest = {},
): Promise<string> {
  return (await askApi(target, path, request)).body
}

/** One object as YAML, with its ETag; see `callApi`. */
export async function readObject(
  target: Target,
  path: readonly string[],
  query: Query,
): Promise<{ readonly yaml: string; readonly etag: string | undefined }> {
  const { body, etag } = await askApi(target, path, { query: { ...query, output: 'yaml' } })
  return { yaml: body, etag }
}

/** A part of a list. */
export interface ApiPage {
  readonly body: string
  /** `continue` of the page that follows; undefined: this is the last one. */
  readonly next: string | undefined
}

/** One page of a list; see `callApi`. */
export async function callApiPage(target: Target, path: readonly string[], query: Query): Promise<ApiPage> {
  const { body, link } = await askApi(target, path, { query })
  const address = /<([^>]*)>;\s*rel="?next"?/.exec(link ?? '')?.[1]
  const next = address === undefined ? undefined : new URL(address, target.url).searchParams.get('continue')
  return { body, next: next ?? undefined }
}

async function askApi(target: Target, path: readonly string[], request: ApiRequest): Promise<HttpAnswer> {
  const method = request.method ?? 'GET'
  const headers = headersOf(target, request.body)
  if (request.ifMatch !== undefined) headers['if-match'] = request.ifMatch
  if (request.once === true) headers['idempotency-key'] = crypto.randomUUID()
  const answer = await sendHttp(addressOf(await reach(target), path, request.query), {
    method,
    headers,
    body: request.body?.text,
    signal: request.signal,
    timeoutMs: TIMEOUT_MS[method],
  })
  if (answer.status >= 200 && answer.status < 300) return answer
  throw refusalOf(answer, target)
}

/** The same, for an answer that is printed as it comes. The caller reads the stream to its end or destroys it. */
export async function streamApi(
  target: Target,
  path: readonly string[],
  query: Query,
  {
    lastEventId,
    silenceMs = 0,
  }: { readonly lastEventId?: string | undefined; readonly silenceMs?: number } = {},
): Promise<IncomingMessage> {
  const url = addressOf(await reach(target), path, query)
  const headers = headersOf(target, undefined)
  if (lastEventId !== undefined) headers['last-event-id'] = lastEventId
  const message = await openHttp(url, { method: 'GET', headers, timeoutMs: silenceMs }).catch(
    (error: unknown) => {
      throw noDaemon(url, error)
    },
  )
  const status = message.statusCode ?? 0
  if (status >= 200 && status < 300) return message
  const type = message.headers['content-type'] ?? ''
  throw refusalOf({ status, type, body: await readText(message) }, target)
}

/** A manifest as the body of a request. */
export const jsonBody = (value: unknown): { readonly type: string; readonly text: string } => ({
  type: 'application/json',
  text: JSON.stringify(value),
})

/** Loaded for those who ask for it. */
const reach = async (target: Target): Promise<Target> =>
  target.direct === true ? (await import('./behind-edge.ts')).behindEdge(target) : target

function addressOf(target: Target, path: readonly string[], query: Query = {}): URL {
  // An address is put in order before it is sent: `..` would be another one.
  if (path.some((segment) => segment === '' || segment === '.' || segment === '..'))
    throw usage('nothing can have this name', 'castellan get with that kind lists the names')
  const base = target.url.pathname.replace(/\/+$/, '')
  const url = new URL(`${base}/api/v1/${path.map(encodeURIComponent).join('/')}`, target.url)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value))
  }
  return url
}

function headersOf(target: Target, body: ApiRequest['body']): Record<string, string> {
  return {
    ...(target.credential === undefined ? {} : { authorization: `Bearer ${target.credential.reveal()}` }),
    ...(target.as === undefined ? {} : { 'x-castellan-as': target.as }),
    ...(body === undefined
      ? {}
      : { 'content-type': body.type, 'content-length': String(Buffer.byteLength(body.text)) }),
  }
}

function refusalOf(answer: HttpAnswer, { signIn }: Target): CliFailure {
  const problem = problemIn(answer)
  if (problem === undefined) {
    return new CliFailure({
      code: 'unavailable',
      message: `this address answered with status ${answer.status}, and not as a Castellan daemon does`,
      hint: 'check CASTELLAN_URL, or the address of the context: castellan config get-contexts',
    })
  }
  if (answer.status === 401 && signIn !== undefined)
    return new CliFailure({
      code: 'unauthenticated',
      message: 'you are not signed in there, or no longer',
      hint: signIn,
    })
  const hint = problem.hint ?? (answer.status === 401 ? SIGN_IN : undefined)
  return new CliFailure({
    code: knownCode(problem.code),
    message: String(problem.title),
    ...(typeof hint === 'string' ? { hint } : {}),
    problems: Array.isArray(problem.problems) ? problem.problems.map(String) : [],
  })
}

const SIGN_IN =
  'run this as the user who started the daemon, or set CASTELLAN_TOKEN; the credential of a home is sent to its own daemon only'

/** Problem details (RFC 9457), as far as they are looked at here. */
interface Problem {
  readonly title?: unknown
  readonly code?: unknown
  readonly hint?: unknown
  readonly problems?: unknown
}

function problemIn({ type, body }: HttpAnswer): Problem | undefined {
  if (!type.startsWith('application/problem+json')) return undefined
  try {
    const problem = JSON.parse(body) as Problem
    return typeof problem.title === 'string' ? problem : undefined
  } catch {
    // Not JSON after all: not a daemon of ours.
    return undefined
  }
}
