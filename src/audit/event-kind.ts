/** What an entry is about, for whoever looks for one sort of thing: a closed vocabulary over the open one of events. */
export const EVENT_KINDS = [
  'tool_call',
  'session_bind',
  'request',
  'access_decision',
  'token',
  'grant',
  'sign_in',
  'change',
  'operation',
  'refusals',
  'gap',
  'other',
] as const

export type EventKind = (typeof EVENT_KINDS)[number]

/** A method of MCP, or what the gateway calls a message that has none: one word. */
const MCP_EVENT = /^[a-z]+(?:\/[A-Za-z_/]+)?$/
const TOKENS = /^[a-z-]+ tokens$/
const GRANTS = /^[a-z-]+ grants$/
/** What the daemon does with them itself; a refusal of it is no decision about access. */
const GRANT_USE = /^(?:exchange|inject|refresh|register) grants$/
const SIGN_INS = /^[a-z-]+ signins$/
const CHANGE = /^(?:apply|attach|create|delete|detach|edit) /
const OPERATION = /^(?:run|set-aside) /
const QUESTION = /^(?:can-i|who-can)(?: |$)/
const SIGN_IN = /^sign-(?:in|out)(?: |$)/

/**
 * The kind of an entry. A tool call stays one when it is denied, a sign-in when it fails, and what the daemon does with a
 * grant; whatever else is denied is an access decision, as are questions about rights.
 */
export function kindOf(event: string, decision: 'allow' | 'deny'): EventKind {
  if (event === 'tools/call') return 'tool_call'
  if (event === 'refusals' || event === 'gap') return event
  if (SIGN_IN.test(event)) return 'sign_in'
  if (GRANT_USE.test(event)) return 'grant'
  if (decision === 'deny' || QUESTION.test(event)) return 'access_decision'
  if (event === 'initialize') return 'session_bind'
  if (MCP_EVENT.test(event)) return 'request'
  if (TOKENS.test(event)) return 'token'
  if (GRANTS.test(event)) return 'grant'
  if (SIGN_INS.test(event)) return 'sign_in'
  if (CHANGE.test(event)) return 'change'
  return OPERATION.test(event) ? 'operation' : 'other'
}
