import { requestMessage } from '../../protocol/json-rpc.ts'
import { spanOf, valueAt, type Message } from '../../protocol/message.ts'
import { insertMember } from '../../protocol/bridge/request.ts'
import { startDeadline, type Deadline } from './deadline.ts'
import { ownMessage } from './dial/handshake.ts'
import type { Question, Sink, Upstream, UpstreamCall, UpstreamFailure, UpstreamRequest } from './upstream.ts'

/**
 * A tool of 2025-11-25 that can be called as a task only (`execution.taskSupport: required`): the task is made, watched
 * and fetched here, and the caller sees a plain call (MCP 2025-11-25, "Tasks").
 */
export const sendAsTask = (upstream: Upstream, request: UpstreamRequest, sink: Sink): UpstreamCall =>
  new TaskCall(upstream, request, sink)

const MIN_POLL_MS = 100
const MAX_POLL_MS = 10_000
const DEFAULT_POLL_MS = 1000
/** How long the server is to keep the result after we could have fetched it. */
const KEEP_MS = 60_000

interface Task {
  readonly taskId: string
  readonly status: string
  readonly pollInterval: number
}

class TaskCall implements UpstreamCall, Sink {
  readonly mayBeAsked: boolean
  readonly #upstream: Upstream
  readonly #sink: Sink
  readonly #timeoutMs: number
  readonly #deadline: Deadline
  readonly #asked = new Map<Question, Question>()
  #call: UpstreamCall
  #task: Task | undefined
  #timer: NodeJS.Timeout | undefined
  #over = false

  constructor(upstream: Upstream, request: UpstreamRequest, sink: Sink) {
    this.#upstream = upstream
    this.#sink = sink
    this.mayBeAsked = sink.mayBeAsked
    this.#timeoutMs = request.timeoutMs
    this.#deadline = startDeadline(request.timeoutMs, () => this.#expired())
    this.#call = upstream.send(withTask(request), this)
  }

  cancel(): void {
    this.#finish()
    this.#call.cancel()
    if (this.#task !== undefined) this.#endTask(this.#task)
  }

  event(message: Message): void {
    this.#sink.event(message)
  }

  asked(question: Question): void {
    // The time of the task stands still while somebody looks for an answer.
    this.#deadline.hold()
    const passedOn: Question = {
      ...question,
      answer: (body) => {
        if (this.#asked.delete(question)) this.#deadline.release()
        question.answer(body)
      },
    }
    this.#asked.set(question, passedOn)
    this.#sink.asked(passedOn)
  }

  withdrawn(question: Question): void {
    const passedOn = this.#asked.get(question)
    if (passedOn === undefined) return
    this.#asked.delete(question)
    this.#deadline.release()
    this.#sink.withdrawn(passedOn)
  }

  failed(failure: UpstreamFailure): void {
    if (this.#finish()) this.#sink.failed(failure)
  }

  /** The first answer: a task, or the result itself, from a server that thought better of it. */
  reply(message: Message): void {
    if (this.#over) return
    const task = taskIn(message, 'task')
    if (task !== undefined) this.#watch(task)
    else if (this.#finish()) this.#sink.reply(message)
  }

  #watch(task: Task): void {
    this.#task = task
    if (this.#over) return this.#endTask(task)
    // The result is asked for as soon as there is something to say: a server that wants an answer of the client's sends
    // its question while somebody waits for the result.
    if (task.status !== 'working') return this.#collect(task)
    this.#timer = setTimeout(() => this.#look(task), task.pollInterval).unref()
  }

  #look(task: Task): void {
    this.#ask('tasks/get', task, {
      reply: (message) => {
        const now = taskIn(message)
        if (now === undefined) this.failed({ kind: 'invalid', message: 'it does not know its own task' })
        else this.#watch(now)
      },
    })
  }

  #collect(task: Task): void {
    this.#ask('tasks/result', task, {
      reply: (message) => {
        if (this.#finish()) this.#sink.reply(message)
      },
    })
  }

  #ask(method: string, { taskId }: Task, { reply }: Pick<Sink, 'reply'>): void {
    const message = ownMessage(requestMessage('0', method, { taskId }))
    this.#call = this.#upstream.send(
      { method, message, edits: [], timeoutMs: this.#timeoutMs },
      {
        mayBeAsked: this.mayBeAsked,
        event: (event) => this.event(event),
        asked: (question) => this.asked(question),
        withdrawn: (question) => this.withdrawn(question),
        failed: (failure) => this.failed(failure),
        reply,
      },
    )
  }

  #expired(): void {
    this.#call.cancel()
    if (this.#task !== undefined) this.#endTask(this.#task)
    this.failed({ kind: 'timeout', message: 'its task was not done in time' })
  }

  /** False when it was over already. */
  #finish(): boolean {
    if (this.#over) return false
    this.#over = true
    clearTimeout(this.#timer)
    this.#deadline.clear()
    return true
  }

  #endTask({ taskId }: Task): void {
    const message = ownMessage(requestMessage('0', 'tasks/cancel', { taskId }))
    this.#upstream.send({ method: 'tasks/cancel', message, edits: [], timeoutMs: 5000 }, IGNORE)
  }
}

const nothing = (): void => {}
const IGNORE: Sink = {
  mayBeAsked: false,
  event: nothing,
  asked: nothing,
  withdrawn: nothing,
  reply: nothing,
  failed: nothing,
}

function withTask(request: UpstreamRequest): UpstreamRequest {
  const params = spanOf(request.message, 'params')
  if (params === undefined) return request
  const task = `"task":{"ttl":${Math.ceil(request.timeoutMs) + KEEP_MS}}`
  return { ...request, edits: [...request.edits, insertMember(request.message.bytes, params, task)] }
}

/** @param member where in the result the task stands; absent: the result is the task */
function taskIn(message: Message, member?: 'task'): Task | undefined {
  const result = (valueAt(message, 'result') ?? {}) as Readonly<Record<string, unknown>>
  const found = (member === undefined ? result : result[member]) as
    | Partial<Record<string, unknown>>
    | undefined
  if (typeof found?.['taskId'] !== 'string' || typeof found['status'] !== 'string') return undefined
  const wish = found['pollInterval']
  const pollInterval =
    typeof wish === 'number' ? Math.min(MAX_POLL_MS, Math.max(MIN_POLL_MS, wish)) : DEFAULT_POLL_MS
  return { taskId: found['taskId'], status: found['status'], pollInterval }
}
