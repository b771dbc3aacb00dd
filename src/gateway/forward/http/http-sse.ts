import { err, ok, type Result } from '../../../lib/result.ts'
import type { Offer } from '../../../protocol/client-offer.ts'
import type { Implementation } from '../../../protocol/envelope.ts'
import { notificationMessage } from '../../../protocol/json-rpc.ts'
import { readMessage, type Message } from '../../../protocol/message.ts'
import type { SseEvent } from '../../../protocol/sse.ts'
import { answerOnly, CallTable } from '../call-table.ts'
import { startDeadline } from '../deadline.ts'
import { changedList, initializeRequest, readInitializeResult } from '../dial/handshake.ts'
import { statusFailure } from './http-call.ts'
import { httpExchange, type HttpCall } from './http-exchange.ts'
import type { HttpTarget } from './http-target.ts'
import { LegacyWatches } from './legacy-watches.ts'
import { tellServer } from './http-tell.ts'
import { outgoingBytes } from '../outgoing.ts'
import { declaredReports, NO_REPORTS } from '../reports.ts'
import {
  ask,
  type Reports,
  type Sink,
  type Upstream,
  type UpstreamCall,
  type UpstreamEvents,
  type UpstreamFailure,
  type UpstreamInfo,
  type UpstreamRequest,
  type WatchRefusal,
} from '../upstream.ts'
import type { WireIds } from '../wire-id.ts'

export interface SseOptions {
  /** The address of the stream. */
  readonly target: HttpTarget
  readonly us: Implementation
  readonly ids: WireIds
  readonly events: UpstreamEvents
  /** What the server is told that it may ask. */
  readonly offer: Offer
  /** All calls on it are one client's. */
  readonly oneClient: boolean
}

/** An address longer than this is none. */
const MAX_ENDPOINT_BYTES = 4096

const nothing = (): void => {}
const LOST: UpstreamFailure = { kind: 'unreachable', message: 'it closed the stream of the connection' }
const TOO_LATE: UpstreamFailure = { kind: 'timeout', message: 'it did not answer in time' }

/**
 * A server over HTTP+SSE (MCP 2024-11-05, transports): one GET stream carries everything that it says, and its first event
 * names the address to which everything is posted. The stream is the connection: when it ends, so does the session.
 */
export class SseUpstream implements Upstream {
  readonly #options: SseOptions
  readonly #calls: CallTable
  readonly #watches = new LegacyWatches((request) => ask(this, request))
  #stream: HttpCall | undefined
  /** Path and query of where messages go, once the server has named it. */
  #endpoint: string | undefined
  #version: string | undefined
  #opening: Promise<Result<UpstreamInfo, UpstreamFailure>> | undefined
  #info: UpstreamInfo | undefined
  #closed = false
  #end: UpstreamFailure | undefined

