import { mintSessionId } from '../../../lib/id.ts'
import { sseMessage } from '../../../protocol/sse.ts'
import type { Session, SessionStream } from '../../classify/session.ts'
import type { ConnectionOwner, EventConnection } from '../events/event-stream.ts'

/** Whose a connection is and what it is with; nobody else may post to it, and nothing else. */
export interface SseOwner {
  /** `Principal.key` */
  readonly principal: string
  readonly project: string
  readonly server: string | undefined
}

export interface SseConnectionAbout {
  readonly owner: SseOwner
  readonly connection: EventConnection
  /** Told when a session has begun to speak on it. */
  readonly bound: (session: Session) => void
  /** Told once, when the stream is over, with the session that lived on it. */
  readonly closed: (session: Session | undefined) => void
}

/** HTTP+SSE (MCP 2024-11-05): the one stream of a client, which carries every answer, and the session that lives on it. */
export class SseConnection implements ConnectionOwner {
  /** Stands in the address to post to: unguessable, and of no use to another principal. */
  readonly id = mintSessionId()
  readonly owner: SseOwner
  readonly #connection: EventConnection
  readonly #about: Pick<SseConnectionAbout, 'bound' | 'closed'>
  readonly #goneListeners = new Set<() => void>()
  #drainListeners: (() => void)[] = []
  #session: Session | undefined
  #full = false
  gone = false

  constructor(about: SseConnectionAbout) {
    const { owner, connection } = about
    this.owner = owner
    this.#connection = connection
    this.#about = about
    connection.owner = this
    connection.write(`event: endpoint\ndata: ${addressOf(owner)}?sessionId=${this.id}\n\n`)
  }

  /** Since `initialize`. */
  get session(): Session | undefined {
    return this.#session
  }

  /** `initialize` has opened a session: it speaks on this stream. Returns the one before, which is over. */
  bind(session: Session): Session | undefined {
    const before = this.#session
    if (before !== undefined) before.stream = undefined
    this.#session = session
    session.stream = this.#asSessionStream()
    this.#about.bound(session)
    return before
  }

  /** False: the client does not keep up. */
  send(message: Buffer | string): boolean {
    if (this.gone) return true
    if (!this.#connection.write(sseMessage(message))) this.#full = true
    return !this.#full
  }

  onDrain(listener: () => void): void {
    if (this.#full && !this.gone) this.#drainListeners.push(listener)
    else listener()
  }

  onGone(listener: () => void): () => void {
    if (this.gone) listener()
    else this.#goneListeners.add(listener)
    return () => this.#goneListeners.delete(listener)
  }

  close(): void {
    this.#connection.end()
  }

  drained(): void {
    this.#full = false
    const waiting = this.#drainListeners
    this.#drainListeners = []
    for (const listener of waiting) listener()
  }

  closed(): void {
    if (this.gone) return
    this.gone = true
    this.drained()
    for (const listener of this.#goneListeners) listener()
    this.#goneListeners.clear()
    this.#about.closed(this.#session)
  }

  #asSessionStream(): SessionStream {
    return { send: (message) => void this.send(message), close: () => this.close() }
  }
}

/** The path alone: behind a proxy the client knows the origin better than we do. */
const addressOf = ({ project, server }: SseOwner): string =>
  `/projects/${project}${server === undefined ? '' : `/servers/${server}`}/messages`
