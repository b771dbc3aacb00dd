import { members } from '../json-spans.ts'
import { spanOf, rawAt, valueAt, type Message } from '../message.ts'
import type { Era } from '../revisions.ts'
import type { Edit } from '../splice.ts'
import type { InputRequest } from './input-required.ts'
import { insertMember } from './request.ts'

/** What decides how an error of a server is told to a client. */
export interface ErrorReader {
  readonly era: Era
  readonly method: string
  /** It speaks 2025-11-25 and has said that it can open pages: it knows -32042. */
  readonly opensUrls: boolean
  /** JSON text of the capabilities that it has declared. */
  readonly capabilities: string
}

/** A JSON-RPC error with another code, or a text for the model, where the client could do nothing with an error. */
export type BridgedError = { readonly code: number; readonly edits: Edit[] } | { readonly text: string }

const URL_ELICITATION_REQUIRED = -32042
const MISSING_CAPABILITY = -32021
const OBJECT = 0x7b

/**
 * Error codes mean other things in other eras and revisions (MCP 2026-07-28, "Error codes"): the codes from -32000 to
 * -32019 mean nothing to a modern client, those from -32020 on nothing to a legacy one, and most of the latter speak of
 * our request, not of the client's. What the server had said stays in `data.original`.
 */
export function bridgeError(reply: Message, reader: ErrorReader): BridgedError {
  const sent = Number(rawAt(reply, 'error/code') ?? NaN)
  const code = Number.isSafeInteger(sent) ? sent : -32603
  if (code === URL_ELICITATION_REQUIRED && !(reader.era === 'legacy' && reader.opensUrls)) {
    const text = askToOpen(readUrlElicitations(reply))
    if (reader.method === 'tools/call') return { text }
    return { code: -32603, edits: replaced(reply, { code: -32603, message: text, data: undefined }) }
  }
  const to = codeFor(reply, code, reader)
  return { code: to, edits: editsFor(reply, code, to) }
}

function codeFor(reply: Message, code: number, reader: ErrorReader): number {
  if (reader.era === 'modern') {
    if (code === -32002) return -32602
    if (code === MISSING_CAPABILITY) return lacks(reply, reader.capabilities) ? code : -32603
    return code <= -32000 && code >= -32099 ? -32603 : code
  }
  if (code <= -32020 && code >= -32022) return -32603
  return code === -32602 && reader.method === 'resources/read' && saysNotFound(reply) ? -32002 : code
}

const saysNotFound = (reply: Message): boolean => {
  const { message } = (valueAt(reply, 'error') ?? {}) as { message?: unknown }
  return typeof message === 'string' && /not found|(?:unknown|no such) resource/i.test(message)
}

function editsFor(reply: Message, from: number, to: number): Edit[] {
  const error = spanOf(reply, 'error')
  if (error === undefined) return []
  const at = spanOf(reply, 'error/code')
  if (at === undefined) {
    // JSON-RPC wants an object with a code; some servers write a text.
    return reply.bytes[error.start] === OBJECT
      ? [insertMember(reply.bytes, error, `"code":${to}`)]
      : replaced(reply, { code: to, message: 'the server gave an error without a code', data: undefined })
  }
  const sent = rawAt(reply, 'error/code')
  const edits: Edit[] = sent === String(to) ? [] : [{ ...at, text: String(to) }]
  if (to === -32603 && from <= -32000 && from >= -32099) edits.push(originalIn(reply))
  return edits
}

/** The whole error, as it was written, in `data.original` of what the client gets. */
function originalIn(reply: Message): Edit {
  const error = spanOf(reply, 'error') ?? { start: 0, end: 0 }
  const original = `{"original":${reply.bytes.toString('utf8', error.start, error.end)}}`
  const data = members(reply.bytes, error).get('data')
  return data === undefined
    ? insertMember(reply.bytes, error, `"data":${original}`)
    : { start: data.start, end: data.end, text: original }
}

function replaced(
  reply: Message,
  error: { readonly code: number; readonly message: string; readonly data: undefined },
): Edit[] {
  const at = spanOf(reply, 'error')
  return at === undefined ? [] : [{ ...at, text: JSON.stringify(error) }]
}

/** Whether the server misses something that this client has indeed not declared; otherwise it speaks of us. */
function lacks(reply: Message, capabilities: string): boolean {
  const { data } = (valueAt(reply, 'error') ?? {}) as { data?: { requiredCapabilities?: unknown } | null }
  const required = data?.requiredCapabilities
  return isObject(required) && !covers(JSON.parse(capabilities) as unknown, required)
}

type Declared = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Declared =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `elicitation: {}` stands for forms, and is the only capability that says something by being empty. */
function covers(declared: unknown, required: Declared): boolean {
  if (!isObject(declared)) return false
  return Object.entries(required).every(([key, wanted]) => {
    const has = declared[key]
    if (!isObject(has)) return has !== undefined && !isObject(wanted)
    if (key === 'elicitation' && Object.keys(has).length === 0) return covers({ form: {} }, asObject(wanted))
    return covers(has, asObject(wanted))
  })
}

const asObject = (value: unknown): Declared => (isObject(value) ? value : {})

/** A page that somebody is to open before a call can be made. */
export interface UrlElicitation {
  readonly url: string
  readonly message: string
}

const MAX_PAGES = 20

/** The pages that an error -32042 asks to open (MCP 2025-11-25, "URL Elicitation Required Error"). */
export function readUrlElicitations(reply: Message): readonly UrlElicitation[] {
  const { data } = (valueAt(reply, 'error') ?? {}) as { data?: { elicitations?: unknown } | null }
  const listed = Array.isArray(data?.elicitations) ? (data.elicitations as readonly unknown[]) : []
  return listed.slice(0, MAX_PAGES).flatMap((one) => {
    if (!isObject(one) || typeof one['url'] !== 'string' || !/^https?:\/\//i.test(one['url'])) return []
    const { url, message } = one
    return [{ url, message: typeof message === 'string' ? message : '' }]
  })
}

/** The same, as a modern client is asked: an elicitation each, to be answered before the call is made again. */
export const urlInputRequests = (pages: readonly UrlElicitation[]): readonly InputRequest[] =>
  pages.map(({ url, message }, i) => ({
    key: `page${i + 1}`,
    method: 'elicitation/create',
    params: JSON.stringify({ mode: 'url', message, url }),
  }))

const askToOpen = (pages: readonly UrlElicitation[]): string =>
  pages.length === 0
    ? 'The server wants a page to be opened first, but does not say which.'
    : [
        'Ask the user to open this first, then try again:',
        ...pages.map(({ url, message }) => (message === '' ? url : `${message}: ${url}`)),
      ].join('\n')
