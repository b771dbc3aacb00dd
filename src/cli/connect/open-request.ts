import { splitBatch } from '../../protocol/batch.ts'
import { readMessage, type Message } from '../../protocol/message.ts'

/** What the client waits for: one request, or those of a batch (MCP 2025-03-26), which is sent as it came. */
export class OpenRequest {
  readonly bytes: Buffer
  readonly requests: readonly Message[]
  /** Ids that have no answer yet, as JSON text. */
  readonly waiting: Set<string>
  /** It may be sent again though it may have been processed: it only reads, or once is as good as twice. */
  readonly isRepeatable: boolean
  /** Ends the exchange, and every pause before the next. */
  readonly #stop = new AbortController()
  /** Resolves when it was handed to the system for the first time, or given up. */
  readonly sent: Promise<void>
  #settleSent: () => void = () => {}
  #isCancelled = false

  constructor(bytes: Buffer, requests: readonly Message[]) {
    this.bytes = bytes
    this.requests = requests
    this.waiting = new Set(requests.flatMap(({ idText }) => (idText === undefined ? [] : [idText])))
    this.isRepeatable = requests.every(({ method }) => REPEATABLE.has(method))
    this.sent = new Promise((resolve) => {
      this.#settleSent = resolve
    })
  }

  /** The request, where it is one; of a batch the first. */
  get first(): Message | undefined {
    return this.requests[0]
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  get isDone(): boolean {
    return this.waiting.size === 0 || this.signal.aborted
  }

  /** The client does not wait for it any more; an answer may come all the same. */
  get isCancelled(): boolean {
    return this.#isCancelled
  }

  cancel(): void {
    this.#isCancelled = true
  }

  wasSent(): void {
    this.#settleSent()
  }

  /** Nothing more is said of it. */
  drop(): void {
    this.#isCancelled = true
    this.#stop.abort()
    this.#settleSent()
  }
}

// oxfmt-ignore
const REPEATABLE: ReadonlySet<string> = new Set([
  'initialize', 'ping', 'server/discover', 'tools/list', 'prompts/list', 'prompts/get', 'resources/list',
  'resources/read', 'resources/templates/list', 'resources/subscribe', 'resources/unsubscribe', 'completion/complete',
  'logging/setLevel', 'tasks/get', 'tasks/list', 'tasks/result',
])

/** A batch, message by message; what is no message in it is for the daemon to refuse. */
export const readBatch = (bytes: Buffer): Message[] =>
  splitBatch(bytes).flatMap((part) => {
    const read = readMessage(part, 'client')
    return read.ok ? [read.value] : []
  })
