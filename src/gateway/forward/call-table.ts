import { err, ok, type Result } from '../../lib/result.ts'
import { rawAt, type Message } from '../../protocol/message.ts'
import { startDeadline, type Deadline } from './deadline.ts'
import { OpenQuestions, theOne, type Asked } from './questions.ts'
import { decline, type Sink, type UpstreamFailure } from './upstream.ts'

export interface TableDeps {
  /** Carries one message to the server. */
  send(message: string): void
  /** Who hears of what belongs to no call. */
  readonly events: Asked & { notified(message: Message): void }
  /** All calls on the connection are one client's. */
  readonly oneClient: boolean
}

interface Open {
  readonly sink: Sink
  readonly deadline: Deadline
}

/**
 * The calls that are open on a connection whose messages all come in one row (a pipe, the stream of HTTP+SSE): answers are
 * matched by id, progress by its token, and questions go to the call that they can only belong to.
 */
export class CallTable {
  readonly #deps: TableDeps
  readonly #open = new Map<string, Open>()
  readonly #standing = new Map<string, Pick<Sink, 'reply' | 'failed'>>()
  readonly #questions: OpenQuestions
  #asks = false

  constructor(deps: TableDeps) {
    this.#deps = deps
    this.#questions = new OpenQuestions((message) => deps.send(message))
  }

  /** See `Upstream.asks`. */
  get asks(): boolean {
    return this.#asks
  }

  get size(): number {
    return this.#open.size
  }

  /** Follows a request, sent next, to its answer. Without one in time the server is told that nobody waits any more. */
  add(wireId: string, timeoutMs: number, sink: Sink): void {
    const deadline = startDeadline(timeoutMs, () => {
      this.#open.delete(wireId)
      this.#deps.send(cancelled(wireId, 'timeout'))
      sink.failed({ kind: 'timeout', message: 'it did not answer in time' })
    })
    this.#open.set(wireId, { sink, deadline })
  }

  /** Follows a request that is answered when it is over (`subscriptions/listen`): no call in flight, and without a deadline. */
  stand(wireId: string, sink: Pick<Sink, 'reply' | 'failed'>): void {
    this.#standing.set(wireId, sink)
  }

  /** Whatever still comes for the call is dropped; harmless when it is over. */
  cancel(wireId: string): void {
    if (this.#take(wireId) !== undefined || this.#standing.delete(wireId))
      this.#deps.send(cancelled(wireId, 'cancelled by the client'))
  }

  fail(wireId: string, failure: UpstreamFailure): void {
    this.#take(wireId)?.sink.failed(failure)
    this.#leave(wireId)?.failed(failure)
  }

  /** The connection is over. */
  failAll(failure: UpstreamFailure): void {
    this.#questions.dropAll()
    const calls = [...this.#open.keys()].flatMap((id) => this.#take(id) ?? [])
    for (const call of calls) call.sink.failed(failure)
    for (const id of this.#standing.keys()) this.#leave(id)?.failed(failure)
  }

  /** One message of the server. */
  heard(message: Message): void {
    if (message.shape === 'request') this.#asked(message)
    else if (message.shape === 'notification') this.#notified(message)
    else if (message.idText !== undefined)
      (this.#take(message.idText)?.sink ?? this.#leave(message.idText))?.reply(message)
  }

  /** Nothing on such a connection says which call a question is about. */
  #asked(request: Message): void {
    if (request.method !== 'ping') this.#asks = true
    const call = theOne(this.#open.values(), this.#deps.oneClient)
    call?.deadline.hold()
    this.#questions.take(request, call?.sink ?? this.#deps.events, () => call?.deadline.release())
  }

  /** Progress names its call; a log message belongs to the call in flight if there is only one. */
  #notified(message: Message): void {
    if (message.method === 'notifications/progress') {
      const call = this.#open.get(rawAt(message, 'params/progressToken') ?? '')
      call?.deadline.extend()
      call?.sink.event(message)
      return
    }
    if (message.method === 'notifications/cancelled' && this.#questions.withdraw(message)) return
    const [only] = this.#open.values()
    if (message.method === 'notifications/message' && this.#open.size === 1 && only !== undefined)
      only.sink.event(message)
    else this.#deps.events.notified(message)
  }

  #leave(wireId: string): Pick<Sink, 'reply' | 'failed'> | undefined {
    const sink = this.#standing.get(wireId)
    this.#standing.delete(wireId)
    return sink
  }

  #take(wireId: string): Open | undefined {
    const call = this.#open.get(wireId)
    if (call === undefined) return undefined
    this.#open.delete(wireId)
    call.deadline.clear()
    return call
  }
}

const cancelled = (wireId: string, reason: string): string =>
  `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${wireId},"reason":"${reason}"}}`

/** For requests of our own: only the answer counts. */
export const answerOnly = (settle: (answer: Result<Message, UpstreamFailure>) => void): Sink => ({
  mayBeAsked: false,
  event() {},
  asked: decline,
  withdrawn() {},
  reply: (message) => settle(ok(message)),
  failed: (failure) => settle(err(failure)),
})
