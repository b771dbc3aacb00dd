import { randomBytes } from 'node:crypto'
import { Agent, type Dispatcher } from 'undici'
import type { PeerEars } from '../../gateway/peers.ts'
import { ALIVE_EVERY_MS } from './listener.ts'
import { digestOf, PEER_HEADER, type PeerSigner } from './sign.ts'

export interface PeerRequest {
  readonly node: string
  readonly url: string
  readonly path: string
  readonly body: string
}

/** Why a request came to nothing. */
export type PeerTrouble = 'refused' | 'lost'

export interface PeerCaller {
  /** @param trouble told before `hear.gone`: `refused` when the process is not there, or is another one */
  call(
    request: PeerRequest,
    hear: PeerEars,
    trouble: (what: PeerTrouble, detail: string) => void,
  ): { abort(): void }
  close(): Promise<void>
}

export interface PeerCallerDeps {
  readonly self: string
  readonly signer: PeerSigner
  readonly nowMs: () => number
}

const CONNECT_TIMEOUT_MS = 2000
const HEADERS_TIMEOUT_MS = 10_000
const MAX_LINE_BYTES = 64 * 1024 * 1024

export function createPeerCaller({ self, signer, nowMs }: PeerCallerDeps): PeerCaller {
  const agent = new Agent({
    pipelining: 1,
    // One each for what is under way; that is bounded by the calls of our clients.
    connections: null,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: HEADERS_TIMEOUT_MS,
    // It shows that it lives more often than that.
    bodyTimeout: 4 * ALIVE_EVERY_MS,
  })
  return {
    call({ node, url, path, body }, hear, trouble) {
      const nonce = randomBytes(16).toString('base64url')
      const claim = { from: self, to: node, atMs: nowMs(), nonce, digest: digestOf(body) }
      const answer = new PeerAnswer({ signer, nonce, hear, trouble })
      const { origin, pathname } = new URL(url)
      agent.dispatch(
        {
          origin,
          path: `${pathname.replace(/\/$/, '')}${path}`,
          method: 'POST',
          headers: { [PEER_HEADER]: signer.sign(path, claim), 'content-type': 'application/json' },
          body,
        },
        answer,
      )
      return { abort: () => answer.abort() }
    },
    close: () => agent.destroy(),
  }
}

interface PeerAnswerDeps {
  readonly signer: PeerSigner
  readonly nonce: string
  readonly hear: PeerEars
  readonly trouble: (what: PeerTrouble, detail: string) => void
}

/** Hands on what is authentic, line by line; anything else is as if the process were lost. */
class PeerAnswer implements Dispatcher.DispatchHandler {
  readonly #deps: PeerAnswerDeps
  #controller: Dispatcher.DispatchController | undefined
  #over = false
  #status = 0
  #n = 0
  #rest: Buffer[] = []
  #size = 0

  constructor(deps: PeerAnswerDeps) {
    this.#deps = deps
  }

  abort(): void {
    this.#over = true
    this.#controller?.abort(new Error('nobody waits any more'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Error('nobody waits any more'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status >= 200) this.#status = status
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over || this.#status !== 200) return
    let from = 0
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      this.#rest.push(chunk.subarray(from, at))
      const line = Buffer.concat(this.#rest).toString()
      this.#rest = []
      this.#size = 0
      from = at + 1
      if (line !== '' && !this.#over) this.#take(line)
    }
    this.#rest.push(chunk.subarray(from))
    this.#size += chunk.length - from
    if (this.#size > MAX_LINE_BYTES) this.#fail('lost', 'a line is too long')
  }

  onResponseEnd(): void {
    const refused = this.#status !== 200
    this.#fail(refused ? 'refused' : 'lost', refused ? `it answered ${this.#status}` : 'it ended half-way')
  }

  onResponseError(_controller: unknown, error: Error): void {
    const code = (error as NodeJS.ErrnoException).code ?? error.name
    this.#fail(NOT_THERE.has(code) ? 'refused' : 'lost', code)
  }

  #take(line: string): void {
    const content = this.#deps.signer.readLine({ nonce: this.#deps.nonce, n: this.#n++ }, line)
    if (content === undefined) return this.#fail('lost', 'its answer is not authentic')
    if (content.startsWith('l')) return this.#deps.hear.line(content.slice(1))
    this.#over = true
    this.#deps.hear.end()
  }

  #fail(what: PeerTrouble, detail: string): void {
    if (this.#over) return
    this.#over = true
    this.#deps.trouble(what, detail)
    this.#deps.hear.gone()
    this.#controller?.abort(new Error(detail))
  }
}

const NOT_THERE = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
])
