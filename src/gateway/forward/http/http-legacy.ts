import { err, ok, type Result } from '../../../lib/result.ts'
import type { Implementation } from '../../../protocol/envelope.ts'
import { notificationMessage } from '../../../protocol/json-rpc.ts'
import { NO_OFFER, type Offer } from '../../../protocol/client-offer.ts'
import type { Message } from '../../../protocol/message.ts'
import { feedPauseMs } from './feed-pause.ts'
import { changedList, initializeRequest, readInitializeResult } from '../dial/handshake.ts'
import { LegacyFeed } from './http-legacy-feed.ts'
import { endHttpSession } from './http-end-session.ts'
import { LegacyWatches } from './legacy-watches.ts'
import { announceGap } from './missed-changes.ts'
import { declaredReports, Known, NO_REPORTS, reportsLists } from '../reports.ts'
import { postRequest, type PostedUpstreamCall, type PostRules } from './http-call.ts'
import type { HttpTarget } from './http-target.ts'
import { OpenQuestions, theOne } from '../questions.ts'
import { outgoingBytes } from '../outgoing.ts'
import { tellServer } from './http-tell.ts'
import {
  ask,
  decline,
  type Question,
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

export interface LegacyHttpOptions {
  readonly target: HttpTarget
  readonly us: Implementation
  readonly ids: WireIds
  readonly events: UpstreamEvents
  readonly tickMs: () => number
  /** What the server is told that it may ask. */
  readonly offer: Offer
  /** All calls on it are one client's. */
  readonly oneClient: boolean
  /** Hold the GET stream from the start; otherwise it is there while a resource is watched. */
  readonly listen: boolean
  /** Notes that a session is open, and returns how that is forgotten; absent: nobody has to end it but we. */
  readonly note?: (id: string, protocolVersion: string) => () => void
}

const nothing = (): void => {}

const SESSION_LOST: UpstreamFailure = {
  kind: 'session-lost',
  message: 'it has forgotten our session',
  status: 404,
}

const CLOSED: UpstreamFailure = { kind: 'unreachable', message: 'the connection to it was closed' }

/** How long a server may take to end a session. */
const END_MS = 2000

/** A server of 2025-03-26 … 2025-11-25 over Streamable HTTP: one connection is one session of it. */
export class LegacyHttp implements Upstream {
  readonly #options: LegacyHttpOptions
  readonly #feed: LegacyFeed
  readonly #session: SessionPort
  readonly #rules: PostRules
  readonly #questions = new OpenQuestions((message) => this.#tell(message))
  #sessionId: string | undefined
  #version: string | undefined
  #forget: (() => void) | undefined
  #opening: Promise<Result<UpstreamInfo, UpstreamFailure>> | undefined
  #alive = true
  #asks = false
  #declared: Reports = NO_REPORTS
  #recovery: NodeJS.Timeout | undefined
  #recoveries = 0
  readonly #watches = new LegacyWatches((request) => ask(this, request))
  /** Whether the server has a stream for what it says unasked. */
  readonly #hasFeed = new Known<boolean>(true)

  constructor(options: LegacyHttpOptions) {
    this.#options = options
    this.#feed = new LegacyFeed({
      target: options.target,
      tickMs: options.tickMs,
      headers: () => this.#headers(),
      message: (message) => this.#unattributed(message),
      offered: (offered) => this.#hasFeed.set(offered),
      reopened: () => announceGap(options.events, this.#declared, this.#watches.uris()),
      sessionLost: () => void this.#recover(this.#sessionId),
    })
    this.#rules = {
      status: (status) => (status === 404 && this.#sessionId !== undefined ? SESSION_LOST : undefined),
      aside: (message) => this.#aside(message),
      question: (request, to, settled) => this.#questions.take(request, to, settled),
      resumeHeaders: () => this.#headers(),
      abandoned: (wireId) => this.#cancel(wireId, 'nobody waits any more'),
    }
    this.#session = {
      id: () => this.#sessionId,
      alive: () => this.#alive,
      nextWireId: () => this.#options.ids.next(),
      post: (request, wireId, sink) => this.#post(request, wireId, sink),
      reopen: (lostId) => this.#reopen(lostId),
      cancelled: (wireId) => this.#cancel(wireId, 'cancelled by the client'),
      open: new Set(),
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  get asks(): boolean {
    return this.#asks
  }

  get idle(): boolean {
    return this.#session.open.size === 0
  }

  open(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    this.#opening ??= this.#initialize()
    return this.#opening
  }

  send(request: UpstreamRequest, sink: Sink): UpstreamCall {
    return new SessionCall(this.#session, request, sink)
  }

  tell(notification: string): void {
    this.#tell(notification)
  }

  async watch(uri: string): Promise<WatchRefusal | undefined> {
    if (!this.#declared.updates || this.#sessionId === undefined) return {}
    this.#feed.start()
    const refusal = (await this.#hasFeed.get()) ? await this.#watches.watch(uri) : {}
    if (refusal !== undefined) this.#restFeed()
    return refusal
  }

  unwatch(uri: string): void {
    this.#watches.unwatch(uri)
    this.#restFeed()
  }

  get watched(): number {
    return this.#watches.size
  }

  async reports(): Promise<Reports> {
    const { tools, prompts, resources, updates } = this.#declared
    if (this.#sessionId === undefined || !(tools || prompts || resources || updates)) return NO_REPORTS
    this.#feed.start()
    const hasFeed = await this.#hasFeed.get()
    this.#restFeed()
    return hasFeed ? this.#declared : NO_REPORTS
  }

  async close(): Promise<void> {
    if (!this.#alive) return
    this.#alive = false
    clearTimeout(this.#recovery)
    this.#questions.dropAll()
    this.#feed.stop()
    await this.#endSession()
  }

  async #endSession(): Promise<void> {
    if (this.#sessionId === undefined) return
    // Without an answer it is left to whoever comes after us.
    if (await endHttpSession(this.#options.target, this.#headers(), END_MS)) this.#forget?.()
  }

  #post(request: UpstreamRequest, wireId: string, sink: Sink): PostedUpstreamCall {
    return postRequest(
      {
        target: this.#options.target,
        headers: this.#headers(),
        body: outgoingBytes(request, wireId),
        wireId,
        timeoutMs: request.timeoutMs,
        rules: this.#rules,
      },
      sink,
    )
  }

  #initialize(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    const { target, us, ids } = this.#options
    const wireId = ids.next()
    this.#forget?.()
    this.#forget = undefined
    this.#sessionId = undefined
    this.#version = undefined
    return new Promise((resolve) => {
      postRequest(
        {
          target,
          headers: this.#headers(),
          body: initializeRequest(wireId, us, this.#options.offer),
          wireId,
          timeoutMs: target.connectTimeoutMs,
          rules: {
            status: (_status, headers) => {
              const id = headers['mcp-session-id']
              if (typeof id === 'string' && /^[\x21-\x7e]{1,1024}$/.test(id)) this.#sessionId = id
              return undefined
            },
          },
        },
        {
          mayBeAsked: false,
          event: nothing,
          asked: decline,
          withdrawn: nothing,
          failed: (failure) => resolve({ ok: false, error: failure }),
          reply: (message) => resolve(this.#ready(this.#initialized(message))),
        },
      )
    })
  }

  #initialized(reply: Message): Result<UpstreamInfo, UpstreamFailure> {
    const info = readInitializeResult(reply, this.#sessionId !== undefined)
    if (!info.ok) return info
    this.#version = info.value.protocolVersion
    if (this.#sessionId !== undefined) this.#forget = this.#options.note?.(this.#sessionId, this.#version)
    if (!this.#alive) {
      void this.#endSession()
      return err(CLOSED)
    }
    this.#notify('notifications/initialized')
    this.#declared = declaredReports(info.value.capabilities)
    if (this.#sessionId === undefined) this.#hasFeed.set(false)
    else if (this.#holdsFeed() || this.#watches.size > 0) this.#feed.start()
    return ok(info.value)
  }

  /** A server may ask beside its calls, on the feed: that has to be there before the first call is. */
  async #ready(
    opened: Result<UpstreamInfo, UpstreamFailure>,
  ): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    if (opened.ok && this.#options.listen && this.#mayAsk()) await this.#hasFeed.get()
    return opened
  }

  #mayAsk(): boolean {
    return this.#options.offer !== NO_OFFER
  }

  /** Lists are heard of, and questions that belong to no call. */
  #holdsFeed(): boolean {
    return this.#options.listen && (reportsLists(this.#declared) || this.#mayAsk())
  }

  #restFeed(): void {
    if (this.#watches.size === 0 && !this.#holdsFeed()) this.#feed.stop()
  }

  /** Once per lost session, however many calls find out. */
  #reopen(lostId: string | undefined): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    if (lostId !== this.#sessionId && this.#opening !== undefined) return this.#opening
    this.#feed.stop()
    // A new session counts its questions anew.
    this.#questions.dropAll()
    this.#opening = this.#initialize().then((opened) => {
      if (opened.ok) void this.#resumeWatches()
      // Whoever comes next shall find out as well, and try again.
      else this.#sessionId = lostId
      return opened
    })
    return this.#opening
  }

  /** What the lost session had agreed to is agreed anew, and may have changed meanwhile. */
  async #resumeWatches(): Promise<void> {
    await this.#watches.again()
    announceGap(this.#options.events, this.#declared, this.#watches.uris())
  }

  /** Nobody calls who would find out, but somebody listens: the session is opened again, as soon as that can be. */
  async #recover(lostId: string | undefined): Promise<void> {
    const opened = await this.#reopen(lostId)
    clearTimeout(this.#recovery)
    if (opened.ok) this.#recoveries = 0
    if (opened.ok || !this.#alive) return
    this.#recovery = setTimeout(() => void this.#recover(lostId), feedPauseMs(this.#recoveries++)).unref()
  }

  /** Notifications about more than one request go to the events. */
  #aside(message: Message): boolean {
    if (message.method === 'notifications/cancelled') return this.#questions.withdraw(message)
    const what = changedList(message.method)
    if (what !== undefined) this.#options.events.changed(what)
    else if (message.method === 'notifications/resources/updated') this.#options.events.notified(message)
    else return false
    return true
  }

  #unattributed(message: Message): void {
    if (message.shape === 'result' || message.shape === 'error') return
    if (message.shape === 'request') return this.#asked(message)
    if (!this.#aside(message)) this.#options.events.notified(message)
  }

  /** On the stream of the session nothing says whose call a question belongs to. */
  #asked(request: Message): void {
    if (request.method !== 'ping') this.#asks = true
    const call = theOne(this.#session.open, this.#options.oneClient)
    call?.hold()
    this.#questions.take(request, call ?? this.#options.events, () => call?.release())
  }

  #cancel(wireId: string, reason: string): void {
    this.#notify('notifications/cancelled', { requestId: JSON.parse(wireId) as unknown, reason })
  }

  #notify(method: string, params?: unknown): void {
    this.#tell(notificationMessage(method, params))
  }

  #tell(body: string): void {
    const { target } = this.#options
    tellServer(target, { path: target.path, headers: this.#headers(), body })
  }

  #headers(): Record<string, string> {
    const headers = this.#options.target.injected()
    headers['content-type'] = 'application/json'
    headers['accept'] = 'application/json, text/event-stream'
    if (this.#version !== undefined) headers['mcp-protocol-version'] = this.#version
    if (this.#sessionId !== undefined) headers['mcp-session-id'] = this.#sessionId
    return headers
  }
}

/** What a call needs of its session. */
interface SessionPort {
  id(): string | undefined
  alive(): boolean
  nextWireId(): string
  post(request: UpstreamRequest, wireId: string, sink: Sink): PostedUpstreamCall
  reopen(lostId: string | undefined): Promise<Result<UpstreamInfo, UpstreamFailure>>
  cancelled(wireId: string): void
  /** The calls in flight: closing would cut them off. */
  readonly open: Set<SessionCall>
}

/** One call in a session; should the session turn out to be lost, the call is made once more in a new one. */
class SessionCall implements UpstreamCall, Sink {
  readonly #session: SessionPort
  readonly #request: UpstreamRequest
  readonly sink: Sink
  readonly #sessionId: string | undefined
  #wireId: string
  #call: PostedUpstreamCall | undefined
  #over = false
  #again = false

  constructor(session: SessionPort, request: UpstreamRequest, sink: Sink) {
    this.#session = session
    this.#request = request
    this.sink = sink
    this.#sessionId = session.id()
    this.#wireId = session.nextWireId()
    session.open.add(this)
    this.#call = session.post(request, this.#wireId, this)
  }

  hold(): void {
    this.#call?.hold()
  }

  release(): void {
    this.#call?.release()
  }

  get mayBeAsked(): boolean {
    return this.sink.mayBeAsked
  }

  cancel(): void {
    this.#end()
    this.#call?.cancel()
    this.#session.cancelled(this.#wireId)
  }

  pause(): void {
    this.#call?.pause?.()
  }

  resume(): void {
    this.#call?.resume?.()
  }

  event(message: Message): void {
    this.sink.event(message)
  }

  asked(question: Question): void {
    this.sink.asked(question)
  }

  withdrawn(question: Question): void {
    this.sink.withdrawn(question)
  }

  reply(message: Message): void {
    this.#end()
    this.sink.reply(message)
  }

  failed(failure: UpstreamFailure): void {
    if (failure.kind === 'session-lost' && !this.#again && this.#session.alive()) {
      void this.#callAgain()
      return
    }
    this.#end()
    this.sink.failed(failure)
  }

  /** 404 with a session id: forgotten, and the request was not processed (MCP, session management). */
  async #callAgain(): Promise<void> {
    this.#again = true
    const opened = await this.#session.reopen(this.#sessionId)
    if (this.#over) return
    if (!opened.ok) return this.failed(opened.error)
    this.#wireId = this.#session.nextWireId()
    this.#call = this.#session.post(this.#request, this.#wireId, this)
  }

  #end(): void {
    this.#over = true
    this.#session.open.delete(this)
  }
}
