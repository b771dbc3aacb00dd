import { decodeHeaderValue, isPlainHeader } from '../../protocol/header-value.ts'
import { hasPath, rawAt, stringAt, type Message } from '../../protocol/message.ts'
import { CAPABILITIES_KEY, CLIENT_INFO_KEY, VERSION_KEY } from '../../protocol/envelope.ts'
import { claimsModern, isModernRevision, MODERN_REVISIONS, type Era } from '../../protocol/revisions.ts'
import { KINDS, type Kind, type Refusal } from '../exchange.ts'

/**
 * Which era a message is of and what it asks for: a pure function of body and headers that never throws. The body
 * decides; a header never raises or lowers the era, it is only held against the body. The order of the rungs is the
 * order of `RUNGS`; `classify.test.ts` has a row for every cell.
 */

/** The headers that take part, as Node gives them. */
export interface ClassifiedHeaders extends NodeJS.Dict<string | string[]> {
  readonly 'mcp-protocol-version'?: string | string[] | undefined
  readonly 'mcp-method'?: string | string[] | undefined
  readonly 'mcp-name'?: string | string[] | undefined
}

export interface Classified {
  readonly era: Era
  readonly kind: Kind
}

type Verdict = Classified | { readonly refusal: Refusal }
type Rung = (message: Message, headers: ClassifiedHeaders) => Verdict | undefined

/** What each rung stands for is what is known once all above it have passed. */
const RUNGS: readonly Rung[] = [response, initialize, modernClaim, headerWithoutClaim, legacy]

export function classify(message: Message, headers: ClassifiedHeaders): Verdict {
  for (const rung of RUNGS) {
    const verdict = rung(message, headers)
    if (verdict !== undefined) return verdict
  }
  return { refusal: { code: 'not_jsonrpc' } }
}

/** Only legacy clients answer requests of the server. */
function response(message: Message): Verdict | undefined {
  return message.shape === 'result' || message.shape === 'error'
    ? { era: 'legacy', kind: 'response' }
    : undefined
}

/** `initialize` opens the legacy era, unless a valid envelope claims a modern revision; then it is an unknown method. */
function initialize(message: Message, headers: ClassifiedHeaders): Verdict | undefined {
  if (message.method !== 'initialize' || message.shape !== 'request') return undefined
  if (hasClaim(message) && envelopeProblem(message) === undefined && claimsModern(claimOf(message)))
    return undefined
  if (claimsModern(headerOf(headers['mcp-protocol-version']) ?? '')) {
    return mismatch('initialize belongs to an older revision than MCP-Protocol-Version names')
  }
  return { era: 'legacy', kind: 'initialize' }
}

function modernClaim(message: Message, headers: ClassifiedHeaders): Verdict | undefined {
  if (!hasClaim(message)) return undefined
  const refusal = envelopeProblem(message) ?? modernHeaderProblem(message, headers)
  if (refusal !== undefined) return { refusal }
  if (message.shape === 'notification') return { era: 'modern', kind: 'notification' }
  const kind = MODERN_METHODS.get(message.method)
  return kind === undefined ? { refusal: { code: 'method_not_found' } } : { era: 'modern', kind }
}

/** A modern header on a request without an envelope: the sender meant to be modern and forgot the keys. */
function headerWithoutClaim(message: Message, headers: ClassifiedHeaders): Verdict | undefined {
  if (!claimsModern(headerOf(headers['mcp-protocol-version']) ?? '')) return undefined
  if (message.shape === 'notification') {
    const method = headerOf(headers['mcp-method'])
    return method === undefined || method === message.method
      ? { era: 'modern', kind: 'notification' }
      : mismatch('Mcp-Method differs from the method')
  }
  return {
    refusal: {
      code: 'invalid_envelope',
      problems: [`params._meta lacks ${VERSION_KEY} and ${CAPABILITIES_KEY}`],
    },
  }
}

function legacy(message: Message): Verdict {
  if (message.shape === 'notification') return { era: 'legacy', kind: 'notification' }
  const kind = LEGACY_METHODS.get(message.method)
  return kind === undefined ? { refusal: { code: 'method_unavailable' } } : { era: 'legacy', kind }
}

const NOT_METHODS = new Set<Kind>(['notification', 'response', 'batch', 'stream', 'end'])
const LEGACY_ONLY = new Set<Kind>([
  'initialize',
  'ping',
  'resources/subscribe',
  'resources/unsubscribe',
  'logging/setLevel',
])

const MODERN_ONLY = new Set<Kind>([
  'server/discover',
  'subscriptions/listen',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
])

