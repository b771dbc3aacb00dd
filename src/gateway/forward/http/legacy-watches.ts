import type { Result } from '../../../lib/result.ts'
import { requestMessage } from '../../../protocol/json-rpc.ts'
import type { Message } from '../../../protocol/message.ts'
import { ownMessage } from '../dial/handshake.ts'
import type { UpstreamFailure, UpstreamRequest, WatchRefusal } from '../upstream.ts'

/** Sends one request and waits for its answer. */
type Ask = (request: UpstreamRequest) => Promise<Result<Message, UpstreamFailure>>

interface Watch {
  wanted: boolean
  /** The server has agreed, on the connection as it is. */
  agreed: boolean
  /** The server has agreed, on this connection or one before. */
  known: boolean
  refusal: WatchRefusal | undefined
  settling: Promise<void> | undefined
}

/** A subscriber to a thousand resources must not keep the server from everything else. */
const MAX_ASKING = 16
const ASK_MS = 10_000

/** The resources that a legacy server was asked to report on: `resources/subscribe` once for each, in order per resource. */
export class LegacyWatches {
  readonly #ask: Ask
  readonly #watches = new Map<string, Watch>()
  readonly #queue: (() => void)[] = []
  #asking = 0

  constructor(ask: Ask) {
    this.#ask = ask
  }

  get size(): number {
    return this.#watches.size
  }

  uris(): IterableIterator<string> {
    return this.#watches.keys()
  }

  async watch(uri: string): Promise<WatchRefusal | undefined> {
    const watch = this.#watches.get(uri) ?? {
      wanted: true,
      agreed: false,
      known: false,
      refusal: undefined,
      settling: undefined,
    }
    this.#watches.set(uri, watch)
    watch.wanted = true
    await this.#settle(uri, watch)
    return watch.refusal
  }

  unwatch(uri: string): void {
    const watch = this.#watches.get(uri)
    if (watch === undefined) return
    watch.wanted = false
    void this.#settle(uri, watch)
  }

  /** The server has forgotten: everything is agreed anew. */
  async again(): Promise<void> {
    const all = [...this.#watches]
    await Promise.all(
      all.map(async ([uri, watch]) => {
        await watch.settling
        watch.agreed = false
        await this.#settle(uri, watch)
      }),
    )
  }

  #settle(uri: string, watch: Watch): Promise<void> {
    watch.settling ??= this.#agree(uri, watch).finally(() => {
      watch.settling = undefined
      if (!watch.wanted && this.#watches.get(uri) === watch) this.#watches.delete(uri)
    })
    return watch.settling
  }

  /** Until the server knows what is wanted, which may change while it is asked. */
  async #agree(uri: string, watch: Watch): Promise<void> {
    while (watch.wanted !== watch.agreed) {
      if (watch.wanted) {
        watch.refusal = refusalIn(await this.#call('resources/subscribe', uri))
        watch.agreed = watch.refusal === undefined
        if (watch.agreed) watch.known = true
        // One that it had agreed to stays wanted while the server is away: it will be asked again.
        else if (watch.known && watch.refusal?.failure !== undefined) return
        else watch.wanted = false
      } else {
        await this.#call('resources/unsubscribe', uri)
        watch.agreed = false
      }
    }
  }

  async #call(method: string, uri: string): Promise<Result<Message, UpstreamFailure>> {
    if (this.#asking >= MAX_ASKING) {
      await new Promise<void>((resolve) => {
        this.#queue.push(resolve)
      })
    }
    this.#asking++
    const message = ownMessage(requestMessage('0', method, { uri }))
    try {
      return await this.#ask({ method, message, edits: [], timeoutMs: ASK_MS })
    } finally {
      this.#asking--
      this.#queue.shift()?.()
    }
  }
}

function refusalIn(answer: Result<Message, UpstreamFailure>): WatchRefusal | undefined {
  if (!answer.ok) return { failure: answer.error }
  return answer.value.shape === 'error' ? { reply: answer.value } : undefined
}
