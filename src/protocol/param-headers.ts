import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'
import { members } from './json-spans.ts'
import { spanOf, type Message, type Span } from './message.ts'

/**
 * Arguments that travel in headers as well (MCP 2026-07-28, Streamable HTTP, "Custom headers from tool parameters"): a
 * property of a tool's `inputSchema` with `x-mcp-header: Name` is repeated in `Mcp-Param-Name`.
 */
export interface ParamHeader {
  /** As Node and undici write it: in lower case, with its prefix. */
  readonly header: string
  /** From `arguments` down, through the keys of objects. */
  readonly path: readonly string[]
}

/** A tool that breaks a rule: an HTTP client has to leave it out of its list. */
export interface BrokenParams {
  readonly reason: string
}

export const PARAM_PREFIX = 'mcp-param-'
const ANNOTATION = 'x-mcp-header'
const MAX_PARAMS = 100
/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Not `number`: two texts of one number would have to be told to be the same. */
const TYPES = new Set<unknown>(['string', 'integer', 'boolean'])

/** Keywords through which an annotation cannot be reached: with one schema or several, and with schemas by name. */
// oxfmt-ignore
const WITH_SCHEMAS = [
  'items', 'prefixItems', 'contains', 'additionalItems', 'unevaluatedItems', 'additionalProperties',
  'unevaluatedProperties', 'propertyNames', 'oneOf', 'anyOf', 'allOf', 'not', 'if', 'then', 'else',
] as const
const BY_NAME = ['patternProperties', 'dependentSchemas', '$defs', 'definitions'] as const

type Schema = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The annotations of a listed tool, in the order of its schema; undefined when it has none.
 * @param tool JSON text as the server wrote it, known to be valid
 */
export function readParamHeaders(tool: Buffer): readonly ParamHeader[] | BrokenParams | undefined {
  // Nearly no tool has any, and a list may hold thousands.
  if (!tool.includes(ANNOTATION) && !tool.includes('\\u')) return undefined
  const found: ParamHeader[] = []
  const reason = look((JSON.parse(tool.toString()) as Schema)['inputSchema'], [], found)
  if (reason !== undefined) return { reason }
  return found.length === 0 ? undefined : found
}

/** Adds what it finds below `schema` to `found`; returns the first rule that is broken. */
function look(schema: unknown, path: readonly string[], found: ParamHeader[]): string | undefined {
  if (!isObject(schema)) return undefined
  if (ANNOTATION in schema) {
    const name = schema[ANNOTATION]
    if (path.length === 0) return 'x-mcp-header stands at the root of inputSchema'
    if (typeof name !== 'string' || !TOKEN.test(name)) return 'x-mcp-header is no header name'
    if (!TYPES.has(schema['type'])) return 'x-mcp-header is for strings, integers and booleans'
    const header = PARAM_PREFIX + name.toLowerCase()
    if (found.some((other) => other.header === header)) return 'two properties have the same x-mcp-header'
    if (found.length === MAX_PARAMS) return `it has more than ${MAX_PARAMS} x-mcp-header annotations`
    found.push({ header, path })
  }
  const properties = schema['properties']
  if (isObject(properties)) {
    for (const [key, child] of Object.entries(properties)) {
      const reason = look(child, [...path, key], found)
      if (reason !== undefined) return reason
    }
  }
  return isElsewhere(schema) ? 'x-mcp-header stands where properties alone do not lead' : undefined
}

const isElsewhere = (schema: Schema): boolean =>
  WITH_SCHEMAS.some((keyword) => {
    const value = schema[keyword]
    return Array.isArray(value) ? value.some(isAnnotated) : isAnnotated(value)
  }) ||
  BY_NAME.some((keyword) => isObject(schema[keyword]) && Object.values(schema[keyword]).some(isAnnotated))

const isAnnotated = (schema: unknown): boolean =>
  isObject(schema) &&
  (ANNOTATION in schema ||
    (isObject(schema['properties']) && Object.values(schema['properties']).some(isAnnotated)) ||
    isElsewhere(schema))

/** What a call has to send in headers, from its arguments; undefined when that is nothing. */
export function paramHeadersOf(
  call: Message,
  params: readonly ParamHeader[],
): Record<string, string> | undefined {
  let headers: Record<string, string> | undefined
  for (const { header, path } of params) {
    const value = headerText(argumentAt(call, path))
    if (value !== undefined) (headers ??= {})[header] = encodeHeaderValue(value)
  }
  return headers
}

export type ParamProblem = 'missing' | 'unexpected' | 'malformed' | 'different'

/**
 * Holds one header against the argument that it repeats.
 * @param header as it came; undefined: it did not
 */
export function paramProblem(
  call: Message,
  { path }: ParamHeader,
  header: string | undefined,
): ParamProblem | undefined {
  const argument = argumentAt(call, path)
  const expected = headerText(argument)
  if (header === undefined) return expected === undefined ? undefined : 'missing'
  if (expected === undefined) return 'unexpected'
  const said = decodeHeaderValue(header)
  if (said === undefined) return 'malformed'
  if (said === expected) return undefined
  // `42.0` is the integer 42 (JSON Schema 2020-12, 4.2.3), be it in the body or in the header.
  const isNumber = typeof argument === 'number' && /^-?\d{1,16}(?:\.0*)?$/.test(said)
  return isNumber && Number(said) === argument ? undefined : 'different'
}

/** Numbers beyond it have more than one text (the specification leaves them out). */
const isExact = (value: number): boolean => Math.abs(value) <= Number.MAX_SAFE_INTEGER

function headerText(argument: unknown): string | undefined {
  // Half a surrogate pair has no UTF-8, and so no base64 of it: what a header can say of it is U+FFFD.
  if (typeof argument === 'string') return argument.toWellFormed()
  if (typeof argument === 'boolean') return String(argument)
  return typeof argument === 'number' && isExact(argument) ? String(argument) : undefined
}

/** The argument as a value; what is no scalar, and what is not there, is undefined. */
function argumentAt(call: Message, path: readonly string[]): unknown {
  let span: Span | undefined = spanOf(call, 'params/arguments')
  for (const key of path) {
    if (span === undefined) return undefined
    span = members(call.bytes, span).get(key)
  }
  if (span === undefined || call.bytes[span.start] === 0x7b || call.bytes[span.start] === 0x5b)
    return undefined
  return JSON.parse(call.bytes.toString('utf8', span.start, span.end)) as unknown
}
