import { rawAt, spanOf, stringAt, valueAt, type Message } from '../../protocol/message.ts'
import { splice } from '../../protocol/splice.ts'

/** Of resources; a client that subscribes to more keeps them only for as long as its session lives. */
const MAX_SUBSCRIPTIONS = 10_000

/**
 * What a client has said in its session that holds until the session ends: to be said again, in the same words, when the
 * session was lost.
 */
export class Remembered {
  #initialize: Message | undefined
  #level: Message | undefined
  readonly #subscriptions = new Map<string, Message>()
  #version = ''
  #announces: readonly string[] = []

  get initialize(): Message | undefined {
    return this.#initialize
  }

  /** The revision that was agreed on. */
  get version(): string {
    return this.#version
  }

  /** URIs that the client hears of. */
  get subscribed(): Iterable<string> {
    return this.#subscriptions.keys()
  }

  /** Lists whose changes the daemon tells this session. */
  get announces(): readonly string[] {
    return this.#announces
  }

  /** Requests to be repeated once a session has been opened in place of another. */
  get standing(): readonly Message[] {
    return [...(this.#level === undefined ? [] : [this.#level]), ...this.#subscriptions.values()]
  }

  opened(initialize: Message, answer: Message): void {
    const { protocolVersion, capabilities } = valueAt(answer, 'result') as {
      protocolVersion?: unknown
      capabilities?: Record<string, { listChanged?: unknown } | undefined>
    }
    this.#initialize = initialize
    this.#version = typeof protocolVersion === 'string' ? protocolVersion : ''
    this.#announces = LISTS.filter((list) => capabilities?.[list]?.listChanged === true)
  }

  /** Another `initialize`: what was said before it holds no longer. */
  forget(): void {
    this.#level = undefined
    this.#subscriptions.clear()
  }

  granted(request: Message): void {
    const uri = stringAt(request, 'params/uri') ?? ''
    if (request.method === 'logging/setLevel') this.#level = request
    else if (request.method === 'resources/unsubscribe') this.#subscriptions.delete(uri)
    else if (request.method === 'resources/subscribe' && this.#subscriptions.size < MAX_SUBSCRIPTIONS)
      this.#subscriptions.set(uri, request)
  }
}

const LISTS = ['tools', 'prompts', 'resources'] as const

/** The same request under another id. */
export function withId(request: Message, id: string): Buffer {
  const { bytes } = request
  const at = spanOf(request, 'id')
  return at === undefined ? bytes : splice(bytes, [{ ...at, text: id }])
}

/** Whether the answer to a request is a result. */
export const isGranted = (answer: Message): boolean =>
  answer.shape === 'result' && rawAt(answer, 'result')?.startsWith('{') === true
