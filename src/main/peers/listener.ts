import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { PeerChannel, PeerReply, PeerService } from '../../gateway/peers.ts'
import { readBody } from '../../gateway/listen/read-body.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { createReplayGuard, MAX_SKEW_MS, type Stale } from './replays.ts'
import { digestOf, PEER_HEADER, type PeerClaim, type PeerSigner } from './sign.ts'

const { createServer } = process.getBuiltinModule('node:http')

export interface PeerListenerDeps {
  /** Our boot epoch. */
  readonly self: string
  readonly signer: PeerSigner
  readonly service: PeerService
  /** Who has just said something authentic; what it asks for waits until it is known. */
  readonly heard: (node: string) => Promise<void> | undefined
  readonly clock: Clock
  readonly log: Log
}

export const PEER_PATHS: Readonly<Record<PeerChannel, string>> = {
  session: '/peer/v1/session',
  park: '/peer/v1/park',
}
const CHANNELS = new Map(Object.entries(PEER_PATHS).map(([channel, path]) => [path, channel as PeerChannel]))

/** A request of a client, quoted, and a little around it. */
const MAX_BODY_BYTES = 16 * 1024 * 1024
/** What a process may leave unread before it is taken for lost. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024
/** How often a silent answer shows that its process still lives. */
export const ALIVE_EVERY_MS = 5000
const MAX_CONNECTIONS = 4096

/** Serves the other processes, and nobody else: each request is authenticated before its body is read. */
export function createPeerListener(deps: PeerListenerDeps): Server {
  const stale = createReplayGuard(deps.clock)
  const server = createServer(
    { keepAliveTimeout: 65_000, headersTimeout: 10_000, requestTimeout: 30_000, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      const admitted = admit(deps, stale, request)
      if ('status' in admitted) return refuse(response, admitted)
      void readBody(request, MAX_BODY_BYTES, (body) => {
        if (body === 'too-large')
          return refuse(response, { status: 413, why: `at most ${MAX_BODY_BYTES} bytes` })
        if (body === 'aborted' || digestOf(body) !== admitted.claim.digest)
          return refuse(response, NOT_AUTHENTIC)
        const request = { ...admitted, body: body.toString() }
        const known = deps.heard(admitted.claim.from)
        if (known === undefined) serve(deps, request, response)
        else void known.then(() => serve(deps, request, response))
        return undefined
      })
    },
  )
  server.timeout = 0
  server.maxConnections = MAX_CONNECTIONS
  return server
}

interface Refused {
  readonly status: number
  readonly why: string
}

const NOT_AUTHENTIC: Refused = { status: 401, why: 'only processes with the same master key are served here' }
const STALE: Readonly<Record<Stale, Refused>> = {
  clock: {
    status: 403,
    why: `the clocks of the two processes differ by more than ${MAX_SKEW_MS / 1000} s: set both by NTP`,
  },
  replayed: { status: 409, why: 'this request was served before' },
  full: { status: 503, why: 'too many requests within a minute' },
}

interface Admitted {
  readonly channel: PeerChannel
  readonly claim: PeerClaim
}

function admit(
  deps: PeerListenerDeps,
  stale: ReturnType<typeof createReplayGuard>,
  request: IncomingMessage,
): Admitted | Refused {
  const path = request.url ?? ''
  const channel = CHANNELS.get(path)
  if (channel === undefined || request.method !== 'POST')
    return { status: 404, why: 'there is nothing here but what processes of Castellan say to each other' }
  const header = request.headers[PEER_HEADER]
  const claim = deps.signer.read(path, typeof header === 'string' ? header : undefined)
  if (claim === undefined) return NOT_AUTHENTIC
  if (claim.to !== deps.self) return { status: 421, why: 'this is another process than the one meant' }
  const problem = stale(claim)
  if (problem === 'clock') deps.log.error({ peer: claim.from }, STALE.clock.why)
  if (problem !== undefined) return STALE[problem]
  return { channel, claim }
}

function refuse(response: ServerResponse, { status, why }: Refused): void {
  if (response.headersSent || response.destroyed) return
  // What is left of its body is not read.
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' })
  response.end(`${why}\n`)
}

function serve(
  { signer, service, log }: PeerListenerDeps,
  { channel, claim, body }: Admitted & { readonly body: string },
  response: ServerResponse,
): void {
  let n = 0
  let ended = false
  const abortListeners: (() => void)[] = []
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' })
  response.flushHeaders()
  const alive = setInterval(() => response.write('\n'), ALIVE_EVERY_MS).unref()
  response.on('error', () => {})
  response.once('close', () => {
    clearInterval(alive)
    if (ended) return
    ended = true
    for (const listener of abortListeners) listener()
  })
  const write = (content: string): void => {
    response.write(`${signer.signLine({ nonce: claim.nonce, n: n++ }, content)}\n`)
    if (response.writableLength > MAX_UNREAD_BYTES) response.destroy()
  }
  const reply: PeerReply = {
    line(text) {
      if (!ended) write(`l${text}`)
    },
    end() {
      if (ended) return
      // An end that anybody on the way could make would be no end.
      write('e')
      ended = true
      response.end()
    },
    onAbort(listener) {
      if (ended) return
      abortListeners.push(listener)
    },
  }
  try {
    service(channel, body, reply)
  } catch (thrown) {
    log.error({ err: thrown, channel }, 'what another process asked for met a bug')
    response.destroy()
  }
}
