import { err, ok, type Result } from '../../lib/result.ts'
import { readServerBatch } from '../../protocol/batch.ts'
import { rawAt, readMessage, type Message } from '../../protocol/message.ts'
import type { Instance, InstanceEnd, InstanceSpec, Runtime } from '../../runtime/runtime.ts'
import { startDeadline, type Deadline } from './deadline.ts'
import { OpenQuestions, theOne, type Asked } from './questions.ts'
import { decline, type Sink, type UpstreamFailure } from './upstream.ts'

export interface PipeEvents extends Asked {
  /** A notification that belongs to no call. */
  notified(message: Message): void
  ended(failure: UpstreamFailure): void
}

interface Pending {
  readonly sink: Sink
  readonly deadline: Deadline
}

/** Messages that wait for a child which does not read; beyond it, calls are refused. */
const MAX_WAITING = 1000

/** One child process and the calls that are open on it: lines in, lines out, answers matched by id. */
export class StdioPipe {
  readonly #events: PipeEvents
  readonly #oneClient: boolean
  readonly #pending = new Map<string, Pending>()
  readonly #waiting: Buffer[] = []
  readonly #questions = new OpenQuestions((message) => this.tell(message))
  #instance: Instance | undefined
  #draining = false
  #asks = false
  #end: UpstreamFailure | undefined
  /** Lines that were no MCP messages; old servers print banners. */
  #garbage = 0

  /** @param oneClient all calls on it are one client's */
  constructor(events: PipeEvents, oneClient: boolean) {
    this.#events = events
    this.#oneClient = oneClient
  }

  get asks(): boolean {
    return this.#asks
  }

  get ended(): UpstreamFailure | undefined {
    return this.#end
  }

  get openCalls(): number {
    return this.#pending.size
  }

  async start(runtime: Runtime, spec: InstanceSpec): Promise<void> {
    this.#instance = await runtime.start(spec, {
      line: (line) => this.#line(line),
      ended: (end) => this.#ended(end),
    })
  }

  /** Sends a request and follows it to its answer. */
  call(wireId: string, bytes: Buffer, timeoutMs: number, sink: Sink): void {
    if (this.#end !== undefined) {
      sink.failed(this.#end)
      return
    }
    const deadline = startDeadline(timeoutMs, () => {
      this.#pending.delete(wireId)
      this.tell(
        `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${wireId},"reason":"timeout"}}`,
      )
      sink.failed({ kind: 'timeout', message: 'it did not answer in time' })
    })
    this.#pending.set(wireId, { sink, deadline })
    if (this.#write(bytes)) return
    this.#take(wireId)
    sink.failed({ kind: 'unreachable', message: 'it does not read its input' })
  }

  /** Forgets a call; whatever still comes for it is dropped. True when it was open. */
  drop(wireId: string): boolean {
    return this.#take(wireId) !== undefined
  }

  tell(text: string): void {
    this.#write(Buffer.from(text))
  }

  /** The next answer to `wireId`, without a deadline of its own beyond `timeoutMs`. */
  ask(wireId: string, text: string, timeoutMs: number): Promise<Result<Message, UpstreamFailure>> {
    return new Promise((resolve) => {
      this.call(wireId, Buffer.from(text), timeoutMs, {
        mayBeAsked: false,
        event() {},
        asked: decline,
        withdrawn() {},
        reply: (message) => resolve(ok(message)),
        failed: (failure) => resolve(err(failure)),
      })
    })
  }

  async stop(): Promise<void> {
    this.#fail({ kind: 'unreachable', message: 'it was stopped' })
    await this.#instance?.stop()
  }

  #line(line: Buffer): void {
    const read = readMessage(line, 'upstream')
    if (read.ok) return this.#heard(read.value)
    const batch = read.error === 'batch' ? readServerBatch(line) : []
    if (batch.length === 0) this.#garbage++
    for (const message of batch) this.#heard(message)
  }

  #heard(message: Message): void {
    if (message.shape === 'request') this.#asked(message)
    else if (message.shape === 'notification') this.#notification(message)
    else if (message.idText !== undefined) {
      const call = this.#take(message.idText)
      call?.sink.reply(message)
    }
  }

  /** A pipe says nothing of which call a question is about. */
  #asked(request: Message): void {
    if (request.method !== 'ping') this.#asks = true
    const call = theOne(this.#pending.values(), this.#oneClient)
    call?.deadline.hold()
    this.#questions.take(request, call?.sink ?? this.#events, () => call?.deadline.release())
  }

  /** Progress names its call; a log message belongs to the call in flight if there is only one. */
  #notification(message: Message): void {
    if (message.method === 'notifications/progress') {
      const call = this.#pending.get(rawAt(message, 'params/progressToken') ?? '')
      call?.deadline.extend()
      call?.sink.event(message)
      return
    }
    if (message.method === 'notifications/cancelled' && this.#questions.withdraw(message)) return
    const [only] = this.#pending.values()
    if (message.method === 'notifications/message' && this.#pending.size === 1 && only !== undefined)
      only.sink.event(message)
    else this.#events.notified(message)
  }

  #write(message: Buffer): boolean {
    const instance = this.#instance
    if (instance === undefined || this.#end !== undefined) return false
    if (this.#draining) {
      if (this.#waiting.length >= MAX_WAITING) return false
      this.#waiting.push(message)
      return true
    }
    if (!instance.write(oneLine(message))) void this.#drain(instance)
    return true
  }

  async #drain(instance: Instance): Promise<void> {
    this.#draining = true
    await instance.drained()
    this.#draining = false
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#write(next)
      if (this.#draining) return
    }
  }

  #take(wireId: string): Pending | undefined {
    const call = this.#pending.get(wireId)
    if (call === undefined) return undefined
    this.#pending.delete(wireId)
    call.deadline.clear()
    return call
  }

  #ended(end: InstanceEnd): void {
    const noise =
      this.#garbage > 0 && end.why !== 'spawn' ? '; it printed lines that are not MCP messages' : ''
    this.#fail({ kind: 'unreachable', message: `${end.message}${noise}` })
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#end !== undefined) return
    this.#end = failure
    this.#questions.dropAll()
    const calls = [...this.#pending.keys()].flatMap((id) => this.#take(id) ?? [])
    for (const call of calls) call.sink.failed(failure)
    this.#events.ended(failure)
  }
}

/** A message must be one line; between JSON tokens a line break is white space, and inside strings none can stand. */
function oneLine(message: Buffer): Buffer {
  if (!message.includes(0x0a) && !message.includes(0x0d)) return message
  const copy = Buffer.from(message)
  for (let i = 0; i < copy.length; i++) if (copy[i] === 0x0a || copy[i] === 0x0d) copy[i] = 0x20
  return copy
}
