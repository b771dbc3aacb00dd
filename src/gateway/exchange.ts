import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Principal } from '../access/principal.ts'
import type { ProjectAccess } from '../access/project-access.ts'
import type { Segment } from '../audit/entry.ts'
import type { AboutFault, FaultCode } from '../lib/fault.ts'
import { NO_OFFER, type Offer } from '../protocol/client-offer.ts'
import type { Message } from '../protocol/message.ts'
import type { ParamHeader } from '../protocol/param-headers.ts'
import type { Era } from '../protocol/revisions.ts'
import type { Edit } from '../protocol/splice.ts'
import type { Session } from './classify/session.ts'
import type { Outlet } from './reply/outlet.ts'
import type { SseConnection } from './reply/sse/sse-connection.ts'
import type { CompiledProject } from './route/compiled-project.ts'
import type { ProjectUris } from './route/project-uris.ts'
import type { ServerView } from './snapshot.ts'

/** An endpoint of ours: a project, or one server of it (names unprefixed). */
export interface Target {
  readonly project: string
  readonly server: string | undefined
  /** One of the two addresses of HTTP+SSE: GET of the stream, POST of messages. */
  readonly sse?: 'stream' | 'messages' | undefined
}

/** Where a request goes. */
export interface Route {
  readonly server: ServerView
  /** Servers to ask next when this one does not know the resource: a URI says not whose it is. */
  readonly others: readonly ServerView[]
  /** The server's own name of the tool or prompt, or its URI. */
  readonly key: string
  /** Name or URI on the aggregated endpoint: what rules and records speak of. */
  readonly exposed: string
  /** Arguments that travel in headers as well; undefined: none. */
  readonly params: readonly ParamHeader[] | undefined
  /** The tool can be called as a task only. */
  readonly asTask: boolean
  /** What the server offers is not known, for want of an account of the caller's; `done`: they have just connected it. */
  readonly connect?: { readonly why: string } | 'done'
  /** Replaces the name in the body by the server's own. */
  readonly edits: readonly Edit[]
}

/**
 * One request travelling through the gateway: the only record that travels. Every field exists from the start, so all
 * exchanges have one shape; each step fills in what it is named for.
 */
export interface Exchange {
  // listen
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly target: Target
  /** Monotonic, ms. */
  readonly startedMs: number
  /** HTTP+SSE: replaced once it is known on which stream the answer is to go. */
  out: Outlet
  // identify
  principal: Principal | undefined
  // enter
  /** What the principal may use of the project. */
  access: ProjectAccess | undefined
  // receive
  message: Message | undefined
  /** The messages of a batch, in place of the one message; each travels on as an exchange of its own. */
  batch: readonly Message[] | undefined
  // attach
  /** HTTP+SSE: the stream of the client. */
  connection: SseConnection | undefined
  // classify
  era: Era
  /** The method, or `notification` / `response` for what is not a request. */
  kind: Kind | 'unclassified'
  session: Session | undefined
  /** What the client can be asked for: said by its session, or by the request itself. */
  offer: Offer
  // route
  project: CompiledProject | undefined
  route: Route | undefined
  /** How URIs are called on the endpoint; undefined: as their servers call them. */
  uris: ProjectUris | undefined
  /** The client took it back before it had reached its server. */
  cancelled: boolean
  // record
  intentId: string | undefined
  segment: Segment | undefined
  // forward, reply
  outcome: OutcomeStatus | undefined
  outcomeCode: string | undefined
}

export type OutcomeStatus = 'ok' | 'tool-error' | 'error' | 'cancelled' | 'lost'

/** What a message asks for; the columns of the step table. */
export const KINDS = [
  'initialize',
  'server/discover',
  'ping',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'tools/call',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
  'prompts/get',
  'resources/read',
  'completion/complete',
  'resources/subscribe',
  'resources/unsubscribe',
  'logging/setLevel',
  'subscriptions/listen',
  'notification',
  'response',
  'batch',
  'connect',
  'stream',
  'end',
] as const

/** `batch`: several messages in one POST. `connect`: GET that opens a stream of HTTP+SSE. `stream`: GET for what the server says unasked. `end`: DELETE of a session. */
export type Kind = (typeof KINDS)[number]

/** An expected refusal: a value, never thrown. */
export interface Refusal extends AboutFault {
  readonly code: FaultCode
  /** The caller can mend it by connecting an account of their own: why, in one public sentence. */
  readonly connect?: string
}

export function createExchange(about: {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly target: Target
  readonly startedMs: number
  readonly out: Outlet
}): Exchange {
  return {
    request: about.request,
    response: about.response,
    target: about.target,
    startedMs: about.startedMs,
    out: about.out,
    principal: undefined,
    access: undefined,
    message: undefined,
    batch: undefined,
    connection: undefined,
    era: 'legacy',
    kind: 'unclassified',
    session: undefined,
    offer: NO_OFFER,
    project: undefined,
    route: undefined,
    uris: undefined,
    cancelled: false,
    intentId: undefined,
    segment: undefined,
    outcome: undefined,
    outcomeCode: undefined,
  }
}

/** For steps after the one that fills the field: its absence is a bug in the table, not a condition of the request. */
export function need<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new TypeError(`the step table runs a step before ${field} is known`)
  return value
}
