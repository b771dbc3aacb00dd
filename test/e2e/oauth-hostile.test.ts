import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  answerOf,
  challenge,
  endless,
  startStranger,
  type Answer,
  type Answers,
  type Stranger,
} from '../fixtures/stranger.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { httpServer, project, startGate, type Gate, type Json } from './gateway-harness.ts'

// One daemon, and a stranger that its Server lies at: whatever the stranger answers, a user reads one sentence that
// holds nothing of it, and no word of it gets into a header, a log or a file.

/** In everything that the stranger says and nobody may see. */
const CANARY = 'canary-0123456789'
const COMMAND = 'castellan grant oauth notes --server notes'

let upstream: Upstream
let stranger: Stranger
let endlessHeaders: Server
let gate: Gate
const said: string[] = []

beforeAll(async () => {
  Object.assign(process.env, { CASTELLAN_LOG_TO: 'file', CASTELLAN_LOG_LEVEL: 'trace' })
  upstream = await startUpstream({ style: 'modern' })
  stranger = await startStranger()
  endlessHeaders = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = (): void => {
      while (!socket.destroyed && socket.write(`${CANARY}: ${'y'.repeat(500)}\r\n`));
      socket.once('drain', more)
    }
    more()
  })
  await new Promise<void>((resolve) => endlessHeaders.listen(0, '127.0.0.1', resolve))
  gate = await startGate([
    httpServer('notes', stranger.url, { auth: { grant: 'oauth:notes' } }),
    project('demo', ['notes']),
  ])
})
afterEach(() => stranger.answer({}))
afterAll(async () => {
  await gate?.end()
  endlessHeaders?.close()
  await stranger?.close()
  await upstream?.close()
})

interface Started {
  readonly attempt: string
  readonly authorizeUrl: string
}
const start = (more: object = {}): Promise<Started> =>
  gate.daemon.call(
    'POST',
    '/api/v1/grants',
    Object.assign({ name: 'notes', server: 'notes' }, more),
  ) as Promise<Started>

async function refusedToStart(more: object = {}): Promise<string> {
  const problem = await start(more).then(
    () => 'it was taken',
    (thrown: unknown) => (thrown as Error).message,
  )
  said.push(problem)
  return problem
}

/** What a browser would be sent back to. */
async function callbackOf(parameters: Readonly<Record<string, string>>): Promise<URL> {
  const asked = new URL((await start()).authorizeUrl).searchParams
  const url = new URL(asked.get('redirect_uri') ?? '')
  url.search = new URLSearchParams({ state: asked.get('state') ?? '', ...parameters }).toString()
  return url
}

async function visit(url: URL): Promise<string> {
  const answer = await fetch(url, { redirect: 'manual' })
  const page = `${answer.status} ${await answer.text()}`
  said.push(page)
  return page
}

interface Called {
  readonly result?: { readonly content: readonly { readonly text: string }[] }
  readonly error?: { readonly message: string }
}

async function call(): Promise<Called> {
  const { url, token } = await gate.access('demo', 'notes')
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'echo',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: 'echo',
        arguments: { message: 'hi' },
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    }),
  })
  const text = await response.text()
  said.push(text)
  return JSON.parse(text) as Called
}

async function grant(): Promise<Json> {
  const { items } = (await gate.daemon.call('GET', '/api/v1/grants')) as { readonly items: readonly Json[] }
  said.push(JSON.stringify(items))
  return items.find(({ name }) => name === 'oauth:notes') ?? {}
}

const RESOURCE = '/.well-known/oauth-protected-resource/mcp'
const METADATA = '/.well-known/oauth-authorization-server'
const named = (address: string): Answers => ({ '/mcp': challenge(`Bearer resource_metadata="${address}"`) })
const issuedBy = (issuer: string): Answers => ({
  [RESOURCE]: { resource: stranger.url, authorization_servers: [issuer] },
})
const metadata = (more: object): Answers => ({ [METADATA]: Object.assign({}, stranger.metadata, more) })
const leadsTo =
  (location: string): Answer =>
  (response) =>
    response.writeHead(302, { location }).end(CANARY)

