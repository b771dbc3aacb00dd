import { classifyInboundRequest } from '@modelcontextprotocol/server'
import { describe, expect, test } from 'vitest'
import { Fault, toJsonRpc } from '../../lib/fault.ts'
import { readMessage } from '../../protocol/message.ts'
import { classify } from './classify.ts'

/**
 * The cell sheet of the front door: which era a message is of and what it asks for. One row is one cell of
 * method × envelope × headers; a row that changes its verdict changes what clients see. Columns:
 *
 * | column  | holds |
 * |---|---|
 * | body    | the message, written by the helpers below |
 * | headers | what was sent: `version`, `method`, `name`; `{}` is none |
 * | verdict | era and kind, or the fault with its HTTP status and JSON-RPC code |
 */
interface Sent {
  readonly version?: string
  readonly method?: string
  readonly name?: string
}

type Row = readonly [cell: string, body: object, headers: Sent, verdict: string]

const VERSION = 'io.modelcontextprotocol/protocolVersion'
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'
const CLIENT_INFO = 'io.modelcontextprotocol/clientInfo'
const MODERN = '2026-07-28'
const FUTURE = '2031-01-01'
const LEGACY = '2025-06-18'

const request = (method: string, params?: object): object => ({
  jsonrpc: '2.0',
  id: 1,
  method,
  ...(params && { params }),
})
const notice = (method: string, params?: object): object => ({
  jsonrpc: '2.0',
  method,
  ...(params && { params }),
})
/** A request or notification whose envelope is `keys`; the required ones are there unless they are replaced. */
const envelope = (keys: object = {}): object => ({
  _meta: { [VERSION]: MODERN, [CAPABILITIES]: {}, ...keys },
})
const modern = (method: string, more: object = {}): object => request(method, { ...more, ...envelope() })
const claiming = (keys: object, method = 'tools/list'): object => request(method, envelope(keys))

/** The headers that go with a modern request, as they should be. */
const right = (method: string, name?: string): Sent => ({
  version: MODERN,
  method,
  ...(name !== undefined && { name }),
})
const LIST = right('tools/list')

const MISMATCH = 'header_mismatch 400 -32020'
const ENVELOPE = 'invalid_envelope 400 -32602'
const UNSUPPORTED = 'unsupported_version 400 -32022'
const UNKNOWN = 'method_not_found 404 -32601'
const UNAVAILABLE = 'method_unavailable 200 -32601'
const INVALID = 'invalid 200 -32602'

