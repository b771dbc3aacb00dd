import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { fuzz, FUZZ_TIMEOUT_MS, jsonText } from '../../../test/fixtures/fuzz.ts'
import { readMessage, type Message } from '../message.ts'
import { paramHeadersOf, paramProblem, readParamHeaders } from '../param-headers.ts'
import { splice, type Edit } from '../splice.ts'
import { bridgeError } from './error.ts'
import {
  readInputRequired,
  retryEdit,
  toClientRequestParams,
  toInputRequestParams,
} from './input-required.ts'
import { bridgeListedItem } from './listed-item.ts'
import { toLegacyRequest, toModernRequest } from './request.ts'
import { toLegacyResult, toModernResult } from './result.ts'
import { downgradeElicitation, downgradeResult } from './skew.ts'

/** Whatever a valid message holds: every bridge makes valid JSON of it, and throws at nothing. */

const INFO = '{"name":"s","version":"1"}'
const CLIENT = { clientInfo: INFO, capabilities: '{}', logLevel: 'info' }

const read = (text: string, from: 'client' | 'upstream'): Message | undefined => {
  const message = readMessage(Buffer.from(text), from)
  return message.ok ? message.value : undefined
}

const spliced = (message: Message, edits: readonly Edit[]): unknown =>
  JSON.parse(splice(message.bytes, edits).toString()) as unknown

// oxfmt-ignore
const RESULT_KEYS = [
  'content', 'structuredContent', 'resultType', 'ttlMs', 'cacheScope', '_meta', 'type', 'text', 'uri', 'mimeType', 'name',
  'messages', 'io.modelcontextprotocol/serverInfo', 'inputRequests', 'requestState', 'method', 'params', 'isError',
]

test('results, to either era and to every revision', { timeout: FUZZ_TIMEOUT_MS }, () => {
  const cases = fc.tuple(
    jsonText(RESULT_KEYS),
    fc.constantFrom('tools/call', 'prompts/get', 'resources/read', 'completion/complete'),
    fc.constantFrom('2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'),
  )
  fuzz(cases, ([text, method, revision]) => {
    const message = read(`{"jsonrpc":"2.0","id":1,"result":${text}}`, 'upstream')
    if (message === undefined) return
    spliced(message, toModernResult(message, method, INFO))
    const down = toLegacyResult(message)
    spliced(message, [...down, ...downgradeResult(message, method, revision)])
    readInputRequired(message)
  })
})

const PART = fc
  .tuple(fc.constantFrom('audio', 'resource_link', 'text', 'x'), jsonText(RESULT_KEYS, 2))
  .map(([type, value]) => `{"type":"${type}","uri":${value},"name":"n","mimeType":${value}}`)

test('parts of content for older clients', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(fc.tuple(fc.array(PART, { maxLength: 4 }), fc.boolean()), ([parts, inPrompt]) => {
    const body = inPrompt
      ? `{"messages":[${parts.map((part) => `{"content":${part}}`).join(',')}]}`
      : `{"content":[${parts.join(',')}]}`
    const message = read(`{"jsonrpc":"2.0","id":1,"result":${body}}`, 'upstream')
    if (message === undefined) return
    const method = inPrompt ? 'prompts/get' : 'tools/call'
    const out = JSON.stringify(spliced(message, downgradeResult(message, method, '2024-11-05')))
    expect(out).not.toMatch(/"type":"(?:audio|resource_link)"/)
  })
})

// oxfmt-ignore
const REQUEST_KEYS = [
  'name', 'uri', 'arguments', '_meta', 'progressToken', 'inputResponses', 'requestState', 'a', 'b',
  'io.modelcontextprotocol/protocolVersion', 'io.modelcontextprotocol/clientCapabilities',
  'io.modelcontextprotocol/clientInfo', 'io.modelcontextprotocol/logLevel',
]
const PARAMS = [
  { header: 'mcp-param-a', path: ['a'] },
  { header: 'mcp-param-b', path: ['a', 'b'] },
]

