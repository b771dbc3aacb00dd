import type { Implementation } from '../../../protocol/envelope.ts'
import { requestMessage } from '../../../protocol/json-rpc.ts'
import { rawAt, valueAt, type Message } from '../../../protocol/message.ts'
import { startDeadline, type Deadline } from '../deadline.ts'
import { feedPauseMs } from './feed-pause.ts'
import { changedList, ourEnvelope } from '../dial/handshake.ts'
import { announceGap } from './missed-changes.ts'
import { declaredReports, Known, LISTS, NO_REPORTS } from '../reports.ts'
import type { Capabilities, Reports, UpstreamEvents, UpstreamFailure, WatchRefusal } from '../upstream.ts'
import type { WireIds } from '../wire-id.ts'

/** What carries a `subscriptions/listen`: a stream of its own over HTTP, the pipe of a process. */
export interface ListenPort {
  open(wireId: string, body: string, to: ListenSink): { close(): void }
}

export interface ListenSink {
  /** Everything that comes for this listen: notifications, and the response that ends it. */
  message(message: Message): void
  /** Nothing more will come. `refused`: nor would it another time. */
  over(how: 'broken' | 'refused'): void
}

export interface ModernFeedOptions {
  readonly port: ListenPort
  readonly capabilities: Capabilities
  readonly us: Implementation
  readonly ids: WireIds
  readonly events: UpstreamEvents
  readonly tickMs: () => number
}

interface Listen {
  readonly wireId: string
  readonly uris: ReadonlySet<string>
  readonly deadline: Deadline
  close(): void
  acknowledgedMs: number | undefined
}

interface Waiter {
  readonly uri: string
  readonly resolve: (refusal: WatchRefusal | undefined) => void
}

const ACK_MS = 10_000
/** Fewer resources are wanted: no hurry, more of that may follow. */
const SHRINK_MS = 1000
/** A stream that has held for this long was a good one. */
const STEADY_MS = 10_000
/** A server that does not know the method may be exchanged for one that does. */
const REFUSED_MS = 15 * 60_000

const AWAY: UpstreamFailure = {
  kind: 'unreachable',
  message: 'it does not take the request to report changes',
}

/**
 * What a modern server reports unasked: one `subscriptions/listen` for all lists and all resources that are wanted. A
 * filter holds for the life of its stream (MCP 2026-07-28), so a change of it is a new stream that takes over from the old
 * one once the server has acknowledged it; nothing is lost in between, and what both carry is one change to those who hear.
 */
export class ModernFeed {
  readonly #options: ModernFeedOptions
  readonly #declared: Reports
  readonly #known: Known<Reports>
  readonly #wanted = new Set<string>()
  #waiters: Waiter[] = []
  #current: Listen | undefined
  #next: Listen | undefined
  #timer: NodeJS.Timeout | undefined
  #tries = 0
  /** A stream broke: changes may have been lost until the next is there. */
  #gap = false
  #stopped = false
  /** The server does not know the method. */
  #refused = false
  #agreed: Reports = NO_REPORTS

  constructor(options: ModernFeedOptions) {
    this.#options = options
    this.#declared = declaredReports(options.capabilities)
    this.#known = new Known(this.#declared)
  }

  get watched(): number {
    return this.#wanted.size
  }

