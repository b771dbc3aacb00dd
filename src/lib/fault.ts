/**
 * What a caller can meet. One class, one catalogue; a code exists only where a client would act differently.
 *
 * | column | meaning |
 * |---|---|
 * | `http` | status on the control API |
 * | `mcp`  | status on an MCP endpoint: 200 where the protocol wants a JSON-RPC error inside a successful exchange |
 * | `rpc`  | JSON-RPC code. Own codes may not lie in −32768…−32000 (MCP 2026-07-28), so ours ride in `data.code` |
 * | `exit` | exit status of the CLI: 1 the request failed, 2 the input is wrong |
 * | `text` | the public sentence, complete without the hint |
 */
// oxfmt-ignore
const CATALOGUE = {
  unauthenticated:      { http: 401, mcp: 401, rpc: -32600, exit: 1, text: 'a valid token is needed here' },
  sign_in_refused:      { http: 401, mcp: 401, rpc: -32600, exit: 1, text: 'the sign-in was refused' },
  forbidden:            { http: 403, mcp: 403, rpc: -32600, exit: 1, text: 'you may not do that' },
  origin_refused:       { http: 403, mcp: 403, rpc: -32600, exit: 1, text: 'requests from this Origin or for this Host are refused' },
  not_found:            { http: 404, mcp: 200, rpc: -32602, exit: 1, text: 'there is nothing by that name here' },
  resource_not_found:   { http: 404, mcp: 200, rpc: -32002, exit: 1, text: 'there is no resource by that URI here' },
  no_endpoint:          { http: 404, mcp: 404, rpc: -32600, exit: 1, text: 'there is no endpoint at this address' },
  method_not_found:     { http: 404, mcp: 404, rpc: -32601, exit: 1, text: 'this method is not served here' },
  method_unavailable:   { http: 404, mcp: 200, rpc: -32601, exit: 1, text: 'this method is not served here' },
  method_not_allowed:   { http: 405, mcp: 405, rpc: -32600, exit: 1, text: 'this HTTP method is not served here' },
  invalid:              { http: 400, mcp: 200, rpc: -32602, exit: 2, text: 'the request is not valid' },
  invalid_envelope:     { http: 400, mcp: 400, rpc: -32602, exit: 2, text: 'the request envelope is not valid' },
  not_json:             { http: 400, mcp: 400, rpc: -32700, exit: 2, text: 'the body is not valid JSON' },
  not_jsonrpc:          { http: 400, mcp: 400, rpc: -32600, exit: 2, text: 'the body is not a JSON-RPC message' },
  header_mismatch:      { http: 400, mcp: 400, rpc: -32020, exit: 2, text: 'a header is missing or differs from the body' },
  capability_missing:   { http: 400, mcp: 400, rpc: -32021, exit: 2, text: 'the server asks for something that this client has not declared' },
  unsupported_version:  { http: 400, mcp: 400, rpc: -32022, exit: 2, text: 'this protocol version is not supported' },
  session_missing:      { http: 400, mcp: 400, rpc: -32600, exit: 2, text: 'the Mcp-Session-Id header is missing' },
  session_lost:         { http: 404, mcp: 404, rpc: -32001, exit: 1, text: 'this session is unknown or has ended' },
  conflict:             { http: 409, mcp: 200, rpc: -32600, exit: 1, text: 'this is not possible in the present state' },
  changed_meanwhile:    { http: 412, mcp: 200, rpc: -32600, exit: 1, text: 'it was changed in the meantime' },
  key_reused:           { http: 422, mcp: 200, rpc: -32600, exit: 2, text: 'this Idempotency-Key was used for another request' },
  expired:              { http: 410, mcp: 200, rpc: -32600, exit: 1, text: 'what happened since then is not known any more' },
  too_large:            { http: 413, mcp: 413, rpc: -32600, exit: 2, text: 'the request is too large' },
  not_acceptable:       { http: 406, mcp: 406, rpc: -32600, exit: 2, text: 'the Accept header must list application/json and text/event-stream' },
  unsupported_media:    { http: 415, mcp: 415, rpc: -32600, exit: 2, text: 'the Content-Type is not one that is taken here' },
  too_many:             { http: 429, mcp: 429, rpc: -32603, exit: 1, text: 'a limit has been reached' },
  upstream_unreachable: { http: 502, mcp: 200, rpc: -32603, exit: 1, text: 'the server behind the gateway cannot be reached' },
  upstream_invalid:     { http: 502, mcp: 200, rpc: -32603, exit: 1, text: 'the server behind the gateway gave an answer that cannot be used' },
  upstream_timeout:     { http: 504, mcp: 200, rpc: -32603, exit: 1, text: 'the server behind the gateway did not answer in time' },
  connection_needed:    { http: 403, mcp: 200, rpc: -32603, exit: 1, text: 'an account has to be connected first' },
  unavailable:          { http: 503, mcp: 503, rpc: -32603, exit: 1, text: 'this cannot be done at the moment' },
  internal:             { http: 500, mcp: 500, rpc: -32603, exit: 70, text: 'something went wrong inside Castellan' },
} as const satisfies Record<string, FaultRow>

