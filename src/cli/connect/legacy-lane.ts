import type { IncomingHttpHeaders } from 'node:http'
import { notificationMessage } from '../../protocol/json-rpc.ts'
import type { Message } from '../../protocol/message.ts'
import { answerSink, POST_HEADERS, type Wire } from './carry.ts'
import { exchange, isOutage, type End, type Place, type Refusal, type Sink } from './exchange.ts'
import type { Lane } from './lane.ts'
import type { OpenRequest } from './open-request.ts'
import { OwnStream } from './own-stream.ts'
import { PATIENCE_MS, pause } from './outage.ts'
import { isGranted, Remembered, withId } from './remembered.ts'

/** Of connections in a row that brought nothing of an answer. */
const MAX_FRUITLESS = 10
const MAX_RETRY_MS = 60_000

/**
 * A session of the revisions up to 2025-11-25: its id and the stream of its own, which the client knows nothing of. When
 * the session was lost it is opened again with the client's own words, and the client is told what may have changed.
 */
export class LegacyLane implements Lane {
  readonly #wire: Wire
  readonly #mintId: () => string
  readonly #said = new Remembered()
  #session: string | undefined
  #stream: OwnStream | undefined
  /** Sessions that `initialize` requests on their way were given. */
  readonly #offered = new WeakMap<OpenRequest, string | undefined>()
  /** Notifications arrive in order, and before the requests that follow them. */
  #order: Promise<unknown> = Promise.resolve()
  #reopening: Promise<boolean> | undefined

  /** @param mintId JSON text of ids for requests of our own */
  constructor(wire: Wire, mintId: () => string) {
    this.#wire = wire
    this.#mintId = mintId
  }

  async turn(): Promise<void> {
    await this.#order
  }

