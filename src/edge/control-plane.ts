import type { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { createSseParser } from '../protocol/sse.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Bearer } from './bearer.ts'
import { readEdgeProject, type EdgeProject } from './project.ts'
import { readStanding, type Standing } from './standing.ts'

/** Why there is no answer. `away`: nobody answers, or not in time. `strange`: whoever answers is no control plane of a kind that is known here. */
export type Failure = 'away' | 'strange'

/** The control plane, as an edge asks it: nothing is asked but for a caller, with the caller's own credential. */
export interface ControlPlane {
  /** Without a trailing slash. */
  readonly url: string
  introspect(bearer: Bearer, project: string | undefined): Promise<Result<Standing, Failure>>
  /** @returns `refused`: the caller may use nothing of it, or it is not there */
  project(bearer: Bearer, name: string): Promise<Result<EdgeProject | 'refused', Failure>>
  /** What `introspect` says, as it changes. */
  watch(bearer: Bearer, project: string | undefined, ears: WatchEars): { close(): void }
  /** Whether it answers at all; asks for nothing. */
  isThere(): Promise<boolean>
  /** A request as it came, and the answer as it comes; rejects when there is none. */
  pass(request: Passed): Promise<Dispatcher.ResponseData>
  close(): Promise<void>
}

export interface WatchEars {
  /** Anything was heard: it is still there. */
  alive(): void
  standing(standing: Standing): void
  /** Called once, last, but not after `close`. */
  over(): void
}

export interface Passed {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: Readable | null
  readonly signal: AbortSignal
}

/** From asking to the whole answer; callers wait for it. */
const ANSWER_MS = 5000
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
const MAX_EVENT_BYTES = 256 * 1024
const MAX_CONNECTIONS = 64

/** @param url `http:` or `https:`; its path, if it has one, is put before every address */
export function createControlPlane(url: URL): ControlPlane {
  const base = url.pathname.replace(/\/+$/, '')
  let opened: Promise<{ readonly calls: Pool; readonly streams: Pool }> | undefined

  function pools(): NonNullable<typeof opened> {
    opened ??= import('undici').then(({ Pool }) => {
      const options = { pipelining: 1, connect: { timeout: ANSWER_MS }, headersTimeout: 0, bodyTimeout: 0 }
      return {
        calls: new Pool(url.origin, { ...options, connections: MAX_CONNECTIONS }),
        // As many as there are callers that are watched, and those are bounded.
        streams: new Pool(url.origin, { ...options, connections: null }),
      }
    })
    return opened
  }

  async function get(path: string, bearer: Bearer): Promise<Result<Answer, Failure>> {
    // Made before anything else: without a credential nothing leaves.
    const headers = { authorization: bearer.authorization(), accept: 'application/json' }
    const signal = AbortSignal.timeout(ANSWER_MS)
    const { calls } = await pools()
    const ask = async (): Promise<Result<Answer, Failure>> =>
      readAnswer(await calls.request({ method: 'GET', path: base + path, headers, signal }))
    // A connection that was kept may have been closed on the other side meanwhile; asking twice changes nothing.
    return ask()
      .catch((thrown: unknown) => {
        if (!wasClosed(thrown)) throw thrown
        return ask()
      })
      .catch(() => err('away'))
  }

  return {
    url: url.origin + base,
    async introspect(bearer, project) {
      const answer = await get(introspectPath(project, false), bearer)
      if (!answer.ok) return answer
      const standing = answer.value.status === 200 ? readStanding(answer.value.body) : undefined
      return standing === undefined ? err('strange') : ok(standing)
    },
    async project(bearer, name) {
      const answer = await get(`/api/v1/projects/${encodeURIComponent(name)}/edge`, bearer)
      if (!answer.ok) return answer
      const { status, body } = answer.value
      if (status === 401 || status === 403 || status === 404) return ok('refused')
      const project = status === 200 ? readEdgeProject(body, name) : undefined
      return project === undefined ? err('strange') : ok(project)
    },
    watch(bearer, project, ears) {
      const headers = { authorization: bearer.authorization(), accept: 'text/event-stream' }
      const stop = new AbortController()
      const path = base + introspectPath(project, true)
      listen(pools(), { path, headers, signal: stop.signal }, ears).then(
        () => stop.signal.aborted || ears.over(),
        () => stop.signal.aborted || ears.over(),
      )
      return { close: () => stop.abort() }
    },
    async isThere() {
      try {
        const { calls } = await pools()
        const signal = AbortSignal.timeout(ANSWER_MS)
        const { statusCode, body } = await calls.request({ method: 'GET', path: `${base}/healthz`, signal })
        await body.dump()
        return statusCode === 200
      } catch {
        return false
      }
    },
    async pass({ method, path, headers, body, signal }) {
      const { streams } = await pools()
      return streams.request({
        method: method,
        path: base + path,
        headers,
        body,
        signal,
      })
    },
    async close() {
      const made = await opened
      await Promise.all([made?.calls.destroy(), made?.streams.destroy()])
    },
  }
}

const wasClosed = (thrown: unknown): boolean =>
  ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes((thrown as NodeJS.ErrnoException).code ?? '')

const introspectPath = (project: string | undefined, watch: boolean): string => {
  const query = new URLSearchParams({
    ...(project === undefined ? {} : { project }),
    ...(watch ? { watch: 'true' } : {}),
  })
  return `/api/v1/tokens/introspect${query.size === 0 ? '' : `?${query.toString()}`}`
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

/** What a proxy says of itself (5xx), and limits (429), are of the moment; what is no JSON says nothing at all. */
async function readAnswer({
  statusCode,
  headers,
  body,
}: Dispatcher.ResponseData): Promise<Result<Answer, Failure>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += (chunk as Buffer).length
    // Leaving the loop ends the connection.
    if (size > MAX_ANSWER_BYTES) return err('strange')
    chunks.push(chunk as Buffer)
  }
  if (statusCode >= 500 || statusCode === 429) return err('away')
  if (!/^application\/(?:problem\+)?json\b/.test(String(headers['content-type']))) return err('strange')
  try {
    return ok({ status: statusCode, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown })
  } catch {
    return err('strange')
  }
}

/** Resolves when the stream is over, whatever ended it. */
async function listen(
  pools: Promise<{ readonly streams: Pool }>,
  request: {
    readonly path: string
    readonly headers: Record<string, string>
    readonly signal: AbortSignal
  },
  ears: WatchEars,
): Promise<void> {
  const { streams } = await pools
  const { statusCode, headers, body } = await streams.request({ method: 'GET', ...request })
  if (statusCode !== 200 || !String(headers['content-type']).startsWith('text/event-stream')) {
    body.destroy()
    return
  }
  let understood = true
  const parser = createSseParser(MAX_EVENT_BYTES, ({ event, data }) => {
    if (event !== 'standing') return
    const standing = parse(data)
    if (standing === undefined) understood = false
    else ears.standing(standing)
  })
  for await (const chunk of body) {
    if (!parser.feed(chunk as Buffer) || !understood) return
    ears.alive()
  }
}

function parse(data: Buffer): Standing | undefined {
  try {
    return readStanding(JSON.parse(data.toString('utf8')))
  } catch {
    return undefined
  }
}