// oxfmt-ignore
const DISCOVERY: readonly (readonly [string, () => Answers, RegExp])[] = [
  ['metadata in 10/8', () => named(`https://10.0.0.1/${CANARY}`), /not public/],
  ['metadata of a cloud', () => named(`https://169.254.169.254/${CANARY}`), /not public/],
  ['metadata in a mapped address', () => named('https://[::ffff:10.0.0.1]/'), /not public/],
  ['metadata at a whole number', () => named('https://2852039166/'), /not public/],
  ['metadata in octal', () => named('https://0251.0376.0251.0376/'), /not public/],
  ['metadata everywhere', () => named('https://0.0.0.0/'), /not public/],
  ['metadata without https', () => named(`http://as.example/${CANARY}`), /not https/],
  ['metadata that redirects to a private address', () => ({ [RESOURCE]: leadsTo('https://10.0.0.1/') }), /where there is none/],
  ['an authorization server in a private network', () => issuedBy('https://192.168.7.7'), /not public/],
  ['an authorization server that redirects away', () => ({ [METADATA]: leadsTo('https://169.254.169.254/') }), /publishes no metadata/],
  ['endpoints in a private network', () => metadata({ registration_endpoint: `https://10.0.0.1/${CANARY}` }), /not public/],
  ['a lying issuer', () => metadata({ issuer: `https://${CANARY}.example` }), /about another issuer/],
  ['no PKCE', () => metadata({ code_challenge_methods_supported: undefined }), /PKCE/],
  ['metadata of another resource', () => ({ [RESOURCE]: { resource: `https://${CANARY}.example/mcp`, authorization_servers: [stranger.origin] } }), /another resource/],
  ['a page in place of metadata', () => ({ [METADATA]: answerOf(200, `<html>${CANARY}`) }), /publishes no metadata/],
  ['headers without end', () => named(`http://127.0.0.1:${(endlessHeaders.address() as AddressInfo).port}/`), /more headers than are read/],
  ['a drop now and then', () => ({ [METADATA]: drops }), /in time/],
  ['a script to authorize at', () => metadata({ authorization_endpoint: `javascript:${CANARY}` }), /not an https address/],
  ['a client that is none', () => ({ '/register': { client_id: `${CANARY}\r\n` } }), /--client-id/],
]

const drops: Answer = (response) => {
  response.writeHead(200)
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer))
}

test.each(DISCOVERY)('discovery: %s', async (_, answers, expected) => {
  stranger.answer(answers())
  expect(await refusedToStart()).toMatch(expected)
})