test('requests, to either era, again with answers, and their headers', { timeout: FUZZ_TIMEOUT_MS }, () => {
  const params = fc.oneof(jsonText(REQUEST_KEYS), fc.constant(undefined))
  fuzz(fc.tuple(params, fc.string({ unit: 'binary', maxLength: 12 })), ([text, header]) => {
    const member = text === undefined ? '' : `,"params":${text}`
    const message = read(`{"jsonrpc":"2.0","id":1,"method":"tools/call"${member}}`, 'client')
    if (message === undefined) return
    spliced(message, toLegacyRequest(message))
    // What has no name has been refused by the step `route`, and so has what is no object.
    if (text !== undefined && !/^\{\s*"/.test(text)) return
    const up = toModernRequest(message, CLIENT)
    const edit = retryEdit(message, new Map([['k', '{}']]), '"state"')
    spliced(message, edit === undefined ? up : [...up, edit])
    const made = paramHeadersOf(message, PARAMS)
    for (const param of PARAMS) {
      expect(paramProblem(message, param, made?.[param.header])).toBeUndefined()
      paramProblem(message, param, header)
    }
  })
})

const ERROR_KEYS = [
  'code',
  'message',
  'data',
  'elicitations',
  'url',
  'requiredCapabilities',
  'elicitation',
  'form',
]

test('errors, to either era', { timeout: FUZZ_TIMEOUT_MS }, () => {
  const code = fc.constantFrom(-32042, -32021, -32020, -32002, -32000, -32602, -32603, 7)
  const cases = fc.tuple(
    code,
    jsonText(ERROR_KEYS),
    fc.boolean(),
    fc.constantFrom('tools/call', 'resources/read'),
  )
  fuzz(cases, ([code, text, whole, method]) => {
    const error = whole ? text : `{"code":${code},"message":"m","data":${text}}`
    const message = read(`{"jsonrpc":"2.0","id":1,"error":${error}}`, 'upstream')
    if (message === undefined) return
    for (const era of ['legacy', 'modern'] as const) {
      const bridged = bridgeError(message, {
        era,
        method,
        opensUrls: true,
        capabilities: '{"elicitation":{}}',
      })
      if ('text' in bridged) continue
      const out = spliced(message, bridged.edits) as { error: { code: unknown } }
      expect(out.error.code === bridged.code).toBe(true)
    }
  })
})

// oxfmt-ignore
const TOOL_KEYS = [
  'name', 'inputSchema', 'outputSchema', 'execution', 'type', 'properties', 'items', '$ref', '$defs', '$schema', 'anyOf',
  'x-mcp-header', 'required',
]

test('tools, to either era', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(fc.tuple(jsonText(TOOL_KEYS), jsonText(TOOL_KEYS)), ([input, output]) => {
    const item = Buffer.from(`{"name":"t","inputSchema":${input},"outputSchema":${output},"execution":{}}`)
    const edits = [{ start: 8, end: 11, text: '"s__t"' }]
    for (const from of ['legacy', 'modern'] as const)
      for (const to of ['legacy', 'modern'] as const)
        expect(JSON.parse(bridgeListedItem(item, edits, { from, to }).toString())).toHaveProperty(
          'name',
          's__t',
        )
    readParamHeaders(item)
  })
})

// oxfmt-ignore
const QUESTION_KEYS = [
  'mode', 'message', 'requestedSchema', 'properties', 'oneOf', 'anyOf', 'const', 'title', 'enum', 'enumNames',
  'elicitationId', 'task', '_meta', 'progressToken',
]

test('questions, to either era and to every revision', { timeout: FUZZ_TIMEOUT_MS }, () => {
  fuzz(jsonText(QUESTION_KEYS, 6), (params) => {
    const trimmed = JSON.stringify(JSON.parse(params))
    for (const text of [params.trim(), trimmed]) {
      JSON.parse(toInputRequestParams(text))
      JSON.parse(toClientRequestParams(text, 'e1'))
      JSON.parse(downgradeElicitation(text, '2025-06-18'))
    }
  })
})
