import type { Session, SessionStream } from '../classify/session.ts'
import type { Peers } from '../peers.ts'
import { writeSessionMessage } from './session-message.ts'

/** Messages on their way, of one session. */
const MAX_WAITING = 1000

/** The stream of a session that hangs at another process: what is sent to it is handed over, in order. */
export class RemoteStream implements SessionStream {
  readonly node: string
  readonly #peers: Peers
  readonly #session: Session
  readonly #back: (message: string) => void
  readonly #waiting: string[] = []
  #busy = false
  #closed = false

  /** @param back takes what could not be handed over: the stream is not there any more */
  constructor(node: string, session: Session, peers: Peers, back: (message: string) => void) {
    this.node = node
    this.#session = session
    this.#peers = peers
    this.#back = back
  }

  send(message: string): void {
    // Each process sees for itself that a list has changed, and tells those whose stream it has.
    if (this.#closed || LIST_CHANGED.test(message)) return
    if (this.#waiting.length >= MAX_WAITING) return this.#lost()
    this.#waiting.push(message)
    this.#next()
  }

  close(): void {
    this.#closed = true
    if (this.#session.stream === this) this.#session.stream = undefined
  }

  #next(): void {
    const [message] = this.#waiting
    if (this.#busy || message === undefined) return
    this.#busy = true
    let taken = false
    const settled = (): void => {
      this.#busy = false
      if (!taken) return this.#lost()
      this.#waiting.shift()
      this.#next()
    }
    this.#peers.open(this.node, 'session', writeSessionMessage('tell', this.#session.id, message), {
      line: () => (taken = true),
      end: settled,
      gone: settled,
    })
  }

  #lost(): void {
    if (this.#closed) return
    this.close()
    for (const message of this.#waiting.splice(0)) this.#back(message)
  }
}

const LIST_CHANGED = /^\{"jsonrpc":"2\.0","method":"notifications\/(?:tools|prompts|resources)\/list_changed"/
