import { err, ok, type Result } from '../../lib/result.ts'
import type { Implementation } from '../../protocol/envelope.ts'
import { notificationMessage } from '../../protocol/json-rpc.ts'
import type { Offer } from '../../protocol/client-offer.ts'
import type { Message } from '../../protocol/message.ts'
import type { InstanceSpec, Runtime } from '../../runtime/runtime.ts'
import {
  changedList,
  discoverRequest,
  initializeRequest,
  readDiscoverResult,
  readInitializeResult,
} from './handshake.ts'
import { LegacyWatches } from './legacy-watches.ts'
import { outgoingBytes } from './outgoing.ts'
import { declaredReports, NO_REPORTS } from './reports.ts'
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
} from './upstream.ts'
import type { WireIds } from './wire-id.ts'

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
  readonly connectTimeoutMs: number
  /** Era found at an earlier start; saves the probe. */
  readonly knownEra: 'legacy' | 'modern' | undefined
}

/** How long a silent server is given to answer the modern probe before it is also asked in the older way. */
const PROBE_PATIENCE_MS = 5000

/** A child process that speaks MCP on standard input and output, of either era. */
export class StdioUpstream implements Upstream {
  readonly #options: StdioOptions
  readonly #watches = new LegacyWatches((request) => ask(this, request))
  #pipe: StdioPipe
  #opening: Promise<Result<UpstreamInfo, UpstreamFailure>> | undefined
  #info: UpstreamInfo | undefined
  #closed = false

  constructor(options: StdioOptions) {
    this.#options = options
    this.#pipe = this.#newPipe()
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

  open(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  send(request: UpstreamRequest, sink: Sink): UpstreamCall {
    const pipe = this.#pipe
    const wireId = this.#options.ids.next()
    pipe.call(wireId, outgoingBytes(request, wireId), request.timeoutMs, sink)
    return {
      cancel: () => {
        if (!pipe.drop(wireId)) return
        pipe.tell(
          notificationMessage('notifications/cancelled', {
            requestId: JSON.parse(wireId) as unknown,
            reason: 'cancelled by the client',
          }),
        )
      },
    }
  }

  tell(notification: string): void {
    if (this.#info?.era === 'legacy') this.#pipe.tell(notification)
  }

  watch(uri: string): Promise<WatchRefusal | undefined> {
    const reported = this.#info?.era === 'legacy' && this.#info.capabilities.resources?.subscribe === true
    return reported ? this.#watches.watch(uri) : Promise.resolve({})
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

  async close(): Promise<void> {
    this.#closed = true
    await this.#pipe.stop()
  }

  async #open(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    const { knownEra } = this.#options
    await this.#start()
    let opened = knownEra === 'legacy' ? await this.#initialize() : await this.#probe()
    // Some servers end at a first request that they do not know: once more, in the way they do know.
    if (
      !opened.ok &&
      knownEra === undefined &&
      this.#pipe.ended !== undefined &&
      !this.#closed &&
      opened.error.kind === 'unreachable'
    ) {
      this.#pipe = this.#newPipe()
      await this.#start()
      opened = await this.#initialize()
    }
    if (!opened.ok) await this.#pipe.stop()
    else this.#info = opened.value
    return opened
  }

  #start(): Promise<void> {
    return this.#pipe.start(this.#options.runtime, this.#options.spec())
  }

  /** Asks `server/discover`; any error means legacy, and so does an answer to the `initialize` sent after a silence. */
  async #probe(): Promise<Result<UpstreamInfo, UpstreamFailure>> {
    const { ids, us, connectTimeoutMs } = this.#options
    const id = ids.next()
    const answer = this.#pipe.ask(id, discoverRequest(id, us), connectTimeoutMs)
    const first = await Promise.race([answer, patience(PROBE_PATIENCE_MS)])
    if (first === 'silent') {
      const initialized = this.#initialize()
      const second = await Promise.race([answer.then(discovered), initialized])
      return second === 'legacy' ? initialized : second
    }
    const read = discovered(first)
    return read === 'legacy' ? this.#initialize() : read
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
    const pipe: StdioPipe = new StdioPipe(
      {
        notified: (message) => this.#notified(message),
        asked: (question) => this.#options.events.asked(question),
        withdrawn: (question) => this.#options.events.withdrawn(question),
        ended: (failure) => {
          if (pipe === this.#pipe && this.#info !== undefined && !this.#closed)
            this.#options.events.lost(failure)
        },
      },
      this.#options.oneClient,
    )
    return pipe
  }

  #notified(message: Message): void {
    const what = changedList(message.method)
    if (what === undefined) this.#options.events.notified(message)
    else this.#options.events.changed(what)
  }
}

function discovered(
  answer: Result<Message, UpstreamFailure>,
): Result<UpstreamInfo, UpstreamFailure> | 'legacy' {
  if (!answer.ok) return err(answer.error)
  const read = readDiscoverResult(answer.value)
  return read === 'legacy' ? 'legacy' : ok(read)
}

const patience = (ms: number): Promise<'silent'> =>
  new Promise((resolve) => {
    setTimeout(() => resolve('silent'), ms).unref()
  })