const METHODS = KINDS.filter((kind) => !NOT_METHODS.has(kind))
const LEGACY_METHODS = new Map<string, Kind>(
  METHODS.filter((kind) => !MODERN_ONLY.has(kind)).map((kind) => [kind, kind]),
)
const MODERN_METHODS = new Map<string, Kind>(
  METHODS.filter((kind) => !LEGACY_ONLY.has(kind)).map((kind) => [kind, kind]),
)

/** It carries an envelope of the modern era, be it whole or not. */
export const hasClaim = (message: Message): boolean =>
  hasPath(message, `params/_meta/io.modelcontextprotocol.protocolVersion`)

const claimOf = (message: Message): string =>
  stringAt(message, 'params/_meta/io.modelcontextprotocol.protocolVersion') ?? ''

function envelopeProblem(message: Message): Refusal | undefined {
  const problems: string[] = []
  if (stringAt(message, 'params/_meta/io.modelcontextprotocol.protocolVersion') === undefined) {
    problems.push(`params._meta[${VERSION_KEY}] must be a string`)
  }
  // A notification is asked for its revision only: nothing is answered, so nothing depends on the rest.
  const isRequest = message.shape === 'request'
  const capabilities = rawAt(message, 'params/_meta/io.modelcontextprotocol.clientCapabilities')
  if (isRequest && capabilities?.startsWith('{') !== true) {
    problems.push(`params._meta[${CAPABILITIES_KEY}] must be an object`)
  }
  const hasInfo = hasPath(message, 'params/_meta/io.modelcontextprotocol.clientInfo')
  if (isRequest && hasInfo && !isImplementation(message)) {
    problems.push(`params._meta[${CLIENT_INFO_KEY}] must have a name and a version`)
  }
  return problems.length === 0 ? undefined : { code: 'invalid_envelope', problems }
}

/** Looked at in place: to parse it would cost more than all the other checks together. */
const isImplementation = (message: Message): boolean =>
  stringAt(message, 'params/_meta/io.modelcontextprotocol.clientInfo/name') !== undefined &&
  stringAt(message, 'params/_meta/io.modelcontextprotocol.clientInfo/version') !== undefined

/** MCP 2026-07-28: version known, then the three standard headers present and equal to the body, in this order. */
function modernHeaderProblem(message: Message, headers: ClassifiedHeaders): Refusal | undefined {
  const claimed = claimOf(message)
  const version = headerOf(headers['mcp-protocol-version'])
  if (version !== undefined && version !== claimed)
    return mismatchOf('MCP-Protocol-Version differs from params._meta')
  const method = headerOf(headers['mcp-method'])
  if (method !== undefined && method !== message.method)
    return mismatchOf('Mcp-Method differs from the method')
  if (!isModernRevision(claimed)) {
    return {
      code: 'unsupported_version',
      data: { supported: [...MODERN_REVISIONS], requested: claimed.slice(0, 64) },
    }
  }
  if (message.shape !== 'request') return undefined
  if (version === undefined) return mismatchOf('MCP-Protocol-Version is missing')
  if (method === undefined) return mismatchOf('Mcp-Method is missing')
  return nameProblem(message, headers)
}

/** The part of the body that `Mcp-Name` repeats, by method. */
const NAMED = new Map<string, 'params/name' | 'params/uri' | 'params/taskId'>([
  ['tools/call', 'params/name'],
  ['prompts/get', 'params/name'],
  ['resources/read', 'params/uri'],
  ['tasks/get', 'params/taskId'],
  ['tasks/update', 'params/taskId'],
  ['tasks/cancel', 'params/taskId'],
])

function nameProblem(message: Message, headers: ClassifiedHeaders): Refusal | undefined {
  const path = NAMED.get(message.method)
  if (path === undefined) return undefined
  const header = headerOf(headers['mcp-name'])
  if (header === undefined) return mismatchOf('Mcp-Name is missing')
  const name = stringAt(message, path)
  if (name === undefined) return { code: 'invalid', problems: [`${path.replace('/', '.')} must be a string`] }
  // Plain values, which nearly all are, need no decoding to be equal.
  return (header === name && isPlainHeader(header)) || decodeHeaderValue(header) === name
    ? undefined
    : mismatchOf(`Mcp-Name differs from ${path.replace('/', '.')}`)
}

const mismatchOf = (hint: string): Refusal => ({ code: 'header_mismatch', hint })
const mismatch = (hint: string): Verdict => ({ refusal: mismatchOf(hint) })

/** A header sent twice says two things, which is as bad as saying another. White space at its ends is none of it. */
export const headerOf = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : hasEdge(value) ? value.replace(/^[ \t]+|[ \t]+$/g, '') : value

const hasEdge = (value: string | undefined): value is string =>
  value !== undefined && (value.charCodeAt(0) <= 0x20 || value.charCodeAt(value.length - 1) <= 0x20)
