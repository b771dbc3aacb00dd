import type { Segment } from '../../audit/entry.ts'
import type { Message } from '../../protocol/message.ts'
import { takesBatches } from '../../protocol/revisions.ts'
import { createExchange, need, type Exchange, type Refusal } from '../exchange.ts'
import type { Outlet } from './outlet.ts'

/**
 * A batch of 2025-03-26: each message travels as an exchange of its own, from `classify` on, with its own
 * authorization and its own entry in the record. What they answer is gathered into one answer.
 * @param run walks one element through the rest of the table
 */
export function createAnswerBatch(
  run: (element: Exchange) => Promise<void>,
): (x: Exchange) => Promise<Refusal | undefined> {
  return async (x) => {
    if (!takesBatches(need(x.session, 'session').protocolVersion))
      return {
        code: 'not_jsonrpc',
        hint: 'the revision of this session has no batches; send one message per request',
      }
    const messages = need(x.batch, 'batch')
    const answers = new BatchAnswers(x.out, messages)
    await Promise.all(messages.map((message) => run(elementOf(x, message, new ElementOutlet(answers)))))
    x.outcome = 'ok'
    return undefined
  }
}

function elementOf(x: Exchange, message: Message, out: Outlet): Exchange {
  const { request, response, target, startedMs } = x
  const element = createExchange({ request, response, target, startedMs, out })
  element.principal = x.principal
  element.access = x.access
  element.project = x.project
  element.message = message
  return element
}

/**
 * The answers of a batch: one JSON array, or, once any of its messages has something to say on the way, an event each
 * (MCP 2025-03-26, "Sending Messages to the Server"). Without a request in it there is nothing to answer: 202.
 */
class BatchAnswers {
  readonly out: Outlet
  readonly #hasRequest: boolean
  #open: number
  #kept: string[] = []
  #streaming = false

  constructor(out: Outlet, messages: readonly Message[]) {
    this.out = out
    this.#open = messages.length
    this.#hasRequest = messages.some(({ shape }) => shape === 'request')
  }

  event(message: Buffer | string): boolean {
    this.#streaming = true
    this.#flush()
    return this.out.event(message)
  }

  /** One of the messages is done; `answer` is what it leaves for the client, if anything. */
  done(answer: string | undefined): void {
    this.#open--
    if (answer !== undefined) this.#kept.push(answer)
    if (this.#open === 0) this.#end()
    else if (this.#streaming || this.out.streaming) this.#flush()
  }

  #flush(): void {
    for (const answer of this.#kept.splice(0)) this.out.event(answer)
  }

  #end(): void {
    if (!this.#hasRequest) return this.out.empty(202)
    if (!this.#streaming && !this.out.streaming && this.#kept.length > 0)
      return this.out.answer(200, [`[${this.#kept.join(',')}]`])
    const last = this.#kept.pop()
    this.#flush()
    if (last === undefined) this.out.cancelled()
    else this.out.answer(200, [last])
  }
}

/** The way back of one message of a batch: nothing of it leaves before its own record is durable. */
class ElementOutlet implements Outlet {
  readonly #answers: BatchAnswers
  #recorded: Promise<unknown> | undefined
  #done = false

  constructor(answers: BatchAnswers) {
    this.#answers = answers
  }

  get gone(): boolean {
    return this.#answers.out.gone
  }

  get streaming(): boolean {
    return this.#answers.out.streaming
  }

  onGone(listener: () => void): void {
    this.#answers.out.onGone(listener)
  }

  after(segment: Segment | undefined): void {
    if (segment !== undefined && !segment.committed) this.#recorded ??= segment.durable
  }

  mayTakeLong(): void {
    this.#answers.out.mayTakeLong()
  }

  resumable(...about: Parameters<Outlet['resumable']>): void {
    this.#answers.out.resumable(...about)
  }

  event(message: Buffer | string): boolean {
    if (this.#recorded === undefined) return this.#answers.event(message)
    void this.#recorded.then(() => this.#answers.event(message))
    return true
  }

  onDrain(listener: () => void): void {
    this.#answers.out.onDrain(listener)
  }

  answer(_status: number, parts: readonly (Buffer | string)[]): void {
    this.#finish(parts.join(''))
  }

  empty(): void {
    this.#finish(undefined)
  }

  cancelled(): void {
    this.#finish(undefined)
  }

  #finish(answer: string | undefined): void {
    this.#ordered(() => {
      if (this.#done) return
      this.#done = true
      this.#answers.done(answer)
    })
  }

  #ordered(write: () => void): void {
    if (this.#recorded === undefined) write()
    else void this.#recorded.then(write)
  }
}