  constructor(options: SseOptions) {
    this.#options = options
    this.#calls = new CallTable({
      send: (message) => this.tell(message),
      oneClient: options.oneClient,
      events: {
        asked: (question) => options.events.asked(question),
        withdrawn: (question) => options.events.withdrawn(question),
        notified: (message) => this.#notified(message),
      },
    })
  }

  get alive(): boolean {
    return this.#end === undefined
  }

  get asks(): boolean {
    return this.#calls.asks
  }

  get idle(): boolean {
    return this.#calls.size === 0
  }

  open(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  send(request: UpstreamRequest, sink: Sink): UpstreamCall {
    const wireId = this.#options.ids.next()
    this.#call(wireId, outgoingBytes(request, wireId), request.timeoutMs, sink)
    return { cancel: () => this.#calls.cancel(wireId) }
  }

  tell(message: string): void {
    this.#post(message, nothing)
  }

  watch(uri: string): Promise<WatchRefusal | undefined> {
    if (this.#info?.capabilities.resources?.subscribe !== true) return Promise.resolve({})
    return this.#watches.watch(uri)
  }

  unwatch(uri: string): void {
    this.#watches.unwatch(uri)
  }

  get watched(): number {
    return this.#watches.size
  }

  reports(): Promise<Reports> {
    return Promise.resolve(this.#info === undefined ? NO_REPORTS : declaredReports(this.#info.capabilities))
  }

  close(): Promise<void> {
    this.#closed = true
    this.#over({ kind: 'unreachable', message: 'the connection to it was closed' })
    return Promise.resolve()
  }

  async #open(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    const listening = await this.#listen()
    const opened = listening === undefined ? await this.#initialize() : err(listening)
    if (!opened.ok) this.#over(opened.error)
    // It may have gone while it was being opened.
    else if (this.#end !== undefined) return err(this.#end)
    else this.#info = opened.value
    return opened
  }

  /** Opens the stream; undefined once the server has said where messages go. */
  #listen(): Promise<UpstreamFailure | undefined> {
    const { streams, origin, path, connectTimeoutMs } = this.#options.target
    const headers = this.#headers()
    headers['accept'] = 'text/event-stream'
    return new Promise((resolve) => {
      const settle = (failure: UpstreamFailure | undefined): void => {
        deadline.clear()
        resolve(failure)
      }
      const failed = (failure: UpstreamFailure): void => {
        settle(failure)
        this.#over(failure)
      }
      const deadline = startDeadline(connectTimeoutMs, () => failed(TOO_LATE))
      this.#stream = httpExchange(
        streams,
        { method: 'GET', origin, path, headers },
        {
          status: (status) => {
            const failure = statusFailure(status)
            if (failure !== undefined) failed(failure)
          },
          event: (event) => {
            if (event.event === 'endpoint' && this.#endpoint === undefined) settle(this.#named(event))
            else if (event.event === 'message') this.#heard(event.data)
          },
          // One JSON body in place of a stream.
          message: () => failed({ kind: 'invalid', message: 'its answer is not an event stream' }),
          end: () => failed(LOST),
          error: failed,
        },
      )
    })
  }

  /** Where credentials are posted to must not be for the server's stream to choose: the same origin only. */
  #named({ data }: SseEvent): UpstreamFailure | undefined {
    const { origin, path } = this.#options.target
    const text = data.length > MAX_ENDPOINT_BYTES ? '' : data.toString('utf8').trim()
    const url = text === '' ? null : URL.parse(text, origin + path)
    if (url?.origin !== origin)
      return { kind: 'invalid', message: 'its endpoint event does not name an address of its own origin' }
    this.#endpoint = url.pathname + url.search
    return undefined
  }

  async #initialize(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    const { ids, us, offer, target } = this.#options
    const wireId = ids.next()
    const text = initializeRequest(wireId, us, offer)
    const reply = await new Promise<Result<Message, UpstreamFailure>>((resolve) => {
      this.#call(wireId, text, target.connectTimeoutMs, answerOnly(resolve))
    })
    if (!reply.ok) return reply
    const info = readInitializeResult(reply.value, true)
    if (!info.ok) return info
    this.#version = info.value.protocolVersion
    // Posts travel side by side: the first request must not overtake this.
    const refused = await new Promise<UpstreamFailure | undefined>((resolve) => {
      this.#post(notificationMessage('notifications/initialized'), resolve)
    })
    return refused === undefined ? ok(info.value) : err(refused)
  }

  #call(wireId: string, body: Buffer | string, timeoutMs: number, sink: Sink): void {
    if (this.#end !== undefined) return sink.failed(this.#end)
    this.#calls.add(wireId, timeoutMs, sink)
    this.#post(body, (failure) => {
      if (failure !== undefined) this.#calls.fail(wireId, failure)
    })
  }

  /** @param done told once how the server took it; the answer, if there is to be one, comes on the stream */
  #post(body: Buffer | string, done: (failure: UpstreamFailure | undefined) => void): void {
    if (this.#end !== undefined || this.#endpoint === undefined) return done(this.#end ?? LOST)
    const headers = this.#headers()
    headers['content-type'] = 'application/json'
    headers['accept'] = 'application/json, text/event-stream'
    tellServer(this.#options.target, { path: this.#endpoint, headers, body }, (outcome) => {
      done(typeof outcome === 'number' ? statusFailure(outcome) : outcome)
      // It has forgotten the connection, though the stream may still be there.
      if (outcome === 404) this.#over(LOST)
    })
  }

  /** What is no MCP message is left out: some servers print into their streams. */
  #heard(data: Buffer): void {
    const read = readMessage(data, 'upstream')
    if (read.ok && this.#end === undefined) this.#calls.heard(read.value)
  }

  #notified(message: Message): void {
    const what = changedList(message.method)
    if (what === undefined) this.#options.events.notified(message)
    else this.#options.events.changed(what)
  }

  #over(failure: UpstreamFailure): void {
    if (this.#end !== undefined) return
    this.#end = failure
    this.#stream?.abort()
    this.#calls.failAll(failure)
    if (this.#info !== undefined && !this.#closed) this.#options.events.lost(failure)
  }

  #headers(): Record<string, string> {
    const headers = this.#options.target.injected()
    if (this.#version !== undefined) headers['mcp-protocol-version'] = this.#version
    return headers
  }
}
