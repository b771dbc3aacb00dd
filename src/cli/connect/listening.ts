import { notificationMessage, resultMessage } from '../../protocol/json-rpc.ts'
import { valueAt, type Message } from '../../protocol/message.ts'
import { POST_HEADERS, type Wire } from './carry.ts'
import { exchange, isOutage, type End, type Refusal } from './exchange.ts'
import { refusalMessage, refusalNote, unreachableMessage } from './failures.ts'
import type { ModernLane } from './modern-lane.ts'
import type { OpenRequest } from './open-request.ts'
import { PATIENCE_MS, pause } from './outage.ts'

const SUBSCRIPTION_KEY = 'io.modelcontextprotocol/subscriptionId'

/** What a listen asked for and was granted (MCP 2026-07-28, `subscriptions/listen`). */
interface Filter {
  readonly toolsListChanged?: unknown
  readonly promptsListChanged?: unknown
  readonly resourcesListChanged?: unknown
  readonly resourceSubscriptions?: unknown
}

/**
 * One `subscriptions/listen`. Over HTTP it ends with its stream; over a pipe it has no reason to: it is asked for again,
 * in the same words, and all that may have changed in between is told. The client sees one acknowledgement.
 */
export class Listening {
  readonly #wire: Wire
  readonly #lane: ModernLane
  readonly #request: OpenRequest
  readonly #id: string
  #granted: Filter | undefined
  /** The daemon has ended it: it may be asked again, or mean it. */
  #result: Buffer | undefined
  #tries = 0

  constructor(wire: Wire, lane: ModernLane, request: OpenRequest) {
    this.#wire = wire
    this.#lane = lane
    this.#request = request
    this.#id = request.first?.idText ?? 'null'
  }

  async run(): Promise<void> {
    const { signal } = this.#request
    while (!this.#request.isDone) {
      const end = await this.#listen()
      if (this.#request.isDone) return
      if (this.#granted === undefined) {
        if (await this.#mayAskAgain(end)) continue
        return
      }
      if (end.how === 'refused' && end.refusal.status < 500 && end.refusal.status !== 429) {
        this.#wire.pipe.note(refusalNote(end.refusal))
        return await this.end()
      }
      if (!(await pause(this.#tries++, signal))) return
    }
  }

  /** The pages of the specification differ on what ends a listen on a pipe: both are said. */
  async end(): Promise<void> {
    if (this.#request.isDone) return
    const meta = { [SUBSCRIPTION_KEY]: JSON.parse(this.#id) as unknown }
    const result = JSON.stringify({ resultType: 'complete', _meta: meta })
    this.#request.drop()
    if (this.#granted === undefined) return
    await this.#wire.pipe.write(this.#result ?? resultMessage(this.#id, result))
    await this.#wire.pipe.write(
      `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${this.#id}}}`,
    )
  }

  #listen(): Promise<End> {
    const { bytes, signal } = this.#request
    return exchange(
      this.#wire.daemon,
      {
        method: 'POST',
        headers: {
          ...POST_HEADERS,
          ...this.#lane.headers(this.#request),
          'content-length': String(bytes.length),
        },
        body: bytes,
        signal,
      },
      {
        head: () => this.#wire.outage.end(),
        message: ([message], raw) => (message === undefined ? undefined : this.#take(message, raw)),
        get isDone() {
          return signal.aborted
        },
      },
    )
  }

  #take(message: Message, raw: Buffer): Promise<void> | undefined {
    if (this.#request.isDone) return undefined
    if (message.shape === 'result' || message.shape === 'error') return this.#answered(message, raw)
    if (message.method !== 'notifications/subscriptions/acknowledged') {
      this.#tries = 0
      return this.#wire.pipe.write(raw)
    }
    this.#result = undefined
    const before = this.#granted
    this.#granted =
      (valueAt(message, 'params') as { notifications?: Filter } | undefined)?.notifications ?? {}
    return before === undefined ? this.#wire.pipe.write(raw) : this.#tellChanged(before)
  }

  #answered(message: Message, raw: Buffer): Promise<void> | undefined {
    if (this.#granted !== undefined) {
      if (message.shape === 'result') this.#result = raw
      return undefined
    }
    this.#request.waiting.clear()
    return this.#wire.pipe.write(raw)
  }

  /** Before it was granted it is a request like any other, and may be made again. */
  async #mayAskAgain(end: End): Promise<boolean> {
    if (end.how === 'refused' && !isOutage(end.refusal)) {
      await this.#refuse(end.refusal)
      return false
    }
    const { outage, pipe, ending } = this.#wire
    outage.begin()
    if (
      outage.mayPassWithin(PATIENCE_MS) &&
      (await pause(this.#tries++, AbortSignal.any([this.#request.signal, ending])))
    )
      return true
    if (this.#request.isDone) return false
    this.#request.waiting.clear()
    const reason = end.how === 'unsent' ? end.reason : 'no daemon answers'
    pipe.note(reason)
    await pipe.write(unreachableMessage(this.#id, reason))
    return false
  }

  async #refuse(refusal: Refusal): Promise<void> {
    if (refusal.message === undefined || refusal.status === 401 || refusal.status === 403)
      this.#wire.pipe.note(refusalNote(refusal))
    this.#request.waiting.clear()
    await this.#wire.pipe.write(refusalMessage(this.#id, refusal))
  }

  async #tellChanged(filter: Filter): Promise<void> {
    const _meta = { [SUBSCRIPTION_KEY]: JSON.parse(this.#id) as unknown }
    for (const list of ['tools', 'prompts', 'resources'] as const)
      if (filter[`${list}ListChanged`] === true)
        await this.#wire.pipe.write(notificationMessage(`notifications/${list}/list_changed`, { _meta }))
    const uris = Array.isArray(filter.resourceSubscriptions) ? filter.resourceSubscriptions : []
    for (const uri of uris)
      await this.#wire.pipe.write(notificationMessage('notifications/resources/updated', { uri, _meta }))
  }
}