test('discovery: 1 GB and a bomb are cut early, and the daemon stays as large as it was', async () => {
  const resident = (): number =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${gate.daemon.pid}/status`, 'utf8'))?.[1]) * 1024
  const before = resident()
  const stream = endless(2 ** 30)
  stranger.answer({ [METADATA]: stream.answer })
  expect(await refusedToStart()).toMatch(/larger than 1 MiB/)
  expect(stream.sent).toBeLessThan(64 * 2 ** 20)
  const bomb = gzipSync(Buffer.alloc(256 * 2 ** 20, 0x20))
  stranger.answer({
    [METADATA]: (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
  })
  expect(await refusedToStart()).toMatch(/publishes no metadata/)
  expect(resident() - before).toBeLessThan(128 * 2 ** 20)
})

const GOOD = { access_token: 'good-token', token_type: 'Bearer', expires_in: 3600 }
const token = (more: object): Answer => Object.assign({}, GOOD, more)

// oxfmt-ignore
const TOKENS: readonly (readonly [string, Answer, RegExp])[] = [
  ['an error with the status 200', { error: 'invalid_grant', error_description: CANARY }, /refused to give a token \(invalid_grant\)/],
  ['an error of its own', answerOf(400, JSON.stringify({ error: CANARY })), /refused to give a token[^(]*$/],
  ['no token', { token_type: 'Bearer', [CANARY]: CANARY }, /cannot be used/],
  ['an empty token', token({ access_token: '' }), /cannot be used/],
  ['another kind of token', token({ token_type: CANARY }), /cannot be used/],
  ['a token that is bound to a key', token({ token_type: 'DPoP' }), /not Bearer/],
  ['a token of two lines', token({ access_token: `a\r\nx-${CANARY}: b` }), /characters that no token has/],
  ['a token with a control character', token({ access_token: `${CANARY}\u0000` }), /characters that no token has/],
  ['a token of 64 KiB', token({ access_token: CANARY.repeat(4096) }), /too long/],
  ['a page', answerOf(200, `<html>${CANARY}`, { 'content-type': 'text/html' }), /cannot be used/],
  ['a redirect', leadsTo(`https://169.254.169.254/${CANARY}`), /cannot be used/],
  ['1 GB', endless(2 ** 30).answer, /larger than 1 MiB/],
  ['nothing', (response) => response.destroy(), /cannot be reached/],
]

test.each(TOKENS)('token endpoint: %s', async (_, answer, expected) => {
  const url = await callbackOf({ code: 'c', iss: stranger.origin })
  stranger.answer({ '/token': answer })
  const page = await visit(url)
  expect(page).toMatch(/^400 /)
  expect(page).toMatch(expected)
  expect((await grant())['state']).toBe('waiting')
  expect((await call()).error?.message).toContain(COMMAND)
})

test('PKCE that nobody advertises: with the word of somebody, and used all the same', async () => {
  stranger.answer(metadata({ code_challenge_methods_supported: undefined }))
  const { authorizeUrl } = await start({ allowWithoutPkceAdvertised: true })
  expect(new URL(authorizeUrl).searchParams.get('code_challenge_method')).toBe('S256')
})

test('what would have no effect is a mistake, and nobody is asked', async () => {
  const before = stranger.seen.length
  const wrong = { clientSecret: CANARY, deviceUrl: 'https://as.example/device' }
  const problem = await refusedToStart(wrong)
  expect(problem).toMatch(/--client-secret-stdin: .*--client-id.*--device-url: has no effect/)
  expect(stranger.seen).toHaveLength(before)
})

/** Somebody who may look at servers, and has no right on grants. @returns what asks the control API as them */
async function signedIn(user: string) {
  await gate.daemon.apply([
    { kind: 'User', metadata: { name: user }, spec: {} },
    {
      kind: 'RoleBinding',
      metadata: { name: user },
      spec: {
        subjects: [{ kind: 'User', name: user }],
        bindings: [{ role: 'view', resource: 'servers', name: 'notes' }],
      },
    },
  ])
  const password = 'correct horse battery staple'
  await gate.daemon.call('POST', `/api/v1/users/${user}/password`, { password })
  const { credential } = (await gate.daemon.call('POST', '/api/v1/auth/login', { user, password })) as {
    readonly credential: string
  }
  return (method: string, path: string, body: object): Promise<Response> =>
    fetch(new URL(path, gate.daemon.origin), {
      method,
      headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: JSON.stringify(Object.assign({ for: 'me' }, body)),
    })
}

test('the secret of a client that is kept is not led elsewhere by hand', async () => {
  const client = { clientId: 'ours', clientSecret: 'kept-secret' }
  await start(Object.assign({ name: 'kept' }, client))
  expect((await start({ name: 'kept' })).authorizeUrl).toContain('client_id=ours')
  const elsewhere = { issuer: stranger.origin, tokenUrl: `${stranger.origin}/elsewhere` }
  const { authorizeUrl } = await start(Object.assign({ name: 'kept' }, elsewhere))
  expect(authorizeUrl).toContain('client_id=registered')
  const byHand = { authUrl: `${stranger.origin}/authorize` }
  expect(await refusedToStart(Object.assign({ name: 'else' }, elsewhere, byHand))).toMatch(/--client-id/)
})

test('nobody takes the room that there is for the authorizations of all', async () => {
  const [eve, dan] = [await signedIn('eve'), await signedIn('dan')]
  const own = { name: 'notes', server: 'notes' }
  const statuses: number[] = []
  for (let i = 0; i < 51; i++) statuses.push((await eve('POST', '/api/v1/grants', own)).status)
  expect([statuses.indexOf(429), new Set(statuses.slice(0, 50))]).toEqual([50, new Set([202])])
  expect((await dan('POST', '/api/v1/grants', own)).status).toBe(202)
})

test('who gives a grant of their own learns of no server that they may not see', async () => {
  const auth = { grant: 'mcp:key', header: 'x-key' }
  await gate.daemon.apply([httpServer('unseen', 'https://unseen.example/mcp', { auth })])
  const fay = await signedIn('fay')
  const key = { values: { token: 'a-key' }, origins: ['https://unseen.example'] }
  const told = await (await fay('PUT', '/api/v1/grants/mcp:key', key)).json()
  expect(told).toMatchObject({ holder: 'user:fay', usedBy: [] })
  expect(await gate.daemon.call('PUT', '/api/v1/grants/mcp:key', key)).toMatchObject({ usedBy: ['unseen'] })
  expect((await fay('PUT', '/api/v1/grants/mcp:key', { ...key, source: 'exchange' })).status).toBe(400)
})

test('nobody has connections without end', async () => {
  const gil = await signedIn('gil')
  const give = async (name: string): Promise<number> => {
    const key = { values: { token: 'a-key' }, origins: ['https://any.example'] }
    return (await gil('PUT', `/api/v1/grants/mcp:${name}`, key)).status
  }
  const statuses: number[] = []
  for (let i = 0; i <= 200; i++) statuses.push(await give(`own-${i}`))
  expect([statuses.indexOf(429), statuses.filter((status) => status === 200).length]).toEqual([200, 200])
  expect(await give('own-7')).toBe(200)
  expect((await gil('POST', '/api/v1/grants', { name: 'notes', server: 'notes' })).status).toBe(429)
})

test('who names an address for a grant of their own must be trusted with more than their own', async () => {
  const ada = await signedIn('ada')
  const before = stranger.seen.length
  const named: readonly object[] = [
    { url: stranger.url },
    { url: 'https://10.0.0.1/' },
    { server: 'notes', tokenUrl: `${stranger.origin}/token` },
  ]
  for (const address of named) {
    const answer = await ada('POST', '/api/v1/grants', Object.assign({ name: 'mine' }, address))
    expect([403, 404]).toContain(answer.status)
  }
  expect(stranger.seen).toHaveLength(before)
})

const DEVICE = {
  device_code: 'device-code',
  user_code: 'ABCD-EFGH',
  verification_uri: 'https://as.example/device',
  expires_in: 60,
  interval: 1,
}

// oxfmt-ignore
test.each<readonly [string, Answer, RegExp]>([
  ['writes to the terminal', Object.assign({}, DEVICE, { user_code: `\u001b[2J${CANARY}` }), /no device code/],
  ['is a script', Object.assign({}, DEVICE, { verification_uri: `javascript:${CANARY}` }), /no device code/],
  ['is a page', answerOf(200, `<html>${CANARY}`), /no device code/],
  ['is an error', answerOf(400, JSON.stringify({ error: CANARY })), /refused to give a device code/],
  ['is 1 GB', endless(2 ** 30).answer, /no device code|larger/],
])('a device code that %s', async (_, answer, expected) => {
  stranger.answer({ '/device': answer })
  expect(await refusedToStart({ device: true })).toMatch(expected)
})

test('a device code that is denied, with words of the stranger', async () => {
  const denial = answerOf(400, JSON.stringify({ error: 'access_denied', error_description: CANARY }))
  stranger.answer({ '/device': DEVICE, '/token': denial })
  const { attempt } = await start({ device: true })
  const path = `/api/v1/grants/attempts/${attempt}?waitSeconds=20`
  const ended = await gate.daemon.call('GET', path)
  said.push(JSON.stringify(ended))
  expect(ended).toMatchObject({ state: 'failed', problem: 'the authorization was denied' })
})

test('a pasted address: ours alone, and once', async () => {
  const begun = await start()
  const state = new URL(begun.authorizeUrl).searchParams.get('state') ?? ''
  const url = new URL(new URL(begun.authorizeUrl).searchParams.get('redirect_uri') ?? '')
  url.search = new URLSearchParams({ state, code: CANARY, iss: stranger.origin }).toString()
  const paste = async (answer: string, { attempt } = begun): Promise<string> => {
    const path = `/api/v1/grants/attempts/${attempt}/paste`
    const told = await gate.daemon.call('POST', path, { answer }).then(JSON.stringify, String)
    said.push(told)
    return told
  }
  const elsewhere = new URL(url)
  elsewhere.port = '1'
  for (const wrong of [elsewhere.href, 'https://as.example/callback?code=c&state=s', CANARY, ''])
    expect(await paste(wrong)).toMatch(/answered 400/)
  stranger.answer({ '/token': answerOf(400, JSON.stringify({ error: CANARY })) })
  expect(await paste(url.href, await start())).toMatch(/answered 400.*belongs to no authorization/)
  expect(await paste(url.href)).toMatch(/answered 400.*refused to give a token/)
  expect(await paste(url.href)).toMatch(/answered 400.*belongs to no authorization/)
})

test('a client that its authorization server has forgotten is registered anew', async () => {
  const url = await callbackOf({ code: 'c', iss: stranger.origin })
  const registered = stranger.count('/register')
  await start()
  expect(stranger.count('/register')).toBe(registered)
  const body = JSON.stringify({ error: 'invalid_client', error_description: CANARY })
  stranger.answer({ '/token': answerOf(401, body, { 'www-authenticate': `Basic realm="${CANARY}"` }) })
  expect(await visit(url)).toMatch(/\(invalid_client\)/)
  await start()
  expect(stranger.count('/register')).toBe(registered + 1)
})

describe('a callback', () => {
  test('with another state, at the path of another grant, or at no path is no answer', async () => {
    const url = await callbackOf({ code: 'c', iss: stranger.origin })
    const other = new URL(url)
    other.searchParams.set('state', 'x'.repeat(43))
    expect(await visit(other)).toMatch(/^400 [^]*belongs to no authorization/)
    expect(await visit(new URL(url.href.replace('/notes?', `/${CANARY}?`)))).toMatch(/^40[04] /)
    expect(await visit(new URL(url.href.replace('/callback/notes?', '/callback?')))).toMatch(/^404 /)
    expect(stranger.last('/token').get('code')).not.toBe('d')
  })

  test('is good once', async () => {
    const url = await callbackOf({ code: 'once', iss: stranger.origin })
    stranger.answer({ '/token': answerOf(400, '{"error":"invalid_grant"}') })
    expect(await visit(url)).toMatch(/\(invalid_grant\)/)
    stranger.answer({})
    const asked = stranger.count('/token')
    expect(await visit(url)).toMatch(/^400 [^]*belongs to no authorization/)
    expect(stranger.count('/token')).toBe(asked)
  })

  // oxfmt-ignore
  test.each([
    ['an error, and who says so', (): Answers => ({}), { error: 'invalid_scope', iss: '' }, /\(invalid_scope\)/],
    ['an error, and nobody says so', (): Answers => ({}), { error: 'access_denied' }, /denied/],
    ['an error of its own', (): Answers => ({}), { error: CANARY, error_description: CANARY }, /the authorization server refused[^(]*$/],
    ['an error of another', (): Answers => ({}), { error: 'access_denied', error_description: CANARY, iss: `https://${CANARY}.example` }, /another authorization server/],
    ['an error of nobody, though it always says', (): Answers => metadata({ authorization_response_iss_parameter_supported: true }), { error: 'access_denied' }, /does not say which/],
    ['a code of another', (): Answers => ({}), { code: CANARY, iss: `https://${CANARY}.example` }, /another authorization server/],
    ['a code of nobody, though it always says', (): Answers => metadata({ authorization_response_iss_parameter_supported: true }), { code: CANARY }, /does not say which/],
    ['neither code nor error', (): Answers => ({}), { [CANARY]: CANARY }, /holds no code/],
  ] as const)('that brings %s', async (_, answers, parameters, expected) => {
    stranger.answer(answers())
    const asked = stranger.count('/token')
    const iss = 'iss' in parameters && parameters.iss === '' ? { iss: stranger.origin } : {}
    const page = await visit(await callbackOf({ ...parameters, ...iss }))
    expect(page).toMatch(/^400 /)
    expect(page).toMatch(expected)
    expect(stranger.count('/token')).toBe(asked)
  })
})

/** The server behind the stranger, for whoever has the token. */
const open: Answer = (response, request, body) => {
  const headers = Object.entries(request.headers).filter(([name]) =>
    /^(?:mcp-|content-type|accept$)/.test(name),
  )
  const passed =
    request.headers.authorization === 'Bearer good-token'
      ? fetch(upstream.url, { method: 'POST', headers: headers as [string, string][], body })
      : Promise.resolve(new Response(null, { status: 401 }))
  void passed
    .then(
      async (answer) => {
        const type = answer.headers.get('content-type') ?? 'text/plain'
        response.writeHead(answer.status, { 'content-type': type })
        for await (const chunk of answer.body ?? []) response.write(chunk)
        response.end()
      },
      () => response.destroy(),
    )
    .catch(() => response.destroy())
}

test('after all that a good answer is good; a life that cannot be does not matter', async () => {
  const url = await callbackOf({ code: 'c', iss: stranger.origin })
  stranger.answer({
    '/token': token({ expires_in: -1, refresh_token: 'refresh', id_token: CANARY }),
    '/mcp': open,
  })
  expect(await visit(url)).toMatch(/^200 /)
  expect((await call()).result?.content[0]?.text).toBe('Echo: hi')
})

test('a page in place of a renewed token does not end the grant; the next answer mends it', async () => {
  const broken: Answer = answerOf(200, `<html>${CANARY}`)
  stranger.answer({ '/token': broken, '/mcp': answerOf(401, CANARY) })
  const { error } = await call()
  expect(error?.message).toMatch(/cannot be used/)
  expect((await grant())['state']).not.toBe('needs-login')
  stranger.answer({ '/token': token({}), '/mcp': open })
  await expect.poll(call, { timeout: 30_000, interval: 500 }).toHaveProperty('result')
})

test('what was bound elsewhere while its user was away stays so', async () => {
  const elsewhere = 'https://elsewhere.example'
  const url = await callbackOf({ code: 'c', iss: stranger.origin })
  const bind = (origin: string): Promise<unknown> =>
    gate.daemon.call('POST', '/api/v1/grants/oauth:notes/bind', { origins: [origin] })
  await bind(elsewhere)
  expect(await visit(url)).toMatch(/^200 /)
  expect(await grant()).toMatchObject({ state: 'ready', origins: [elsewhere] })
  stranger.answer({ '/mcp': open })
  expect((await call()).error?.message).toContain('for another origin')
  await bind(stranger.origin)
  expect((await call()).result?.content[0]?.text).toBe('Echo: hi')
})

test('what was issued for one server is not kept as the token of another', async () => {
  const settings = {
    clientId: 'known',
    authUrl: `${stranger.origin}/authorize`,
    tokenUrl: `${stranger.origin}/token`,
  }
  const startFor = (path: string): Promise<Started> =>
    start(Object.assign({ name: 'two', server: undefined, url: `${stranger.origin}${path}` }, settings))
  stranger.answer({ '/mcp': answerOf(401, '') })
  const first = new URL((await startFor('/mcp')).authorizeUrl).searchParams
  await startFor('/other')
  const back = new URL(first.get('redirect_uri') ?? '')
  back.search = new URLSearchParams({ code: 'c', state: first.get('state') ?? '' }).toString()
  expect(await visit(back)).toMatch(/^400 [^]*started anew/)
  await gate.daemon.call('DELETE', '/api/v1/grants/oauth:two')
})

test('what is taken back is not sent while its authorization server takes its time', async () => {
  const asked = Promise.withResolvers<() => void>()
  const hesitates: Answer = (response) => asked.resolve(() => response.writeHead(200).end())
  stranger.answer(metadata({ revocation_endpoint: `${stranger.origin}/revoke` }))
  const url = await callbackOf({ code: 'c', iss: stranger.origin })
  expect(await visit(url)).toMatch(/^200 /)
  stranger.answer({ '/mcp': open, '/revoke': hesitates })
  expect((await call()).result?.content[0]?.text).toBe('Echo: hi')
  const revoked = gate.daemon.call('DELETE', '/api/v1/grants/oauth:notes')
  const answer = await asked.promise
  const before = stranger.seen.length
  expect((await call()).error?.message).toContain(COMMAND)
  expect(stranger.seen.slice(before).filter(({ headers }) => 'authorization' in headers)).toEqual([])
  answer()
  expect(await revoked).toMatchObject({ revoked: true })
})

test('nothing of what the stranger said was said to anybody, sent to it, logged or kept', async () => {
  const log = readFileSync(join(gate.daemon.home, 'logs/daemon.log'), 'utf8')
  expect(log).toContain('an authorization has ended')
  expect(said.length).toBeGreaterThan(70)
  for (const text of [...said, log]) expect(text).not.toContain(CANARY)
  const carried = stranger.seen.flatMap(({ headers }) => Object.entries(headers).flat().join(' '))
  expect(carried.filter((text) => text.includes(CANARY))).toEqual([])
})
