import { memberList, members } from '../json-spans.ts'
import { spanOf, type Message, type Span } from '../message.ts'
import { splice, type Edit } from '../splice.ts'
import { insertMember, removeMembers } from './request.ts'

/**
 * `input_required` results and the retries that answer them (MCP 2026-07-28, "Multi round-trip requests"), made from and
 * turned into the requests that legacy servers send.
 */

/** One thing that a client is asked for. */
export interface InputRequest {
  /** Names it in the round; the answer comes back under it. */
  readonly key: string
  readonly method: string
  /** JSON text. */
  readonly params: string
}

/** JSON text of the result that asks a modern client. */
export function inputRequiredResult(requests: readonly InputRequest[], requestState: string): string {
  const entries = requests.map(
    ({ key, method, params }) =>
      `${JSON.stringify(key)}:{"method":${JSON.stringify(method)},"params":${params}}`,
  )
  return `{"resultType":"input_required","inputRequests":{${entries.join(',')}},"requestState":${JSON.stringify(requestState)}}`
}

export interface InputRound {
  readonly requests: readonly InputRequest[]
  /** JSON text of the state to send back, exactly as it came. */
  readonly state: string | undefined
}

/** What a modern server asks for; undefined when the result is not as the specification has it. */
export function readInputRequired(reply: Message): InputRound | undefined {
  const result = spanOf(reply, 'result')
  if (result === undefined) return undefined
  const present = members(reply.bytes, result)
  const asked = present.get('inputRequests')
  const state = present.get('requestState')
  if (asked === undefined && state === undefined) return undefined
  if (asked !== undefined && reply.bytes[asked.start] !== OBJECT) return undefined
  if (state !== undefined && reply.bytes[state.start] !== STRING) return undefined
  const requests = new Map<string, InputRequest>()
  for (const { key, start, end } of asked === undefined ? [] : memberList(reply.bytes, asked)) {
    const request = readInputRequest(reply.bytes, key, { start, end })
    if (request === undefined || requests.has(key)) return undefined
    requests.set(key, request)
  }
  return {
    requests: [...requests.values()],
    state: state === undefined ? undefined : textAt(reply.bytes, state),
  }
}

function readInputRequest(bytes: Buffer, key: string, span: Span): InputRequest | undefined {
  if (bytes[span.start] !== OBJECT) return undefined
  const parts = members(bytes, span)
  const method = parts.get('method')
  if (method === undefined || bytes[method.start] !== STRING) return undefined
  const params = parts.get('params')
  if (params === undefined) return { key, method: JSON.parse(textAt(bytes, method)) as string, params: '{}' }
  if (bytes[params.start] !== OBJECT) return undefined
  return { key, method: JSON.parse(textAt(bytes, method)) as string, params: textAt(bytes, params) }
}

/** The answers that a retry carries, each the JSON text of a bare result. Only objects can be any. */
export function readInputResponses(request: Message): ReadonlyMap<string, string> {
  const span = spanOf(request, 'params/inputResponses')
  const responses = new Map<string, string>()
  if (span === undefined) return responses
  for (const member of memberList(request.bytes, span))
    if (request.bytes[member.start] === OBJECT) responses.set(member.key, textAt(request.bytes, member))
  return responses
}

/** Whether the user has said no to one of the questions that a retry answers: asked again, they would say it again. */
export function hasDeclined(request: Message): boolean {
  return [...readInputResponses(request).values()].some((json) => {
    const { action } = JSON.parse(json) as { readonly action?: unknown }
    return action === 'decline' || action === 'cancel'
  })
}

/** Turns the first request of a legacy client into the retry of a round. */
export function retryEdit(
  request: Message,
  responses: ReadonlyMap<string, string>,
  state: string | undefined,
): Edit | undefined {
  const params = spanOf(request, 'params')
  const answers = [...responses].map(([key, value]) => `${JSON.stringify(key)}:${value}`)
  const added = [
    ...(answers.length === 0 ? [] : [`"inputResponses":{${answers.join(',')}}`]),
    ...(state === undefined ? [] : [`"requestState":${state}`]),
  ]
  if (params === undefined || added.length === 0) return undefined
  return insertMember(request.bytes, params, added.join(','))
}

/**
 * Parameters of a legacy server's question as a modern client may see them: without what only sessions know (the id of
 * an elicitation, the task it belongs to, a token for progress).
 */
export function toInputRequestParams(params: string): string {
  const bytes = Buffer.from(params)
  const whole = { start: 0, end: bytes.length }
  if (bytes[0] !== OBJECT) return '{}'
  const meta = members(bytes, whole).get('_meta')
  return splice(bytes, [
    ...removeMembers(bytes, whole, ['elicitationId', 'task']),
    ...(meta === undefined ? [] : removeMembers(bytes, meta, SESSION_META)),
  ]).toString()
}

/** Parameters of a modern server's question as a legacy client expects them: URL elicitations have an id there. */
export function toClientRequestParams(params: string, elicitationId: string): string {
  const bytes = Buffer.from(params)
  const whole = { start: 0, end: bytes.length }
  const own = members(bytes, whole)
  const mode = own.get('mode')
  if (mode === undefined || textAt(bytes, mode) !== '"url"' || own.has('elicitationId')) return params
  return splice(bytes, [
    insertMember(bytes, whole, `"elicitationId":${JSON.stringify(elicitationId)}`),
  ]).toString()
}

const SESSION_META = ['progressToken', 'io.modelcontextprotocol/related-task']
const OBJECT = 0x7b
const STRING = 0x22

const textAt = (bytes: Buffer, { start, end }: Span): string => bytes.toString('utf8', start, end)