  start(): void {
    if (LISTS.some((list) => this.#declared[list])) this.#open()
    else this.#known.set(this.#declared)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#drop(this.#current)
    this.#drop(this.#next)
    this.#current = this.#next = undefined
    this.#settle(() => ({ failure: AWAY }))
  }

  reports(): Promise<Reports> {
    return this.#known.get()
  }

  watch(uri: string): Promise<WatchRefusal | undefined> {
    if (!this.#declared.updates || this.#refused || this.#stopped) return Promise.resolve({})
    if (this.#wanted.has(uri) && this.#current?.uris.has(uri) === true) return Promise.resolve(undefined)
    this.#wanted.add(uri)
    const watching = new Promise<WatchRefusal | undefined>((resolve) => {
      this.#waiters.push({ uri, resolve })
    })
    // More may follow at once; they travel in one request.
    if (this.#next === undefined) this.#later(0)
    return watching
  }

  unwatch(uri: string): void {
    if (!this.#wanted.delete(uri) || this.#stopped || this.#timer !== undefined) return
    this.#later(SHRINK_MS)
  }

  #later(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#adapt()
    }, ms)
    this.#timer.unref()
  }

  /** The filter of the stream and what is wanted are held against each other. */
  #adapt(): void {
    if (this.#stopped || this.#next !== undefined) return
    this.#refused = false
    const wantsAny = this.#wanted.size > 0 || LISTS.some((list) => this.#declared[list])
    if (!wantsAny) {
      this.#drop(this.#current)
      this.#current = undefined
      return
    }
    if (this.#current !== undefined && sameSet(this.#current.uris, this.#wanted)) {
      this.#settle(() => undefined)
      return
    }
    this.#open()
  }

  #open(): void {
    const { ids, us, port } = this.#options
    const wireId = ids.next()
    const uris = new Set(this.#wanted)
    const notifications = {
      ...(this.#declared.tools ? { toolsListChanged: true } : {}),
      ...(this.#declared.prompts ? { promptsListChanged: true } : {}),
      ...(this.#declared.resources ? { resourcesListChanged: true } : {}),
      ...(uris.size === 0 ? {} : { resourceSubscriptions: [...uris] }),
    }
    const body = requestMessage(wireId, 'subscriptions/listen', { notifications, _meta: ourEnvelope(us) })
    let handle: { close(): void } | undefined
    const listen: Listen = {
      wireId,
      uris,
      deadline: startDeadline(ACK_MS, () => this.#over(listen, 'broken')),
      close: () => handle?.close(),
      acknowledgedMs: undefined,
    }
    this.#next = listen
    handle = port.open(wireId, body, {
      message: (message) => this.#heard(listen, message),
      over: (how) => this.#over(listen, how),
    })
  }

  #heard(listen: Listen, message: Message): void {
    if (listen !== this.#current && listen !== this.#next) return
    if (message.shape === 'result') return this.#over(listen, 'broken')
    if (message.shape === 'error') return this.#refusedBy(listen, message)
    if (message.shape !== 'notification') return
    if (message.method === 'notifications/subscriptions/acknowledged')
      return this.#acknowledged(listen, message)
    // The server ends the listen; over a pipe there is no other way to.
    if (message.method === 'notifications/cancelled') return this.#over(listen, 'broken')
    const what = changedList(message.method)
    if (what !== undefined) this.#options.events.changed(what)
    else this.#options.events.notified(message)
  }

  /** The stream that is acknowledged takes over. */
  #acknowledged(listen: Listen, message: Message): void {
    if (listen !== this.#next) return
    listen.deadline.clear()
    listen.acknowledgedMs = this.#options.tickMs()
    const before = this.#current
    this.#current = listen
    this.#next = undefined
    this.#drop(before)
    const honoured = honouredIn(message)
    this.#agreed = { ...honoured.lists, updates: this.#declared.updates }
    this.#known.set(this.#agreed)
    this.#settle((uri) => (!listen.uris.has(uri) ? 'wait' : honoured.uris.has(uri) ? undefined : {}))
    for (const uri of listen.uris) if (!honoured.uris.has(uri)) this.#wanted.delete(uri)
    if (this.#gap) announceGap(this.#options.events, this.#agreed, honoured.uris)
    this.#gap = false
    if (this.#waiters.length > 0) this.#later(0)
  }

  /** An error that says that the method is not there will be said again; all others may pass. */
  #refusedBy(listen: Listen, message: Message): void {
    if (listen === this.#next) this.#fail(listen, { reply: message })
    this.#over(listen, rawAt(message, 'error/code') === '-32601' ? 'refused' : 'broken')
  }

  #over(listen: Listen, how: 'broken' | 'refused'): void {
    // A server that has ended the listen may have left its stream open.
    this.#drop(listen)
    if (listen === this.#current) this.#current = undefined
    else if (listen === this.#next) this.#next = undefined
    else return
    if (this.#stopped) return
    if (how === 'refused' && listen.acknowledgedMs === undefined) {
      this.#refused = true
      this.#known.set(NO_REPORTS)
      this.#settle(() => ({}))
      this.#wanted.clear()
      return this.#later(REFUSED_MS)
    }
    if (listen.acknowledgedMs === undefined) this.#fail(listen, { failure: AWAY })
    if (this.#current === undefined) this.#gap = true
    const steady = this.#options.tickMs() - (listen.acknowledgedMs ?? Infinity) > STEADY_MS
    if (steady) this.#tries = 0
    this.#later(feedPauseMs(this.#tries++))
  }

  /** Who waited for this stream is told; what was agreed before stays wanted. */
  #fail(listen: Listen, refusal: WatchRefusal): void {
    for (const { uri } of this.#waiters) if (listen.uris.has(uri)) this.#wanted.delete(uri)
    this.#settle((uri) => (listen.uris.has(uri) ? refusal : 'wait'))
  }

  #settle(how: (uri: string) => WatchRefusal | undefined | 'wait'): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      const refusal = how(waiter.uri)
      if (refusal === 'wait') this.#waiters.push(waiter)
      else waiter.resolve(refusal)
    }
  }

  #drop(listen: Listen | undefined): void {
    listen?.deadline.clear()
    listen?.close()
  }
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false
  for (const one of a) if (!b.has(one)) return false
  return true
}

function honouredIn(acknowledgement: Message): {
  readonly lists: Omit<Reports, 'updates'>
  readonly uris: ReadonlySet<string>
} {
  const params = valueAt(acknowledgement, 'params') as { notifications?: Record<string, unknown> } | null
  const notifications = params?.notifications ?? {}
  const uris = notifications['resourceSubscriptions']
  return {
    lists: {
      tools: notifications['toolsListChanged'] === true,
      prompts: notifications['promptsListChanged'] === true,
      resources: notifications['resourcesListChanged'] === true,
    },
    uris: new Set(Array.isArray(uris) ? uris.filter((uri) => typeof uri === 'string') : []),
  }
}
