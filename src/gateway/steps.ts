import type { FaultCode } from '../lib/fault.ts'
import type { Exchange, Kind, Refusal } from './exchange.ts'
import { KINDS } from './exchange.ts'

/**
 * The way of a request as data: every step, in order, with the requests it applies to. A step changes place only in a
 * diff of this table; `docs/request.md` is drawn from it, and a test holds the two together.
 */

/** Undefined: go on. A refusal ends the exchange. */
export type Step = (x: Exchange) => Refusal | undefined | Promise<Refusal | undefined>

// oxfmt-ignore
const STEP_NAMES = [
  'admit', 'identify', 'enter', 'receive', 'attach', 'classify', 'session', 'route', 'authorize', 'compare', 'record', 'forward', 'answer',
] as const

export type StepName = (typeof STEP_NAMES)[number]

/** What the code of a step must offer: one function, or one per kind of request. */
export type StepTable = Readonly<Record<Exclude<StepName, 'answer'>, Step>> & {
  readonly answer: Readonly<Record<LocalKind, Step>>
}

const TASKS = ['tasks/get', 'tasks/update', 'tasks/cancel'] as const
const FORWARDED = [
  'tools/call',
  ...TASKS,
  'prompts/get',
  'resources/read',
  'completion/complete',
  'resources/subscribe',
  'resources/unsubscribe',
] as const
const SILENT = ['ping', 'notification', 'response', 'batch', 'connect', 'stream', 'end'] as const

/** Answered here. */
export type LocalKind = Exclude<Kind, (typeof FORWARDED)[number]>

interface Row {
  readonly step: StepName
  readonly on: readonly Kind[]
  /** For the drawing: what it does, and with which faults it can end the exchange. */
  readonly does: string
  readonly faults: readonly FaultCode[]
}

const without = (...kinds: readonly Kind[]): readonly Kind[] => KINDS.filter((kind) => !kinds.includes(kind))

// oxfmt-ignore
export const STEPS: readonly Row[] = [
  { step: 'admit',     on: KINDS, does: 'Host, Origin, Accept and Content-Type', faults: ['origin_refused', 'not_acceptable', 'unsupported_media'] },
  { step: 'identify',  on: KINDS, does: 'Authorization header to Principal; an edge asks its control plane', faults: ['unauthenticated', 'unavailable'] },
  { step: 'enter',     on: KINDS, does: 'what this Principal may use of this endpoint, and is there one', faults: ['forbidden', 'no_endpoint'] },
  { step: 'receive',   on: without('connect', 'stream', 'end'), does: 'body read, bounded, scanned once', faults: ['too_large', 'not_json', 'not_jsonrpc'] },
  { step: 'attach',    on: without('connect', 'stream', 'end'), does: 'HTTP+SSE: the stream that takes the answer, bound to its Principal', faults: ['session_lost', 'not_jsonrpc'] },
  { step: 'classify',  on: KINDS, does: 'era and method; headers held against the body', faults: ['header_mismatch', 'invalid_envelope', 'unsupported_version', 'method_not_found', 'method_unavailable', 'invalid', 'not_jsonrpc'] },
  { step: 'session',   on: without('initialize', 'server/discover', 'connect'), does: 'legacy: the session, bound to its Principal', faults: ['session_missing', 'session_lost', 'unsupported_version', 'method_not_allowed'] },
  { step: 'route',     on: FORWARDED, does: 'name, URI or task to Server and its own name', faults: ['invalid', 'not_found', 'method_not_found', 'capability_missing', 'resource_not_found', 'upstream_unreachable', 'upstream_timeout', 'upstream_invalid'] },
  { step: 'authorize', on: FORWARDED, does: 'the rights of the caller and the rules of the Project on this tool, or the one that the task is of; on the Server of what is no tool', faults: ['not_found', 'resource_not_found'] },
  { step: 'compare',   on: ['tools/call'], does: 'modern: Mcp-Param headers held against the arguments', faults: ['header_mismatch'] },
  { step: 'record',    on: without(...SILENT), does: 'the intent is queued; nothing leaves before it is durable', faults: ['unavailable'] },
  { step: 'forward',   on: FORWARDED, does: 'credentials in, to the Server and back, era to era; questions of the Server to the client', faults: ['invalid', 'capability_missing', 'upstream_unreachable', 'upstream_timeout', 'upstream_invalid', 'method_unavailable', 'resource_not_found', 'too_many', 'session_lost', 'unavailable', 'connection_needed'] },
  { step: 'answer',    on: without(...FORWARDED), does: 'answered here: opening, lists, levels, sessions, listening', faults: ['invalid', 'too_large', 'too_many', 'not_acceptable', 'method_not_allowed', 'not_jsonrpc'] },
]

/** Steps before the kind of a request is known: they apply to every exchange, in this order. */
const BEFORE_KIND = STEPS.slice(0, STEPS.findIndex((row) => row.step === 'classify') + 1)

export interface Pipeline {
  readonly head: readonly Step[]
  /** The head for one message of a batch: what came before was done for the batch. */
  readonly elementHead: readonly Step[]
  readonly tail: Readonly<Record<Kind, readonly Step[]>>
}

/** Compiled once at start; a request then only walks two arrays. */
export function compilePipeline(table: StepTable): Pipeline {
  const after = STEPS.slice(BEFORE_KIND.length)
  const stepFor = (row: Row, kind: Kind): Step =>
    row.step === 'answer' ? table.answer[kind as LocalKind] : table[row.step]
  const tail = (kind: Kind): readonly Step[] =>
    after.filter((row) => row.on.includes(kind)).map((row) => stepFor(row, kind))
  return {
    head: BEFORE_KIND.map((row) => table[row.step as Exclude<StepName, 'answer'>]),
    elementHead: [table.classify],
    tail: Object.fromEntries(KINDS.map((kind) => [kind, tail(kind)])) as unknown as Record<
      Kind,
      readonly Step[]
    >,
  }
}