// oxfmt-ignore
const SHEET: Readonly<Record<string, readonly Row[]>> = {
  'a response is of the legacy era, whatever the headers say': [
    ['a result',                          { jsonrpc: '2.0', id: 1, result: {} },           {},                    'legacy response'],
    ['an error',                          { jsonrpc: '2.0', id: 1, error: { code: 1, message: '' } }, {},         'legacy response'],
    ['a result under a modern header',    { jsonrpc: '2.0', id: 1, result: {} },           { version: MODERN },   'legacy response'],
  ],
  'initialize opens the legacy era': [
    ['no header',                         request('initialize', {}),                       {},                    'legacy initialize'],
    ['no parameters',                     request('initialize'),                           {},                    'legacy initialize'],
    ['a legacy header',                   request('initialize', {}),                       { version: LEGACY },   'legacy initialize'],
    ['a header that is no revision',      request('initialize', {}),                       { version: 'draft' },  'legacy initialize'],
    ['a modern revision in the body',     request('initialize', { protocolVersion: MODERN }), {},                 'legacy initialize'],
    ['a modern header',                   request('initialize', {}),                       { version: MODERN },   MISMATCH],
    ['a header from the future',          request('initialize', {}),                       { version: FUTURE },   MISMATCH],
    ['an envelope that claims legacy',    claiming({ [VERSION]: LEGACY }, 'initialize'),   {},                    'legacy initialize'],
    ['a malformed envelope',              claiming({ [VERSION]: 7 }, 'initialize'),        {},                    'legacy initialize'],
    ['an envelope without capabilities',  claiming({ [CAPABILITIES]: null }, 'initialize'), {},                   'legacy initialize'],
    ['a malformed envelope, modern header', claiming({ [VERSION]: 7 }, 'initialize'),      { version: MODERN },   MISMATCH],
    ['a valid modern envelope',           modern('initialize'),                            right('initialize'),   UNKNOWN],
    ['as a notification',                 notice('initialize', {}),                        {},                    'legacy notification'],
  ],
  'an envelope with a revision claims the modern era, and must be whole': [
    ['whole, headers right',              modern('tools/list'),                            LIST,                  'modern tools/list'],
    ['with client info',                  claiming({ [CLIENT_INFO]: { name: 'c', version: '1' } }), LIST,         'modern tools/list'],
    ['with keys of others',               claiming({ 'com.example/x': 1, progressToken: 0 }), LIST,               'modern tools/list'],
    ['capabilities of any kind',          claiming({ [CAPABILITIES]: { a: { b: 1 } } }),   LIST,                  'modern tools/list'],
    ['the revision is null',              claiming({ [VERSION]: null }),                   LIST,                  ENVELOPE],
    ['the revision is a number',          claiming({ [VERSION]: 20260728 }),               LIST,                  ENVELOPE],
    ['no capabilities',                   request('tools/list', { _meta: { [VERSION]: MODERN } }), LIST,          ENVELOPE],
    ['capabilities are null',             claiming({ [CAPABILITIES]: null }),              LIST,                  ENVELOPE],
    ['capabilities are an array',         claiming({ [CAPABILITIES]: [] }),                LIST,                  ENVELOPE],
    ['capabilities are a string',         claiming({ [CAPABILITIES]: '{}' }),              LIST,                  ENVELOPE],
    ['client info is a string',           claiming({ [CLIENT_INFO]: 'c' }),                LIST,                  ENVELOPE],
    ['client info is null',               claiming({ [CLIENT_INFO]: null }),               LIST,                  ENVELOPE],
    ['client info without a version',     claiming({ [CLIENT_INFO]: { name: 'c' } }),      LIST,                  ENVELOPE],
    ['malformed before headers differ',   claiming({ [CAPABILITIES]: null }),              { version: LEGACY, method: 'x' }, ENVELOPE],
  ],
  'the version header is held against the claim': [
    ['equal, with white space',           modern('tools/list'),                            { ...LIST, version: ` ${MODERN}\t` }, 'modern tools/list'],
    ['missing',                           modern('tools/list'),                            { method: 'tools/list' }, MISMATCH],
    ['empty',                             modern('tools/list'),                            { ...LIST, version: '' }, MISMATCH],
    ['legacy',                            modern('tools/list'),                            { ...LIST, version: LEGACY }, MISMATCH],
    ['from the future',                   modern('tools/list'),                            { ...LIST, version: FUTURE }, MISMATCH],
    ['sent twice',                        modern('tools/list'),                            { ...LIST, version: `${MODERN}, ${MODERN}` }, MISMATCH],
  ],
  'Mcp-Method is held against the method': [
    ['missing',                           modern('tools/list'),                            { version: MODERN },   MISMATCH],
    ['different',                         modern('tools/list'),                            right('tools/call'),   MISMATCH],
    ['different in case',                 modern('tools/list'),                            right('Tools/List'),   MISMATCH],
    ['equal, with white space',           modern('tools/list'),                            right(' tools/list '), 'modern tools/list'],
  ],
  'the revision must be one that is spoken': [
    ['from the future, headers equal',    claiming({ [VERSION]: FUTURE }),                 { ...LIST, version: FUTURE }, UNSUPPORTED],
    ['from the future, no headers',       claiming({ [VERSION]: FUTURE }),                 {},                    UNSUPPORTED],
    ['legacy, headers equal',             claiming({ [VERSION]: LEGACY }),                 { ...LIST, version: LEGACY }, UNSUPPORTED],
    ['legacy, no headers',                claiming({ [VERSION]: LEGACY }),                 {},                    UNSUPPORTED],
    ['no revision at all',                claiming({ [VERSION]: '' }),                     {},                    UNSUPPORTED],
    ['a header that differs comes first', claiming({ [VERSION]: FUTURE }),                 LIST,                  MISMATCH],
    ['a method that differs comes first', claiming({ [VERSION]: FUTURE }),                 { method: 'x' },       MISMATCH],
  ],
  'Mcp-Name is held against the name or URI': [
    ['a tool, equal',                     modern('tools/call', { name: 'echo' }),          right('tools/call', 'echo'), 'modern tools/call'],
    ['a tool, missing',                   modern('tools/call', { name: 'echo' }),          right('tools/call'),   MISMATCH],
    ['a tool, different',                 modern('tools/call', { name: 'echo' }),          right('tools/call', 'other'), MISMATCH],
    ['a tool, different in case',         modern('tools/call', { name: 'echo' }),          right('tools/call', 'Echo'), MISMATCH],
    ['a tool, encoded',                   modern('tools/call', { name: 'é' }),             right('tools/call', '=?base64?w6k=?='), 'modern tools/call'],
    ['a tool, encoded without need',      modern('tools/call', { name: 'a' }),             right('tools/call', '=?base64?YQ==?='), 'modern tools/call'],
    ['a tool, encoded, different',        modern('tools/call', { name: 'é' }),             right('tools/call', '=?base64?YQ==?='), MISMATCH],
    ['a tool, bad base64',                modern('tools/call', { name: 'a' }),             right('tools/call', '=?base64?YQ?='), MISMATCH],
    ['a tool, base64 of no text',         modern('tools/call', { name: 'a' }),             right('tools/call', '=?base64?/w==?='), MISMATCH],
    ['a tool, the marker in another case', modern('tools/call', { name: 'a' }),            right('tools/call', '=?BASE64?YQ==?='), MISMATCH],
    ['a tool that is called like a marker', modern('tools/call', { name: '=?base64?YQ==?=' }), right('tools/call', '=?base64?YQ==?='), MISMATCH],
    ['a tool that is called like a marker, encoded', modern('tools/call', { name: '=?base64?YQ==?=' }), right('tools/call', '=?base64?PT9iYXNlNjQ/WVE9PT89?='), 'modern tools/call'],
    ['a tool, text that had to be encoded', modern('tools/call', { name: 'é' }),           right('tools/call', 'é'), MISMATCH],
    ['a tool, white space outside',       modern('tools/call', { name: 'echo' }),          right('tools/call', '\techo '), 'modern tools/call'],
    ['a tool, white space that is its own', modern('tools/call', { name: ' echo' }),       right('tools/call', ' echo'), MISMATCH],
    ['a tool, empty',                     modern('tools/call', { name: '' }),              right('tools/call', ''), 'modern tools/call'],
    ['a tool, escaped in the body',       modern('tools/call', { name: 'a"b' }),           right('tools/call', 'a"b'), 'modern tools/call'],
    ['a tool, name is a number',          modern('tools/call', { name: 7 }),               right('tools/call', '7'), INVALID],
    ['a tool, name absent, header there', modern('tools/call'),                            right('tools/call', 'echo'), INVALID],
    ['a tool, neither',                   modern('tools/call'),                            right('tools/call'),   MISMATCH],
    ['a prompt, equal',                   modern('prompts/get', { name: 'p' }),            right('prompts/get', 'p'), 'modern prompts/get'],
    ['a prompt, missing',                 modern('prompts/get', { name: 'p' }),            right('prompts/get'),  MISMATCH],
    ['a prompt, different',               modern('prompts/get', { name: 'p' }),            right('prompts/get', 'q'), MISMATCH],
    ['a resource, equal',                 modern('resources/read', { uri: 'a://b' }),      right('resources/read', 'a://b'), 'modern resources/read'],
    ['a resource, missing',               modern('resources/read', { uri: 'a://b' }),      right('resources/read'), MISMATCH],
    ['a resource, different',             modern('resources/read', { uri: 'a://b' }),      right('resources/read', 'a://c'), MISMATCH],
    ['a task, equal',                     modern('tasks/get', { taskId: 't' }),            right('tasks/get', 't'), 'modern tasks/get'],
    ['a task, different',                 modern('tasks/cancel', { taskId: 't' }),         right('tasks/cancel', 'u'), MISMATCH],
    ['a task, missing',                   modern('tasks/update', { taskId: 't' }),         right('tasks/update'), MISMATCH],
    ['a resource, the name instead',      modern('resources/read', { uri: 'a://b', name: 'n' }), right('resources/read', 'n'), MISMATCH],
    ['a list does not look at it',        modern('tools/list'),                            right('tools/list', 'x'), 'modern tools/list'],
  ],
  'the methods of the modern era': [
    ['server/discover',                   modern('server/discover'),                       right('server/discover'), 'modern server/discover'],
    ['prompts/list',                      modern('prompts/list'),                          right('prompts/list'), 'modern prompts/list'],
    ['resources/list',                    modern('resources/list'),                        right('resources/list'), 'modern resources/list'],
    ['resources/templates/list',          modern('resources/templates/list'),              right('resources/templates/list'), 'modern resources/templates/list'],
    ['completion/complete',               modern('completion/complete'),                   right('completion/complete'), 'modern completion/complete'],
    ['ping has gone',                     modern('ping'),                                  right('ping'),         UNKNOWN],
    ['logging/setLevel has gone',         modern('logging/setLevel'),                      right('logging/setLevel'), UNKNOWN],
    ['resources/subscribe has gone',      modern('resources/subscribe'),                   right('resources/subscribe'), UNKNOWN],
    ['resources/unsubscribe has gone',    modern('resources/unsubscribe'),                 right('resources/unsubscribe'), UNKNOWN],
    ['unheard of',                        modern('tools/destroy'),                         right('tools/destroy'), UNKNOWN],
    ['a word of our own tables',          modern('stream'),                                right('stream'),       UNKNOWN],
    ['headers come before the method',    modern('tools/destroy'),                         {},                    MISMATCH],
  ],
  'a modern header without an envelope is a forgotten envelope': [
    ['no parameters',                     request('tools/list'),                           LIST,                  ENVELOPE],
    ['no _meta',                          request('tools/list', {}),                       LIST,                  ENVELOPE],
    ['a _meta without a revision',        request('tools/list', { _meta: { [CAPABILITIES]: {} } }), LIST,         ENVELOPE],
    ['a _meta that is a string',          request('tools/list', { _meta: VERSION }),       LIST,                  ENVELOPE],
    ['a header from the future',          request('tools/list', {}),                       { version: FUTURE },   ENVELOPE],
    ['an unknown method',                 request('tools/destroy', {}),                    { version: MODERN },   ENVELOPE],
  ],
  'everything else is legacy': [
    ['no header',                         request('tools/list'),                           {},                    'legacy tools/list'],
    ['a legacy header',                   request('tools/list'),                           { version: LEGACY },   'legacy tools/list'],
    ['a header that is no revision',      request('tools/list'),                           { version: 'draft' },  'legacy tools/list'],
    ['a _meta without a revision',        request('tools/list', { _meta: { [CAPABILITIES]: {} } }), {},           'legacy tools/list'],
    ['other headers say nothing',         request('tools/list'),                           { method: 'tools/call', name: 'x' }, 'legacy tools/list'],
    ['ping',                              request('ping'),                                 {},                    'legacy ping'],
    ['tools/call',                        request('tools/call', { name: 'x' }),            {},                    'legacy tools/call'],
    ['prompts/list',                      request('prompts/list'),                         {},                    'legacy prompts/list'],
    ['prompts/get',                       request('prompts/get'),                          {},                    'legacy prompts/get'],
    ['resources/list',                    request('resources/list'),                       {},                    'legacy resources/list'],
    ['resources/templates/list',          request('resources/templates/list'),             {},                    'legacy resources/templates/list'],
    ['resources/read',                    request('resources/read'),                       {},                    'legacy resources/read'],
    ['resources/subscribe',               request('resources/subscribe'),                  {},                    'legacy resources/subscribe'],
    ['resources/unsubscribe',             request('resources/unsubscribe'),                {},                    'legacy resources/unsubscribe'],
    ['completion/complete',               request('completion/complete'),                  {},                    'legacy completion/complete'],
    ['logging/setLevel',                  request('logging/setLevel'),                     {},                    'legacy logging/setLevel'],
    ['server/discover: a probe',          request('server/discover'),                      {},                    UNAVAILABLE],
    ['tasks of the other era',            request('tasks/get', { taskId: 't' }),           {},                    UNAVAILABLE],
    ['unheard of',                        request('tools/destroy'),                        {},                    UNAVAILABLE],
    ['a word of our own tables',          request('response'),                             {},                    UNAVAILABLE],
    ['a method of another case',          request('Tools/List'),                           {},                    UNAVAILABLE],
  ],
  'a notification follows its claim, else its version header': [
    ['nothing said',                      notice('notifications/initialized'),             {},                    'legacy notification'],
    ['a legacy header',                   notice('notifications/cancelled', {}),           { version: LEGACY },   'legacy notification'],
    ['unheard of',                        notice('notifications/whatever'),                {},                    'legacy notification'],
    ['a modern header',                   notice('notifications/cancelled'),               { version: MODERN },   'modern notification'],
    ['a modern header, another method',   notice('notifications/cancelled'),               right('x'),            MISMATCH],
    ['a claim',                           notice('notifications/cancelled', envelope()),   {},                    'modern notification'],
    ['a claim without the rest',          notice('notifications/cancelled', { _meta: { [VERSION]: MODERN } }), {}, 'modern notification'],
    ['a claim, headers equal',            notice('x', envelope()),                         right('x'),            'modern notification'],
    ['a claim, another version header',   notice('x', envelope()),                         { version: LEGACY },   MISMATCH],
    ['a claim, another method header',    notice('x', envelope()),                         right('y'),            MISMATCH],
    ['a claim that is no string',         notice('x', envelope({ [VERSION]: 1 })),         {},                    ENVELOPE],
    ['a claim of the future',             notice('x', envelope({ [VERSION]: FUTURE })),    {},                    UNSUPPORTED],
  ],
}

