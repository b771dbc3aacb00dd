import type { Result } from '../../../lib/result.ts'
import { readServerBatch } from '../../../protocol/batch.ts'
import { readMessage, type Message } from '../../../protocol/message.ts'
import type { Instance, InstanceEnd, InstanceSpec, Runtime } from '../../../runtime/runtime.ts'
import { answerOnly, CallTable } from '../call-table.ts'
import type { Asked } from '../questions.ts'
import type { Sink, UpstreamFailure } from '../upstream.ts'

export interface PipeEvents extends Asked {
  /** A notification that belongs to no call. */
  notified(message: Message): void
  ended(failure: UpstreamFailure): void
}

/** Messages that wait for a child which does not read; beyond it, calls are refused. */
const MAX_WAITING = 1000

/** One child process and the calls that are open on it: lines in, lines out. */
export class StdioPipe {
  readonly #events: PipeEvents
  readonly #calls: CallTable
  readonly #waiting: Buffer[] = []
  #instance: Instance | undefined
  #draining = false
  #end: UpstreamFailure | undefined
  /** Lines that were no MCP messages; old servers print banners. */
  #garbage = 0

  /** @param oneClient all calls on it are one client's */
  constructor(events: PipeEvents, oneClient: boolean) {
    this.#events = events
    this.#calls = new CallTable({ send: (message) => this.tell(message), events, oneClient })
  }

  get asks(): boolean {
    return this.#calls.asks
  }

  get ended(): UpstreamFailure | undefined {
    return this.#end
  }

  get pid(): number | undefined {
    return this.#instance?.pid
  }

  get openCalls(): number {
    return this.#calls.size
  }

  async start(runtime: Runtime, spec: InstanceSpec): Promise<void> {
    this.#instance = await runtime.start(spec, {
      line: (line) => this.#line(line),
      ended: (end) => this.#ended(end),
    })
  }

  /** Sends a request and follows it to its answer. */
  call(wireId: string, bytes: Buffer, timeoutMs: number, sink: Sink): void {
    if (this.#end !== undefined) return sink.failed(this.#end)
    this.#calls.add(wireId, timeoutMs, sink)
    if (!this.#write(bytes))
      this.#calls.fail(wireId, { kind: 'unreachable', message: 'it does not read its input' })
  }

  /** Sends a request whose answer is its end. */
  stand(wireId: string, text: string, sink: Pick<Sink, 'reply' | 'failed'>): void {
    if (this.#end !== undefined) return sink.failed(this.#end)
    this.#calls.stand(wireId, sink)
    if (!this.#write(Buffer.from(text)))
      this.#calls.fail(wireId, { kind: 'unreachable', message: 'it does not read its input' })
  }

  /** Tells the server to stop; whatever still comes for the call is dropped. */
  cancel(wireId: string): void {
    this.#calls.cancel(wireId)
  }

  tell(text: string): void {
    this.#write(Buffer.from(text))
  }

  /** A request of our own, and its answer. */
  ask(wireId: string, text: string, timeoutMs: number): Promise<Result<Message, UpstreamFailure>> {
    return new Promise((resolve) => {
      this.call(wireId, Buffer.from(text), timeoutMs, answerOnly(resolve))
    })
  }

  async stop(): Promise<void> {
    this.#fail({ kind: 'unreachable', message: 'it was stopped' })
    await this.#instance?.stop()
  }

  #line(line: Buffer): void {
    const read = readMessage(line, 'upstream')
    if (read.ok) return this.#calls.heard(read.value)
    const batch = read.error === 'batch' ? readServerBatch(line) : []
    if (batch.length === 0) this.#garbage++
    for (const message of batch) this.#calls.heard(message)
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

  #ended(end: InstanceEnd): void {
    const noise =
      this.#garbage > 0 && end.why !== 'spawn' ? '; it printed lines that are not MCP messages' : ''
    this.#fail({ kind: 'unreachable', message: `${end.message}${noise}` })
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#end !== undefined) return
    this.#end = failure
    this.#calls.failAll(failure)
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
