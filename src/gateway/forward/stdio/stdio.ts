import { err, ok, type Result } from '../../../lib/result.ts'
import type { Implementation } from '../../../protocol/envelope.ts'
import { notificationMessage } from '../../../protocol/json-rpc.ts'
import type { Offer } from '../../../protocol/client-offer.ts'
import type { Message } from '../../../protocol/message.ts'
import type { Era } from '../../../protocol/revisions.ts'
import type { InstanceSpec, Runtime } from '../../../runtime/runtime.ts'
import {
  changedList,
  discoverRequest,
  initializeRequest,
  readDiscoverResult,
  readInitializeResult,
} from '../dial/handshake.ts'
import { LegacyWatches } from '../http/legacy-watches.ts'
import { ModernFeed } from '../http/modern-feed.ts'
import { outgoingBytes } from '../outgoing.ts'
import { PipeListens } from './pipe-listens.ts'
import { declaredReports, NO_REPORTS } from '../reports.ts'
import { StdioPipe } from './stdio-pipe.ts'
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

export interface StdioOptions {
  readonly runtime: Runtime
  /** Made anew for each start, with secrets put in at that moment. */
  spec(): InstanceSpec
  readonly us: Implementation
  /** What a legacy server is told that it may ask. */
  readonly offer: Offer
  /** All calls on it are one client's. */
  readonly oneClient: boolean
  readonly ids: WireIds
  readonly events: UpstreamEvents
  readonly tickMs: () => number
  readonly connectTimeoutMs: number
  readonly era: Era
  /** It was never asked, or never answered: should it refuse `initialize`, it is asked for `server/discover` after all. */
  readonly mayBeModern: boolean
}

/** A child process that speaks MCP on standard input and output, of either era. */
export class StdioUpstream implements Upstream {
  readonly #options: StdioOptions
  readonly #pipe: StdioPipe
  readonly #watches = new LegacyWatches((request) => ask(this, request))
  readonly #listens: PipeListens
  #feed: ModernFeed | undefined
  #opening: Promise<Result<UpstreamInfo, UpstreamFailure>> | undefined
  #info: UpstreamInfo | undefined
  #closed = false

  constructor(options: StdioOptions) {
    this.#options = options
    this.#pipe = this.#newPipe()
    this.#listens = new PipeListens(this.#pipe)
  }

  get alive(): boolean {
    return !this.#closed && this.#pipe.ended === undefined
  }

  get asks(): boolean {
    return this.#pipe.asks
  }

  get idle(): boolean {
    return this.#pipe.openCalls === 0
  }

  get pid(): number | undefined {
    return this.#pipe.pid
  }

  open(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  send(request: UpstreamRequest, sink: Sink): UpstreamCall {
    const pipe = this.#pipe
    const wireId = this.#options.ids.next()
    pipe.call(wireId, outgoingBytes(request, wireId), request.timeoutMs, sink)
    return { cancel: () => pipe.cancel(wireId) }
  }

  tell(notification: string): void {
    if (this.#info?.era === 'legacy') this.#pipe.tell(notification)
  }

  watch(uri: string): Promise<WatchRefusal | undefined> {
    if (this.#info?.capabilities.resources?.subscribe !== true) return Promise.resolve({})
    return this.#feed === undefined ? this.#watches.watch(uri) : this.#feed.watch(uri)
  }

  unwatch(uri: string): void {
    this.#watches.unwatch(uri)
    this.#feed?.unwatch(uri)
  }

  get watched(): number {
    return this.#feed?.watched ?? this.#watches.size
  }

  reports(): Promise<Reports> {
    if (this.#feed !== undefined) return this.#feed.reports()
    return Promise.resolve(this.#info === undefined ? NO_REPORTS : declaredReports(this.#info.capabilities))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#feed?.stop()
    await this.#pipe.stop()
  }

  async #open(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    const { runtime, era, mayBeModern } = this.#options
    await this.#pipe.start(runtime, this.#options.spec())
    let opened = await (era === 'modern' ? this.#discover() : this.#initialize())
    if (!opened.ok && opened.error.kind === 'invalid' && mayBeModern && era === 'legacy') {
      const modern = await this.#discover()
      if (modern.ok) opened = modern
    }
    if (opened.ok) this.#opened(opened.value)
    else await this.#pipe.stop()
    return opened
  }

  #opened(info: UpstreamInfo): void {
    this.#info = info
    if (info.era === 'legacy') return
    const { us, ids, events, tickMs } = this.#options
    const { capabilities } = info
    this.#feed = new ModernFeed({ port: this.#listens, capabilities, us, ids, events, tickMs })
    this.#feed.start()
  }

  async #discover(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    const { ids, us, connectTimeoutMs } = this.#options
    const id = ids.next()
    const reply = await this.#pipe.ask(id, discoverRequest(id, us), connectTimeoutMs)
    if (!reply.ok) return reply
    const info = readDiscoverResult(reply.value)
    if (info === undefined)
      return err({
        kind: 'invalid',
        message: 'its answer to server/discover names no revision that we share',
      })
    return ok(info)
  }

  async #initialize(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    const { ids, us, connectTimeoutMs } = this.#options
    const id = ids.next()
    const reply = await this.#pipe.ask(id, initializeRequest(id, us, this.#options.offer), connectTimeoutMs)
    if (!reply.ok) return reply
    const info = readInitializeResult(reply.value, true)
    if (info.ok) this.#pipe.tell(notificationMessage('notifications/initialized'))
    return info
  }

  #newPipe(): StdioPipe {
    return new StdioPipe(
      {
        notified: (message) => this.#notified(message),
        asked: (question) => this.#options.events.asked(question),
        withdrawn: (question) => this.#options.events.withdrawn(question),
        ended: (failure) => {
          this.#feed?.stop()
          if (this.#info !== undefined && !this.#closed) this.#options.events.lost(failure)
        },
      },
      this.#options.oneClient,
    )
  }

  #notified(message: Message): void {
    if (this.#listens.heard(message)) return
    const what = changedList(message.method)
    if (what === undefined) this.#options.events.notified(message)
    else this.#options.events.changed(what)
  }
}
