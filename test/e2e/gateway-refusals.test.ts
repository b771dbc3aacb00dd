import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  at,
  createToken,
  endpoint,
  initializeParams,
  jsonRpc,
  modernCaller,
  modernHeaders,
  modernMeta,
  openLegacy,
  project,
  resumeLegacy,
  send,
  startGate,
  stdioServer,
  until,
  type Access,
  type Answer,
  type Gate,
  type Json,
  type LegacyCaller,
  type Sent,
} from './gateway-harness.ts'

let gate: Gate
let access: Access
let client: LegacyCaller

beforeAll(async () => {
  gate = await startGate([
    stdioServer('one', [], { tools: { deny: ['grow'] } }),
    project('main', ['one'], { tools: { deny: ['one__die'] } }),
    project('other', ['one']),
  ])
  access = await gate.access('main')
  client = await openLegacy(access)
})

afterAll(async () => {
  await gate?.end()
})

/** Status, JSON-RPC code, our code, and the id of the body; `none`: the body has no id. */
type Outcome = readonly [status: number, rpc: number, code: string, id: unknown]

const outcome = ({ status, reply }: Answer): Outcome => [
  status,
  Number(at(reply, 'error.code')),
  String(at(reply, 'error.data.code')),
  'id' in reply ? reply['id'] : 'none',
]

