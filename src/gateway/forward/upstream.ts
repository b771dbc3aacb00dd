import type { Result } from '../../lib/result.ts'
import type { Message } from '../../protocol/message.ts'
import type { Era } from '../../protocol/revisions.ts'
import type { Edit } from '../../protocol/splice.ts'

/**
 * Everything that offers tools is an Upstream: one live connection to a Server, for one caller or shared, whatever
 * carries it. Messages travel as bytes; ids and progress tokens on the wire are minted by the connection, so two
 * callers can never meet in one id.
 */
export interface Upstream {
  /** Connects and initialises, once; later calls return the same promise. */
  open(): Promise<Result<UpstreamInfo, UpstreamFailure>>
  /** Never throws; whatever happens ends in exactly one of `reply` and `failed`. */
  send(request: UpstreamRequest, sink: Sink): UpstreamCall
  /** False once it can no longer be used; the pool then opens another. */
  readonly alive: boolean
  /**
   * It has asked something without saying which call it is about: calls whose caller can be asked then go one at a time,
   * unless all calls of the connection are one client's.
   */
  readonly asks: boolean
  /** No call is open that closing would cut off. */
  readonly idle: boolean
  /** Passes on a notification of a client that belongs to no call; legacy servers only, others have no use for one. */
  tell(notification: string): void
  /**
   * Asks the server to report changes of a resource, as `notified` events, until `unwatch` and through every break of the
   * connection in between; after a break one event stands for those that may have been lost. Watching what is watched
   * already does nothing. Never throws.
   * @returns why the server does not report them; undefined: it does
   */
  watch(uri: string): Promise<WatchRefusal | undefined>
  unwatch(uri: string): void
  /** Of the process, where it is one of ours. */
  readonly pid?: number | undefined
  /** How many resources it watches. */
  readonly watched: number
  /** What it reports without being asked; waits, for a bounded time, until the server has let us know. */
  reports(): Promise<Reports>
  /** Ends it politely (DELETE, closing standard input). Calls in flight fail. Idempotent. */
  close(): Promise<void>
}

/** What a server said of itself when it was opened. */
export interface UpstreamInfo {
  readonly era: Era
  readonly protocolVersion: string
  readonly capabilities: Capabilities
  /** JSON text of `serverInfo`. */
  readonly serverInfo: string | undefined
  readonly instructions: string | undefined
  /** The server keeps state per connection, so connections may not be shared by callers. */
  readonly stateful: boolean
}

export interface Capabilities {
  readonly tools?: { readonly listChanged?: boolean }
  readonly prompts?: { readonly listChanged?: boolean }
  readonly resources?: { readonly listChanged?: boolean; readonly subscribe?: boolean }
  readonly completions?: object
  readonly logging?: object
  readonly extensions?: Readonly<Record<string, unknown>>
  readonly experimental?: Readonly<Record<string, unknown>>
}

/** The kinds of change that reach us from a server: what it declares, as far as there is a way for it to tell us. */
export interface Reports {
  readonly tools: boolean
  readonly prompts: boolean
  readonly resources: boolean
  /** Changes of single resources (`resources/updated`). */
  readonly updates: boolean
}

export interface WatchRefusal {
  /** The error that the server answered with. */
  readonly reply?: Message
  /** There was no answer. */
  readonly failure?: UpstreamFailure
}

export interface UpstreamRequest {
  readonly method: string
  /** A request in JSON-RPC; which era its body is in after `edits` is the caller's business. */
  readonly message: Message
  /** Changes to make besides those of the id and the progress token. */
  readonly edits: readonly Edit[]
  /** Value of `Mcp-Name`, unencoded, for modern servers over HTTP. */
  readonly name?: string | undefined
  /** `Mcp-Param-*` and whatever else the request itself carries. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** From sending to the answer; each progress notification starts it anew. */
  readonly timeoutMs: number
}

export interface UpstreamCall {
  /** Tells the server to stop; the sink hears nothing more. Harmless when the call is over. */
  cancel(): void
  /**
   * Nothing more is read from the server until `resume`, and the time of the call stands still. Absent where a connection
   * carries several calls at once: the others must not wait.
   */
  pause?(): void
  resume?(): void
}

/** A question of a legacy server, with the id that the server gave it. */
export interface Question {
  readonly request: Message
  /** Gives the answer, once; `body` is the member `"result":…` or `"error":…` of a response. Later answers are dropped. */
  answer(body: string): void
  /** Passes on what the client says about the question while it thinks of an answer (progress). */
  tell(notification: string): void
}

export interface Sink {
  /** Who made the call can be asked something: a question may belong to it. */
  readonly mayBeAsked: boolean
  /** A notification that belongs to this request. Its progress token, if any, is still the one on the wire. */
  event(message: Message): void
  /**
   * The server asks something of who made the call (`elicitation/create`, `sampling/createMessage`, `roots/list`); the
   * deadline of the call stands still until every question has its answer.
   */
  asked(question: Question): void
  /** The server takes its question back: nobody waits for the answer any more. */
  withdrawn(question: Question): void
  /** The response; its id is still the one on the wire. */
  reply(message: Message): void
  failed(failure: UpstreamFailure): void
}

export interface UpstreamFailure {
  /**
   * `unreachable`: it may be down. `timeout`: nothing came in time. `invalid`: it answered with something that is not
   * MCP. `refused`: it wants a credential (401, 403). `session-lost`: it forgot us; the request was not processed.
   */
  readonly kind: 'unreachable' | 'timeout' | 'invalid' | 'refused' | 'session-lost'
  /** One public sentence, without urls, bodies or credentials. */
  readonly message: string
  /** HTTP status where there was one. */
  readonly status?: number | undefined
  /** `refused`: the caller can mend it by connecting an account of their own. */
  readonly connect?: true
}

/** What a connection reports besides answers. */
export interface UpstreamEvents {
  /** A list has changed. */
  changed(what: 'tools' | 'prompts' | 'resources'): void
  /** A notification that belongs to no request (`resources/updated`, unattributed log messages). */
  notified(message: Message): void
  /** A question that belongs to no call in flight, or to which of several cannot be told. */
  asked(question: Question): void
  withdrawn(question: Question): void
  /** It ended by itself; `alive` is false. */
  lost(failure: UpstreamFailure): void
}

/** Asks and waits for the whole answer; events on the way are dropped. For lists and other questions of our own. */
export function ask(upstream: Upstream, request: UpstreamRequest): Promise<Result<Message, UpstreamFailure>> {
  return new Promise((resolve) => {
    upstream.send(request, {
      mayBeAsked: false,
      event() {},
      asked: decline,
      withdrawn() {},
      reply: (message) => resolve({ ok: true, value: message }),
      failed: (failure) => resolve({ ok: false, error: failure }),
    })
  })
}

/** For questions of a server that nobody is there to answer. */
export function decline(question: Question): void {
  question.answer(declined(question.request.method))
}

/** An elicitation can be cancelled; for everything else there is only an error. */
const declined = (method: string): string =>
  method === 'elicitation/create'
    ? '"result":{"action":"cancel"}'
    : '"error":{"code":-32601,"message":"not served by this client"}'
