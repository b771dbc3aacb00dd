import { errorMessage, resultMessage } from '../../protocol/json-rpc.ts'
import { rawAt, type Message } from '../../protocol/message.ts'
import type { Question, Sink } from './upstream.ts'

/** Who is to hear of a question: the caller of the call it belongs to, or whoever the connection is for. */
export interface Asked {
  asked(question: Question): void
  withdrawn(question: Question): void
}

/**
 * Of the calls in flight the one that a question can only belong to, since no other caller can be asked; where all are
 * one client's, the latest, since any of its streams will do.
 */
export function theOne<Call extends { readonly sink: Sink }>(
  calls: Iterable<Call>,
  oneClient: boolean,
): Call | undefined {
  let only: Call | undefined
  let all = 0
  let latest: Call | undefined
  let count = 0
  for (const call of calls) {
    only = call
    all++
    if (!call.sink.mayBeAsked) continue
    latest = call
    count++
  }
  // Nobody can be asked; the one call learns at least what it lacks.
  if (all === 1) return only
  return count === 1 || oneClient ? latest : undefined
}

interface Open {
  readonly question: Question
  readonly to: Asked
  readonly settled: () => void
}

/** Of one connection. A server that asks more at once is told so; people could not answer it anyway. */
const MAX_OPEN = 100

/** The questions of one legacy connection that have no answer yet, by the id that the server gave each. */
export class OpenQuestions {
  readonly #send: (message: string) => void
  readonly #open = new Map<string, Open>()

  /** @param send carries one message to the server */
  constructor(send: (message: string) => void) {
    this.#send = send
  }

  /**
   * A request of the server. `ping` is answered here, as is what no client could read; a second one under an open id not at
   * all (JSON-RPC leaves no way to).
   * @param settled called once the question has been answered or taken back
   */
  take(request: Message, to: Asked, settled: () => void): void {
    const id = request.idText ?? '0'
    if (this.#open.has(id)) return settled()
    const own = this.#ownAnswer(id, request)
    if (own !== undefined) {
      this.#send(own)
      return settled()
    }
    const question: Question = {
      request,
      answer: (body) => {
        if (!this.#close(id, question)) return
        this.#send(`{"jsonrpc":"2.0","id":${id},${body}}`)
      },
      tell: (notification) => {
        if (this.#open.get(id)?.question === question) this.#send(notification)
      },
    }
    this.#open.set(id, { question, to, settled })
    to.asked(question)
  }

  /** `notifications/cancelled` of the server; false when it names no open question. */
  withdraw(notification: Message): boolean {
    const open = this.#open.get(rawAt(notification, 'params/requestId') ?? '')
    if (open === undefined) return false
    this.#close(open.question.request.idText ?? '0', open.question)
    open.to.withdrawn(open.question)
    return true
  }

  /** The connection is over: whoever was asked need not answer. */
  dropAll(): void {
    for (const [id, { question, to }] of this.#open) if (this.#close(id, question)) to.withdrawn(question)
  }

  #ownAnswer(id: string, request: Message): string | undefined {
    if (request.method === 'ping') return resultMessage(id, '{}')
    if (rawAt(request, 'params')?.startsWith('{') === false)
      return errorMessage(id, { code: -32602, message: 'params must be an object', data: {} })
    if (this.#open.size < MAX_OPEN) return undefined
    return errorMessage(id, { code: -32603, message: 'too many questions are open', data: {} })
  }

  /** False when it was closed before. */
  #close(id: string, question: Question): boolean {
    const open = this.#open.get(id)
    if (open?.question !== question) return false
    this.#open.delete(id)
    open.settled()
    return true
  }
}