const deep = (levels: number, id: number): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"ping","params":{"x":${'['.repeat(levels)}${']'.repeat(levels)}}}`

describe('bodies', () => {
  const rows: readonly (readonly [what: string, body: string | Buffer, outcome: Outcome])[] = [
    ['nothing', '', [400, -32700, 'not_json', 'none']],
    ['not JSON', 'hello', [400, -32700, 'not_json', 'none']],
    ['JSON that stops', '{"jsonrpc":"2.0","id":1,', [400, -32700, 'not_json', 'none']],
    ['something after the message', `${jsonRpc(1, 'ping')}x`, [400, -32700, 'not_json', 'none']],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), [400, -32700, 'not_json', 'none']],
    ['a NUL between tokens', `${jsonRpc(1, 'ping')}\0`, [400, -32700, 'not_json', 'none']],
    ['a NUL in a string', '{"jsonrpc":"2.0","id":1,"method":"pi\0ng"}', [400, -32700, 'not_json', 'none']],
    ['a batch', `[${jsonRpc(1, 'ping')}]`, [400, -32600, 'not_jsonrpc', 'none']],
    ['an empty batch', '[]', [400, -32600, 'not_jsonrpc', 'none']],
    ['a string', '"ping"', [400, -32600, 'not_jsonrpc', 'none']],
    ['an object that is no message', '{}', [400, -32600, 'not_jsonrpc', 'none']],
    ['JSON-RPC 1.0', '{"jsonrpc":"1.0","id":1,"method":"ping"}', [400, -32600, 'not_jsonrpc', 'none']],
    ['a null id', '{"jsonrpc":"2.0","id":null,"method":"ping"}', [400, -32600, 'not_jsonrpc', 'none']],
    ['a fractional id', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}', [400, -32600, 'not_jsonrpc', 'none']],
    ['an object as id', '{"jsonrpc":"2.0","id":{},"method":"ping"}', [400, -32600, 'not_jsonrpc', 'none']],
    ['a number as method', '{"jsonrpc":"2.0","id":1,"method":5}', [400, -32600, 'not_jsonrpc', 'none']],
    [
      'method and result',
      '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
      [400, -32600, 'not_jsonrpc', 'none'],
    ],
    [
      'a key twice',
      '{"jsonrpc":"2.0","id":1,"method":"ping","method":"x"}',
      [400, -32600, 'not_jsonrpc', 'none'],
    ],
    [
      'a key twice, once escaped, deep inside',
      '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":{"b":1,"\\u0062":2}}}',
      [400, -32600, 'not_jsonrpc', 'none'],
    ],
    ['10,000 levels', deep(10_000, 1), [400, -32600, 'not_jsonrpc', 'none']],
    ['more than 4 MiB', jsonRpc(1, 'ping', { x: 'y'.repeat(4 << 20) }), [413, -32600, 'too_large', 'none']],
  ]
  test.each(rows)('%s', async (_what, body, expected) => {
    expect(outcome(await send(access, { body, headers: client.headers }))).toEqual(expected)
  })

  test('more than 4 MiB without saying so first', async () => {
    const headers = { ...client.headers, 'transfer-encoding': 'chunked' }
    const body = jsonRpc(1, 'ping', { x: 'y'.repeat(4 << 20) })
    expect(outcome(await send(access, { body, headers }))).toEqual([413, -32600, 'too_large', 'none'])
  })
})

describe('headers', () => {
  const ping = jsonRpc(7, 'ping')
  const rows: readonly (readonly [what: string, headers: Sent['headers'], outcome: Outcome])[] = [
    ['a foreign Host', { host: 'evil.example' }, [403, -32600, 'origin_refused', 'none']],
    [
      'a Host that begins like ours',
      { host: 'localhost.evil.example' },
      [403, -32600, 'origin_refused', 'none'],
    ],
    ['a foreign Origin', { origin: 'https://evil.example' }, [403, -32600, 'origin_refused', 'none']],
    ['the Origin of a file', { origin: 'null' }, [403, -32600, 'origin_refused', 'none']],
    ['no JSON acceptable', { accept: 'text/event-stream' }, [406, -32600, 'not_acceptable', 'none']],
    ['no stream acceptable', { accept: 'application/json' }, [406, -32600, 'not_acceptable', 'none']],
    ['text', { 'content-type': 'text/plain' }, [415, -32600, 'unsupported_media', 'none']],
    ['no Content-Type', { 'content-type': undefined }, [415, -32600, 'unsupported_media', 'none']],
    [
      'a form, as pages can send it',
      { 'content-type': 'application/x-www-form-urlencoded' },
      [415, -32600, 'unsupported_media', 'none'],
    ],
    ['no session', { 'mcp-session-id': undefined }, [400, -32600, 'session_missing', 7]],
    ['an empty session', { 'mcp-session-id': '' }, [400, -32600, 'session_missing', 7]],
    ['an unknown session', { 'mcp-session-id': 'nobody' }, [404, -32001, 'session_lost', 7]],
    [
      'a revision nobody knows',
      { 'mcp-protocol-version': '1999-01-01' },
      [400, -32022, 'unsupported_version', 7],
    ],
    [
      'a modern header on a legacy body',
      { 'mcp-protocol-version': '2026-07-28' },
      [400, -32602, 'invalid_envelope', 7],
    ],
  ]
  test.each(rows)('%s', async (_what, headers, expected) => {
    expect(outcome(await send(access, { body: ping, headers: { ...client.headers, ...headers } }))).toEqual(
      expected,
    )
  })

  test.each([
    ['our own Origin', { origin: 'http://localhost:3000' }],
    ['Accept: */*', { accept: '*/*' }],
    ['no Accept', { accept: undefined }],
    ['a charset', { 'content-type': 'application/json; charset=utf-8' }],
    ['a client that never says its revision', { 'mcp-protocol-version': undefined }],
  ])('%s is fine', async (_what, headers) => {
    const { status, text } = await send(access, { body: ping, headers: { ...client.headers, ...headers } })
    expect({ status, text }).toEqual({ status: 200, text: '{"jsonrpc":"2.0","id":7,"result":{}}' })
  })
})

describe('tokens', () => {
  const PUBLIC = /^a valid token is needed here/

  async function refused(authorization: string | undefined): Promise<string> {
    const answer = await send(access, {
      body: jsonRpc(1, 'initialize', initializeParams('2025-11-25')),
      headers: { authorization },
    })
    expect(outcome(answer)).toEqual([401, -32600, 'unauthenticated', 'none'])
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="castellan"')
    return answer.text
  }

  test('revoked, expired, malformed, unknown, unset and absent are all the same 401', async () => {
    const revoked = await createToken(gate.daemon, 'main', 'revoked')
    const expired = await createToken(gate.daemon, 'main', 'expired', { ttl: '1s' })
    await gate.daemon.apply([
      { kind: 'Token', metadata: { name: 'revoked', project: 'main' }, spec: { revoked: true } },
    ])
    await until('the token has expired', async () => {
      const { status } = await send({ ...access, token: expired }, { body: '{}' })
      return status === 401
    })
    const bodies = []
    for (const authorization of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      // What a client sends whose variable is not set.
      'Bearer ${CASTELLAN_TOKEN}',
      'Bearer undefined',
      `Bearer cst_${'A'.repeat(43)}`,
      `Bearer ${access.token}x`,
      `Basic ${Buffer.from(`x:${access.token}`).toString('base64')}`,
      `Bearer ${revoked}`,
      `Bearer ${expired}`,
    ])
      bodies.push(await refused(authorization))
    expect(new Set(bodies).size).toBe(1)
    expect(at(JSON.parse(bodies[0] ?? ''), 'error.message')).toMatch(PUBLIC)
  })

  test('a token of another project is 403, whether this one exists or not', async () => {
    const { token } = await gate.access('other')
    const body = jsonRpc(1, 'initialize', initializeParams('2025-11-25'))
    for (const name of ['main', 'nowhere']) {
      const answer = await send({ token, url: endpoint(gate.daemon, name) }, { body })
      expect(outcome(answer)).toEqual([403, -32600, 'forbidden', 'none'])
    }
  })
})

describe('endpoints', () => {
  test('a server that the project does not have is 404', async () => {
    const url = endpoint(gate.daemon, 'main', 'nobody')
    expect(outcome(await send({ ...access, url }, { body: jsonRpc(1, 'ping') }))).toEqual([
      404,
      -32600,
      'no_endpoint',
      'none',
    ])
  })

  test.each([
    '/projects/main',
    '/projects/main/mcp/more',
    '/projects//mcp',
    '/projects/main/servers//mcp',
    '/projects/main/servers/one',
  ])('%s is no endpoint', async (path) => {
    const { status, reply } = await send({ ...access, url: `${gate.daemon.origin}${path}` }, { body: '{}' })
    expect({ status, code: at(reply, 'error.code') }).toEqual({ status: 404, code: 'no_endpoint' })
  })

  test.each(['PUT', 'PATCH', 'HEAD', 'OPTIONS'])('%s is 405', async (method) => {
    const { status, headers } = await send(access, { method })
    expect({ status, allow: headers['allow'] }).toEqual({ status: 405, allow: 'POST, GET, DELETE' })
  })
})

describe('names and methods', () => {
  const unknown: Outcome = [200, -32602, 'not_found', 5]
  const invalid: Outcome = [200, -32602, 'invalid', 5]
  const rows: readonly (readonly [what: string, method: string, params: Json, outcome: Outcome])[] = [
    ['an unknown tool', 'tools/call', { name: 'one__nothing' }, unknown],
    ['a tool of an unknown server', 'tools/call', { name: 'two__heard' }, unknown],
    ['a tool without its prefix', 'tools/call', { name: 'heard' }, unknown],
    ['a tool that the project denies', 'tools/call', { name: 'one__die' }, unknown],
    ['a tool that its server does not offer', 'tools/call', { name: 'one__grow' }, unknown],
    ['a name with a NUL', 'tools/call', { name: 'one__heard\0' }, unknown],
    ['an empty name', 'tools/call', { name: '' }, invalid],
    ['a number as name', 'tools/call', { name: 5 }, invalid],
    ['an unknown prompt', 'prompts/get', { name: 'one__nothing' }, unknown],
    ['a cursor of nobody', 'tools/list', { cursor: 'x' }, invalid],
    ['a number as cursor', 'tools/list', { cursor: 1 }, invalid],
  ]
  test.each(rows)('%s', async (_what, method, params, expected) => {
    expect(outcome(await client.ask(method, params, 5)), 'legacy').toEqual(expected)
    expect(outcome(await modernCaller(access).ask(method, params, 5)), 'modern').toEqual(expected)
  })

  test.each([
    ['tools/destroy', [200, -32601, 'method_unavailable', 5], [404, -32601, 'method_not_found', 5]],
    ['server/discover', [200, -32601, 'method_unavailable', 5], undefined],
    ['ping', undefined, [404, -32601, 'method_not_found', 5]],
    ['logging/setLevel', undefined, [404, -32601, 'method_not_found', 5]],
    ['initialize', undefined, [404, -32601, 'method_not_found', 5]],
  ])('%s, where it is not served', async (method, legacy, modern) => {
    if (legacy !== undefined) expect(outcome(await client.ask(method, {}, 5)), 'legacy').toEqual(legacy)
    if (modern !== undefined)
      expect(outcome(await modernCaller(access).ask(method, {}, 5)), 'modern').toEqual(modern)
  })

  test('a call without a name', async () => {
    expect(outcome(await client.ask('tools/call', {}, 5))).toEqual(invalid)
    expect(outcome(await client.ask('tools/call', undefined, 5))).toEqual(invalid)
  })

  test('what is denied is not listed either', async () => {
    const { reply } = await client.ask('tools/list')
    const names = (at(reply, 'result.tools') as { name: string }[]).map(({ name }) => name)
    expect(names).toEqual(['one__about', 'one__heard', 'one__slow', 'one__touch', 'one__verbatim'])
  })

  test('a refusal does not repeat what was sent', async () => {
    const answer = await client.ask('tools/call', { name: 'one__c4n4ry' })
    expect(answer.text).not.toContain('c4n4ry')
  })

  test('a tool denied on the aggregated endpoint is denied on the endpoint of its server', async () => {
    const single = await openLegacy(await gate.access('main', 'one'))
    expect(outcome(await single.ask('tools/call', { name: 'die' }, 5))).toEqual([200, -32602, 'not_found', 5])
  })
})

describe('modern envelopes', () => {
  const call = { name: 'one__heard' }
  const body = (meta: object): string => jsonRpc(3, 'tools/call', { ...call, _meta: meta })
  const rows: readonly (readonly [what: string, body: string, headers: Sent['headers'], outcome: Outcome])[] =
    [
      ['no Mcp-Method', body(modernMeta()), { 'mcp-method': undefined }, [400, -32020, 'header_mismatch', 3]],
      [
        'another Mcp-Method',
        body(modernMeta()),
        { 'mcp-method': 'tools/list' },
        [400, -32020, 'header_mismatch', 3],
      ],
      ['no Mcp-Name', body(modernMeta()), { 'mcp-name': undefined }, [400, -32020, 'header_mismatch', 3]],
      [
        'another Mcp-Name',
        body(modernMeta()),
        { 'mcp-name': 'one__slow' },
        [400, -32020, 'header_mismatch', 3],
      ],
      [
        'no version header',
        body(modernMeta()),
        { 'mcp-protocol-version': undefined },
        [400, -32020, 'header_mismatch', 3],
      ],
      [
        'another version header',
        body(modernMeta()),
        { 'mcp-protocol-version': '2025-11-25' },
        [400, -32020, 'header_mismatch', 3],
      ],
      [
        'a version of the future',
        body(modernMeta({ 'io.modelcontextprotocol/protocolVersion': '2099-01-01' })),
        { 'mcp-protocol-version': '2099-01-01' },
        [400, -32022, 'unsupported_version', 3],
      ],
      [
        'capabilities that are no object',
        body(modernMeta({ 'io.modelcontextprotocol/clientCapabilities': 'all' })),
        {},
        [400, -32602, 'invalid_envelope', 3],
      ],
    ]
  test.each(rows)('%s', async (_what, text, headers, expected) => {
    const sent = { body: text, headers: { ...modernHeaders('tools/call', call), ...headers } }
    expect(outcome(await send(access, sent))).toEqual(expected)
  })
})

describe('sessions', () => {
  test('an id of 0 is an id, and so is a large number and a string', async () => {
    for (const id of ['0', '9007199254740993', '"x"', '""']) {
      const { text } = await send(access, {
        body: `{"jsonrpc":"2.0","id":${id},"method":"ping"}`,
        headers: client.headers,
      })
      expect(text).toBe(`{"jsonrpc":"2.0","id":${id},"result":{}}`)
    }
  })

  test('a session of another principal, or of another endpoint, is as if it were not there', async () => {
    const second = { ...access, token: await createToken(gate.daemon, 'main', 'second') }
    const lost: Outcome = [404, -32001, 'session_lost', 2]
    expect(outcome(await resumeLegacy(second, client.session).ask('ping', undefined, 2))).toEqual(lost)
    const single = await gate.access('main', 'one')
    expect(outcome(await resumeLegacy(single, client.session).ask('ping', undefined, 2))).toEqual(lost)
    // Nor can it be ended by somebody else.
    await send(second, { method: 'DELETE', headers: client.headers })
    expect((await client.ask('ping')).status).toBe(200)
  })

  test('after DELETE it is gone, its stream ends, and ending it again is fine', async () => {
    const own = await openLegacy(access)
    const stream = await own.listen()
    expect((await send(access, { method: 'DELETE', headers: own.headers })).status).toBe(200)
    expect((await stream.answer).status).toBe(200)
    expect(outcome(await own.ask('ping', undefined, 2))).toEqual([404, -32001, 'session_lost', 2])
    expect((await send(access, { method: 'DELETE', headers: own.headers })).status).toBe(200)
  })

  test('GET without a session is 400, with a lost one 404, without accepting a stream 406', async () => {
    const get = async (headers: Sent['headers']): Promise<number> =>
      (await send(access, { method: 'GET', headers: { accept: 'text/event-stream', ...headers } })).status
    expect(await get({})).toBe(400)
    expect(await get({ 'mcp-session-id': 'nobody' })).toBe(404)
    expect(await get({ ...client.headers, accept: 'application/json' })).toBe(406)
  })

  test('DELETE without a session is 400', async () => {
    expect((await send(access, { method: 'DELETE' })).status).toBe(400)
  })

  test('notifications and answers are taken with 202 and no body', async () => {
    const { status, text } = await client.notify('notifications/roots/list_changed')
    expect({ status, text }).toEqual({ status: 202, text: '' })
    const late = await send(access, { headers: client.headers, body: '{"jsonrpc":"2.0","id":9,"result":{}}' })
    expect({ status: late.status, text: late.text }).toEqual({ status: 202, text: '' })
  })
})