  headers(request?: OpenRequest): Record<string, string> {
    if (request?.first?.method === 'initialize') return {}
    return {
      ...(this.#session === undefined ? {} : { 'mcp-session-id': this.#session }),
      ...(this.#said.version === '' ? {} : { 'mcp-protocol-version': this.#said.version }),
    }
  }

  taken(request: OpenRequest, headers: IncomingHttpHeaders): void {
    if (request.first?.method === 'initialize') this.#offered.set(request, sessionIn(headers))
  }

  passing(request: OpenRequest, message: Message): void {
    const asked = request.requests.find(({ idText }) => idText === message.idText)
    if (asked === undefined || message.shape !== 'result' || !isGranted(message)) return
    if (asked.method !== 'initialize') return this.#said.granted(asked)
    const before = this.#session
    this.#said.forget()
    this.#begin(asked, message, this.#offered.get(request))
    if (before !== undefined) void this.#end(before)
  }

  /** What follows this request waits for its answer. */
  opening(running: Promise<void>): void {
    this.#order = Promise.all([this.#order, running])
  }

  /** Sends what has no answer: a notification, or a response to a request of the server. */
  tell(message: Message): void {
    const isNotification = message.shape === 'notification'
    const told = (isNotification ? this.#order : Promise.resolve()).then(() => this.#tell(message))
    if (isNotification) this.#order = told
  }

  async mend(_request: OpenRequest, { status, code }: Refusal): Promise<boolean> {
    // Only where a session is what was not found: without one, the endpoint is.
    const session = this.#session
    if (status !== 404 || code === 'no_endpoint' || session === undefined) return false
    return await this.#reopen(session)
  }

  /** The answer comes over a GET from the last event on, as late as the daemon wants (MCP 2025-11-25, "Resumability"). */
  async follow(request: OpenRequest, place: Place): Promise<boolean> {
    let at = place
    let fruitless = 0
    for (let tries = 0; at.lastEventId !== undefined && fruitless < MAX_FRUITLESS; tries++) {
      const waitMs = Math.min(at.retryMs ?? 0, MAX_RETRY_MS)
      if (!(await pause(Math.min(tries, 5), request.signal, waitMs))) return true
      const headers = {
        accept: 'text/event-stream',
        ...this.headers(),
        'last-event-id': at.lastEventId,
      }
      const sink = answerSink(this.#wire, this, request)
      const end = await exchange(this.#wire.daemon, { method: 'GET', headers, signal: request.signal }, sink)
      if (request.isDone || request.isCancelled) return true
      if (end.how === 'refused' && !isOutage(end.refusal)) return false
      if (end.how === 'refused' || end.how === 'unsent') {
        this.#wire.outage.begin()
        if (this.#wire.ending.aborted || !this.#wire.outage.mayPassWithin(PATIENCE_MS)) return false
        continue
      }
      const isFurther = end.place.lastEventId !== undefined && end.place.lastEventId !== at.lastEventId
      fruitless = isFurther ? 0 : fruitless + 1
      at = { lastEventId: end.place.lastEventId ?? at.lastEventId, retryMs: end.place.retryMs ?? at.retryMs }
    }
    return false
  }

  /** DELETE: nobody waits for the session any more. */
  async close(): Promise<void> {
    this.#stream?.stop()
    const session = this.#session
    if (session !== undefined) await this.#end(session)
  }

  #begin(initialize: Message, answer: Message, session: string | undefined): void {
    this.#stream?.stop()
    this.#stream = undefined
    this.#session = session
    this.#said.opened(initialize, answer)
  }

  async #tell(message: Message): Promise<void> {
    const session = this.#session
    let reopened = false
    for (let tries = 0; tries === 0 || !this.#wire.ending.aborted; tries++) {
      const end = await this.#post(message.bytes, this.headers())
      if (end.how === 'ended' || end.how === 'refused') this.#wire.outage.end()
      if (end.how === 'ended') break
      if (end.how === 'refused' && !isOutage(end.refusal)) {
        const isLost = end.refusal.status === 404 && session !== undefined && !reopened
        // A response belongs to the session that asked; another knows nothing of it.
        if (!isLost || !(await this.#reopen(session)) || message.shape !== 'notification') return
        reopened = true
        continue
      }
      this.#wire.outage.begin()
      if (!this.#wire.outage.mayPassWithin(PATIENCE_MS)) return
      await pause(tries, this.#wire.ending)
    }
    if (message.method === 'notifications/initialized') this.#listen()
  }

  /** A message of which nothing comes back that the client must see. */
  #post(body: Buffer, headers: Record<string, string>, sink: Partial<Sink> = {}): Promise<End> {
    return exchange(
      this.#wire.daemon,
      {
        method: 'POST',
        headers: { ...POST_HEADERS, ...headers, 'content-length': String(body.length) },
        body,
        signal: AbortSignal.timeout(PATIENCE_MS),
      },
      { message: () => undefined, isDone: false, ...sink },
    )
  }

  #listen(): void {
    if (this.#session === undefined || this.#stream !== undefined) return
    const session = this.#session
    this.#stream = new OwnStream(this.#wire, {
      headers: () => this.headers(),
      missed: () => this.#tellChanged(),
      lost: () => void this.#reopen(session),
    })
  }

  /** @param lost the session that is gone; when another has taken its place already, all is well */
  async #reopen(lost: string | undefined): Promise<boolean> {
    if (this.#session !== lost) return true
    this.#reopening ??= this.#openAgain().finally(() => {
      this.#reopening = undefined
    })
    return await this.#reopening
  }

  async #openAgain(): Promise<boolean> {
    const { initialize } = this.#said
    if (initialize === undefined) return false
    let session: string | undefined
    let answer: Message | undefined
    await this.#post(
      withId(initialize, this.#mintId()),
      {},
      {
        head: (headers) => {
          session = sessionIn(headers)
        },
        message: ([message]) => {
          if (message !== undefined && isGranted(message)) answer = message
          return undefined
        },
      },
    )
    if (answer === undefined || session === undefined) return false
    this.#begin(initialize, answer, session)
    await this.#post(Buffer.from(notificationMessage('notifications/initialized')), this.headers())
    this.#listen()
    for (const request of this.#said.standing)
      await this.#post(withId(request, this.#mintId()), this.headers())
    this.#wire.pipe.note('the session was lost and has been opened again')
    await this.#tellChanged()
    return true
  }

  async #tellChanged(): Promise<void> {
    const { pipe } = this.#wire
    for (const list of this.#said.announces)
      await pipe.write(notificationMessage(`notifications/${list}/list_changed`))
    for (const uri of this.#said.subscribed)
      await pipe.write(notificationMessage('notifications/resources/updated', { uri }))
  }

  async #end(session: string): Promise<void> {
    await exchange(
      this.#wire.daemon,
      {
        method: 'DELETE',
        headers: { ...this.headers(), 'mcp-session-id': session },
        signal: AbortSignal.timeout(END_MS),
      },
      { message: () => undefined, isDone: false },
    )
  }
}

const END_MS = 2000

function sessionIn(headers: IncomingHttpHeaders): string | undefined {
  const id = headers['mcp-session-id']
  return typeof id === 'string' ? id : undefined
}
