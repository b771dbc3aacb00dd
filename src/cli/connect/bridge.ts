import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { mintBootEpoch } from '../../lib/id.ts'
import { rawAt, readMessage, type Message, type MessageProblem } from '../../protocol/message.ts'
import { carry, POST_HEADERS, type Wire } from './carry.ts'
import type { ClientPipe } from './client-pipe.ts'
import type { Daemon } from './daemon.ts'
import { exchange, MAX_MESSAGE_BYTES } from './exchange.ts'
import { faultMessage } from './failures.ts'
import type { Lane } from './lane.ts'
import { LegacyLane } from './legacy-lane.ts'
import { Listening } from './listening.ts'
import { isModern, ModernLane } from './modern-lane.ts'
import { OpenRequest, readBatch } from './open-request.ts'
import { Outage } from './outage.ts'
import { TOO_LONG } from './read-lines.ts'

export interface BridgeDeps {
  readonly daemon: Daemon
  readonly pipe: ClientPipe
  readonly clock: Pick<Clock, 'tickMs'>
}

/** Open requests of one client, and the bytes that are kept of them, since they may have to be sent again. */
const MAX_OPEN = 1000
const MAX_OPEN_BYTES = 256 * 1024 * 1024

/**
 * A client on a pipe, of whichever era, in front of an endpoint over HTTP. Both eras may share the pipe: each message is
 * judged by its own envelope.
 */
export class Bridge {
  readonly #wire: Wire
  readonly #ending = new AbortController()
  readonly #legacy: LegacyLane
  readonly #modern: ModernLane
  readonly #open = new Map<OpenRequest, Promise<void>>()
  readonly #listens = new Map<OpenRequest, Listening>()
  #openBytes = 0

  constructor({ daemon, pipe, clock }: BridgeDeps) {
    this.#wire = { daemon, pipe, outage: new Outage(clock), ending: this.#ending.signal }
    const epoch = mintBootEpoch()
    let minted = 0
    const mintId = (): string => `"castellan-connect-${epoch}-${minted++}"`
    this.#legacy = new LegacyLane(this.#wire, mintId)
    this.#modern = new ModernLane(this.#wire, mintId)
  }

  /** A line of the client. Returns what to wait for before the next, when the client does not read its answers. */
  take(line: Buffer | typeof TOO_LONG): Promise<void> | undefined {
    if (line === TOO_LONG) {
      const hint = `a message may have ${MAX_MESSAGE_BYTES / 1024 / 1024} MiB`
      return this.#wire.pipe.write(faultMessage(undefined, new Fault('too_large', { hint })))
    }
    const read = readMessage(line, 'client')
    if (read.ok) return this.#route(read.value)
    return read.error === 'batch' ? this.#routeBatch(line) : this.#refuse(read.error)
  }

  /** Lets running requests end; listens and what is left after that time are cut off, and the session is ended. */
  async close(graceMs: number, hurry: AbortSignal): Promise<void> {
    this.#ending.abort()
    await Promise.all(Array.from(this.#listens.values(), (listening) => listening.end()))
    const late = AbortSignal.any([hurry, AbortSignal.timeout(graceMs)])
    await Promise.race([Promise.all([...this.#open.values(), this.#legacy.turn()]), aborted(late)])
    for (const request of this.#open.keys()) request.drop()
    await this.#legacy.close()
  }

  #route(message: Message): Promise<void> | undefined {
    if (message.shape === 'request') return this.#request(message)
    if (message.method === 'notifications/cancelled') this.#cancel(message)
    else if (isModern(message)) void this.#tellModern(message)
    else this.#legacy.tell(message)
    return undefined
  }

  #request(message: Message): Promise<void> | undefined {
    const request = new OpenRequest(message.bytes, [message])
    if (this.#isFull(request)) return this.#refuseFull(request)
    if (!isModern(message)) this.#start(request, this.#legacy)
    else if (message.method === 'subscriptions/listen') this.#listen(request)
    else this.#start(request, this.#modern)
    return undefined
  }

  #routeBatch(line: Buffer): Promise<void> | undefined {
    const messages = readBatch(line)
    const requests = messages.filter(({ shape }) => shape === 'request')
    if (messages.length === 0) return this.#refuse('envelope')
    // Without a request it is answered with nothing, and has nothing to wait for.
    const request = new OpenRequest(line, requests)
    if (requests.length > 0 && this.#isFull(request)) return this.#refuseFull(request)
    if (requests.length > 0) this.#start(request, this.#legacy)
    else for (const message of messages) void this.#route(message)
    return undefined
  }

  #start(request: OpenRequest, lane: Lane): void {
    const running = carry(this.#wire, lane, request)
    if (lane === this.#legacy && request.first?.method === 'initialize') this.#legacy.opening(running)
    this.#track(request, running)
  }

  #listen(request: OpenRequest): void {
    const listening = new Listening(this.#wire, this.#modern, request)
    this.#listens.set(request, listening)
    this.#track(
      request,
      listening.run().finally(() => this.#listens.delete(request)),
    )
  }

  #track(request: OpenRequest, running: Promise<void>): void {
    this.#openBytes += request.bytes.length
    const tracked = running.finally(() => {
      this.#open.delete(request)
      this.#openBytes -= request.bytes.length
    })
    this.#open.set(request, tracked)
  }

  /** Who does not wait any more hears nothing more; the daemon is told in the way of the era. */
  #cancel(notification: Message): void {
    const id = rawAt(notification, 'params/requestId')
    for (const request of this.#open.keys()) {
      const { first } = request
      if (first === undefined || first.idText !== id || first.method === 'initialize') continue
      if (isModern(first)) {
        request.drop()
        continue
      }
      request.cancel()
      void request.sent.then(() => this.#legacy.tell(notification))
    }
  }

  async #tellModern(notification: Message): Promise<void> {
    const { bytes } = notification
    const headers = {
      ...POST_HEADERS,
      ...this.#modern.headersOf(notification),
      'content-length': String(bytes.length),
    }
    await exchange(
      this.#wire.daemon,
      { method: 'POST', headers, body: bytes, signal: this.#wire.ending },
      { message: () => undefined, isDone: false },
    )
  }

  #isFull({ bytes }: OpenRequest): boolean {
    return this.#open.size >= MAX_OPEN || this.#openBytes + bytes.length > MAX_OPEN_BYTES
  }

  async #refuseFull(request: OpenRequest): Promise<void> {
    const hint = `at most ${MAX_OPEN} requests of one client may be open, with ${MAX_OPEN_BYTES / 1024 / 1024} MiB`
    for (const id of request.waiting)
      await this.#wire.pipe.write(faultMessage(id, new Fault('too_many', { hint })))
  }

  #refuse(problem: Exclude<MessageProblem, 'batch'>): Promise<void> | undefined {
    const fault =
      problem === 'envelope'
        ? new Fault('not_jsonrpc')
        : new Fault('not_json', { problems: [PROBLEMS[problem]] })
    this.#wire.pipe.note('a line on standard input was no JSON-RPC message')
    return this.#wire.pipe.write(faultMessage(undefined, fault))
  }
}

const PROBLEMS = {
  encoding: 'it is not UTF-8',
  syntax: 'it cannot be parsed',
  depth: 'it is nested too deeply',
  'duplicate-key': 'a key stands twice in one object',
} as const

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