const rows = Object.values(SHEET).flat()

function decide(body: object, headers: Sent) {
  const message = readMessage(Buffer.from(JSON.stringify(body)), 'client')
  if (!message.ok) throw new TypeError(message.error)
  return classify(message.value, {
    'mcp-protocol-version': headers.version,
    'mcp-method': headers.method,
    'mcp-name': headers.name,
  })
}

function verdictOf(body: object, headers: Sent): string {
  const verdict = decide(body, headers)
  if (!('refusal' in verdict)) return `${verdict.era} ${verdict.kind}`
  const { status, error } = toJsonRpc(new Fault(verdict.refusal.code, verdict.refusal))
  return `${verdict.refusal.code} ${status} ${error.code}`
}

for (const [group, cells] of Object.entries(SHEET)) {
  describe(group, () => {
    test.each(cells)('%s', (_, body, headers, verdict) => {
      expect(verdictOf(body, headers)).toBe(verdict)
    })
  })
}

/** What the SDK looks at after it has classified: the revision, whether headers are there, `Mcp-Name`, the method. */
const LATER = new Set([UNSUPPORTED, UNKNOWN, UNAVAILABLE, INVALID, MISMATCH])

test('the official SDK comes to the same era, or the same status and code, wherever it decides', () => {
  for (const [cell, body, { version, method, name }, verdict] of rows) {
    // It takes any text after the last legacy date for a modern revision, where we want a date.
    // Its schema of a JSON-RPC message reaches into `_meta`, ours does not.
    if (version === 'draft' || cell === 'a _meta that is a string') continue
    const outcome = classifyInboundRequest({
      httpMethod: 'POST',
      body,
      ...(version !== undefined && { protocolVersionHeader: version }),
      ...(method !== undefined && { mcpMethodHeader: method }),
      ...(name !== undefined && { mcpNameHeader: name }),
    })
    if (outcome.kind !== 'reject' && LATER.has(verdict)) continue
    const theirs = outcome.kind === 'reject' ? `${outcome.httpStatus} ${outcome.code}` : outcome.kind
    expect(verdict, cell).toContain(theirs)
  }
})

test('no verdict repeats what was sent, but for the revision, which the specification wants back, cut', () => {
  for (const [cell, body, headers] of rows) {
    const verdict = decide(body, headers)
    if (!('refusal' in verdict)) continue
    const { hint = '', problems = [] } = verdict.refusal
    for (const sent of [headers.name, FUTURE, 'tools/destroy', 'Tools/List', 'draft'])
      if (sent !== undefined && sent !== '') expect([hint, ...problems].join(), cell).not.toContain(sent)
  }
  const unsupported = decide(claiming({ [VERSION]: 'x'.repeat(500) }), {})
  expect(unsupported).toMatchObject({ refusal: { data: { supported: [MODERN], requested: 'x'.repeat(64) } } })
})

test('a header that Node gives as a list is one that was sent twice', () => {
  const message = readMessage(Buffer.from(JSON.stringify(modern('tools/list'))), 'client')
  if (!message.ok) throw new TypeError(message.error)
  const headers = { 'mcp-protocol-version': [MODERN, MODERN], 'mcp-method': 'tools/list' }
  expect(classify(message.value, headers)).toMatchObject({ refusal: { code: 'header_mismatch' } })
})