interface FaultRow {
  readonly http: number
  readonly mcp: number
  readonly rpc: number
  readonly exit: number
  readonly text: string
}

export type FaultCode = keyof typeof CATALOGUE

export interface AboutFault {
  /** Public: what to do next. Never echoes what the caller sent. */
  readonly hint?: string
  /** Public: what is wrong with which field, for `invalid` and its kin. Names fields, never values. */
  readonly problems?: readonly string[]
  /** After how long it is worth another attempt, where that is known. */
  readonly retryAfterSeconds?: number | undefined
  /** Public JSON for `error.data` where a specification fixes its shape. */
  readonly data?: Readonly<Record<string, unknown>>
  /** Private: for the log and the audit record. */
  readonly detail?: unknown
  readonly cause?: unknown
}

/** What passes by itself is worth another attempt soon, also where nobody knows how soon. */
const RETRY_AFTER_SECONDS: Readonly<Partial<Record<FaultCode, number>>> = { unavailable: 1, too_many: 1 }

export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: FaultCode
  readonly hint: string | undefined
  readonly problems: readonly string[]
  readonly retryAfterSeconds: number | undefined
  readonly data: Readonly<Record<string, unknown>> | undefined
  readonly detail: unknown

  constructor(code: FaultCode, about: AboutFault = {}) {
    super(CATALOGUE[code].text, { cause: about.cause })
    this.code = code
    this.hint = about.hint
    this.problems = about.problems ?? []
    this.retryAfterSeconds = about.retryAfterSeconds ?? RETRY_AFTER_SECONDS[code]
    this.data = about.data
    this.detail = about.detail
  }
}

/** What anything thrown becomes at an edge: a Fault stays itself, everything else is a bug and shows nothing of itself. */
export const asFault = (thrown: unknown): Fault =>
  thrown instanceof Fault
    ? thrown
    : new Fault('internal', { cause: thrown, hint: 'the log of the daemon has the reason' })

/** The catalogue's row, for the pages and drawings that are generated from it. */
export const faultRow = (code: FaultCode): FaultRow => CATALOGUE[code]
export const faultCodes = (): readonly FaultCode[] => Object.keys(CATALOGUE) as FaultCode[]

/** Problem details (RFC 9457); `code`, `hint` and `problems` are extension members. */
export interface Problem {
  /** Where the code is explained: a path on the daemon, which needs no credential. */
  readonly type: string
  readonly title: string
  readonly status: number
  /** Problems and hint as one text, for programs that know no more than the RFC. */
  readonly detail?: string
  readonly code: FaultCode
  readonly hint?: string
  readonly problems?: readonly string[]
}

export interface HttpFault {
  readonly status: number
  readonly type: 'application/problem+json'
  readonly headers: Readonly<Record<string, string>>
  readonly body: Problem
}

/** Everything over HTTP that is no MCP endpoint: status, headers and problem details. */
export function toHttp({ code, message, hint, problems, retryAfterSeconds }: Fault): HttpFault {
  const status = CATALOGUE[code].http
  const detail = [...problems, ...(hint === undefined ? [] : [hint])].join('; ')
  return {
    status,
    type: 'application/problem+json',
    headers: {
      // RFC 9110 §15.5.2: a 401 says how to authenticate.
      ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    },
    body: {
      type: `${FAULT_PAGES}/${code}`,
      title: message,
      status,
      ...(detail === '' ? {} : { detail }),
      code,
      ...(hint === undefined ? {} : { hint }),
      ...(problems.length === 0 ? {} : { problems }),
    },
  }
}

/** Below it, each code has its page. */
export const FAULT_PAGES = '/api/v1/faults'

export interface JsonRpcFault {
  readonly status: number
  readonly error: {
    readonly code: number
    readonly message: string
    readonly data: Readonly<Record<string, unknown>>
  }
}

/** MCP endpoint: HTTP status and the JSON-RPC error object. The hint is part of the message, since models read only that. */
export function toJsonRpc(fault: Fault): JsonRpcFault {
  const { mcp, rpc, text } = CATALOGUE[fault.code]
  const more = [...fault.problems, ...(fault.hint === undefined ? [] : [fault.hint])]
  const message = more.length === 0 ? text : `${text}: ${more.join('; ')}`
  return { status: mcp, error: { code: rpc, message, data: { code: fault.code, ...fault.data } } }
}

/** CLI: exit status and the lines for standard error. */
export function toExit(fault: {
  code: FaultCode
  message: string
  hint?: string | undefined
  problems?: readonly string[]
}): {
  readonly status: number
  readonly lines: readonly string[]
} {
  const lines = [`error: ${fault.message}`, ...(fault.problems ?? []).map((problem) => `  - ${problem}`)]
  if (fault.hint !== undefined) lines.push(`hint: ${fault.hint}`)
  return { status: CATALOGUE[fault.code].exit, lines }
}
