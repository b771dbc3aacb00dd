import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/authorization-server.ts'
import { BIN } from '../fixtures/daemon.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { runInMemory, type Ran } from './cli-in-memory.ts'
import { createScanner, type Scanner } from './canary-scan.ts'
import { httpServer, project, startGate, until, type Gate, type Json } from './gateway-harness.ts'

// One story, in the order in which it happens to a user.

let upstream: Upstream
let authorization: AuthorizationServer
let gate: Gate
let scanner: Scanner
const answers: string[] = []

beforeAll(async () => {
  scanner = createScanner()
  // Into the home, where what was logged is looked through with everything else.
  Object.assign(process.env, { CASTELLAN_LOG_TO: 'file', CASTELLAN_LOG_LEVEL: 'trace' })
  upstream = await startUpstream({ style: 'modern' })
  authorization = await startAuthorizationServer({ behind: upstream.url })
  gate = await startGate([
    httpServer('notes', authorization.url, { auth: { grant: 'oauth:notes' } }),
    project('demo', ['notes']),
  ])
})
afterAll(async () => {
  await gate?.end()
  await authorization?.close()
  await upstream?.close()
})

interface Called {
  readonly result?: { readonly content: readonly { readonly text: string }[] }
  readonly error?: { readonly message: string }
}

let nextId = 0
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
      id: ++nextId,
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
  const body = await response.text()
  answers.push(body)
  return JSON.parse(body) as Called
}

const works = (called: Called): boolean => called.result?.content[0]?.text === 'Echo: hi'

interface Started {
  readonly attempt: string
  readonly authorizeUrl: string
  readonly scopes: readonly string[]
}
const start = (more: Json = {}): Promise<Started> =>
  gate.daemon.call('POST', '/api/v1/grants', { name: 'notes', server: 'notes', ...more }) as Promise<Started>

async function grantsTable(): Promise<string> {
  const { items } = (await gate.daemon.call('GET', '/api/v1/grants')) as { readonly items: readonly Json[] }
  answers.push(JSON.stringify(items))
  return items.map(({ name, state }) => `${String(name)} ${String(state)}`).join('\n')
}

/** What the authorization server would send the browser to. */
async function redirectOf(authorizeUrl: string): Promise<URL> {
  const answer = await fetch(authorizeUrl, { redirect: 'manual' })
  return new URL(answer.headers.get('location') ?? '')
}

const COMMAND = 'castellan grant oauth notes --server notes'

test('without the grant a call says what to run, and so does the status', async () => {
  expect((await call()).error?.message).toContain(COMMAND)
  expect((await gate.status('notes'))['message']).toContain(COMMAND)
  expect(authorization.count('refused')).toBe(0)
})

test('castellan grant oauth: the address on standard output, and an end when it was opened', async () => {
  const child = spawn(process.execPath, [BIN, 'grant', 'oauth', 'notes', '--server', 'notes'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CASTELLAN_HOME: gate.daemon.home },
  })
  const [errors, ended] = [
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('exit', resolve)),
  ]
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk))
  const url = await until('the address', () => (printed.endsWith('\n') ? printed.trim() : undefined))
  const asked = new URL(url).searchParams
  expect(asked.get('code_challenge_method')).toBe('S256')
  expect(asked.get('resource')).toBe(authorization.url)
  expect(asked.get('scope')).toBe('notes:read')
  const page = await fetch(url)
  expect(await page.text()).toContain('oauth:notes is authorized')
  expect(page.headers.get('referrer-policy')).toBe('no-referrer')
  expect(await ended).toBe(0)
  expect(await errors).toContain('oauth:notes authorized')
  expect(works(await call())).toBe(true)
  expect(upstream.last('tools/call')?.headers.authorization).toMatch(/^Bearer access-/)
  expect(await grantsTable()).toBe('oauth:notes ready')
  expect((await gate.status('notes'))['phase']).toBe('Ready')
})

test('a token that is refused is renewed once, however many calls meet it, and none of them fails', async () => {
  const before = authorization.count('refresh')
  authorization.expire()
  const called = await Promise.all(Array.from({ length: 40 }, call))
  expect(called.filter((one) => !works(one))).toEqual([])
  expect(authorization.count('refresh')).toBe(before + 1)
  expect(authorization.last('refresh').get('resource')).toBe(authorization.url)
})

test('kill -9 loses no grant: the rotated refresh token was durable before its access token was used', async () => {
  authorization.expire()
  expect(works(await call())).toBe(true)
  await gate.restart('SIGKILL')
  expect(works(await call())).toBe(true)
  authorization.expire()
  expect(works(await call())).toBe(true)
})

test('a server that demands more gets it: the scopes there were, and the one it demands', async () => {
  authorization.demand('notes:write')
  const { error } = await call()
  expect(error?.message).toContain(COMMAND)
  expect(await grantsTable()).toBe('oauth:notes needs-scope')
  const { authorizeUrl, scopes } = await start()
  expect(scopes).toEqual(['notes:read', 'notes:write'])
  expect((await fetch(authorizeUrl)).status).toBe(200)
  expect(works(await call())).toBe(true)
  expect(authorization.count('register')).toBe(1)
})

test('a callback is good once, for its own grant, with its own state, from its own issuer', async () => {
  const { authorizeUrl, attempt } = await start()
  const good = await redirectOf(authorizeUrl)
  const visit = async (change: (url: URL) => void): Promise<string> => {
    const url = new URL(good)
    change(url)
    const answer = await fetch(url)
    const body = await answer.text()
    answers.push(body)
    return `${answer.status} ${body}`
  }
  expect(await visit((url) => url.searchParams.set('state', 'x'.repeat(43)))).toContain('400 ')
  const { authorizeUrl: other } = await start()
  const foreign = await redirectOf(other)
  foreign.searchParams.set('iss', 'https://evil.example')
  foreign.searchParams.set('error', 'show-me')
  const answered = await (await fetch(foreign)).text()
  expect(answered).toContain('another authorization server')
  expect(answered).not.toContain('show-me')
  expect(await visit(() => undefined)).toContain('200 ')
  expect(await visit(() => undefined)).toContain('belongs to no authorization that is under way')
  expect(await gate.daemon.call('GET', `/api/v1/grants/attempts/${attempt}`)).toEqual({ state: 'done' })
  expect(works(await call())).toBe(true)
})

test('a grant that can no longer be renewed says so, and is mended with one command', async () => {
  authorization.expire()
  authorization.forget()
  expect((await call()).error?.message).toContain(COMMAND)
  expect(await grantsTable()).toBe('oauth:notes needs-login')
  const refused = authorization.count('refused')
  expect((await call()).error?.message).toContain(COMMAND)
  expect(authorization.count('refused')).toBe(refused)
  const { authorizeUrl } = await start()
  await fetch(authorizeUrl)
  expect(works(await call())).toBe(true)
  expect(authorization.count('register')).toBe(1)
})

// oxfmt-ignore
test.each([
  ['names another issuer', { issuer: 'https://evil.example' }, 'about another issuer'],
  ['does not support S256', { code_challenge_methods_supported: ['plain'] }, 'PKCE with S256'],
  ['says nothing of PKCE', { code_challenge_methods_supported: undefined }, 'PKCE with S256'],
  ['sends the browser to a page that is not https', { authorization_endpoint: 'javascript:alert(1)' }, 'not an https address'],
])('an authorization server that %s is not used', async (_, fields, problem) => {
  authorization.describe(fields)
  try {
    await expect(start()).rejects.toThrow(problem)
  } finally {
    authorization.describe({})
  }
  expect(works(await call())).toBe(true)
})

test('the token goes to no other origin: a server that has it cannot be moved there, and one that was is told so', async () => {
  const elsewhere = await startUpstream({ style: 'modern' })
  const moved = httpServer('notes', elsewhere.url, { auth: { grant: 'oauth:notes' } })
  const bind = (...origins: readonly string[]): Promise<unknown> =>
    gate.daemon.call('POST', '/api/v1/grants/oauth:notes/bind', { origins })
  const here = new URL(authorization.url).origin
  try {
    await expect(gate.daemon.apply([moved])).rejects.toThrow('castellan grant bind oauth:notes')
    await bind(here, elsewhere.url)
    await gate.daemon.apply([moved])
    await bind(here)
    expect((await call()).error?.message).toContain('is for another origin')
    expect(elsewhere.seen).toEqual([])
  } finally {
    await gate.daemon.apply([httpServer('notes', authorization.url, { auth: { grant: 'oauth:notes' } })])
    await elsewhere.close()
  }
  expect(works(await call())).toBe(true)
})

/** A command line as a user has it; what it prints is looked through for secrets too. */
async function castellan(...argv: readonly string[]): Promise<Ran> {
  const ran = await runInMemory([...argv, '--home', gate.daemon.home])
  answers.push(ran.out, ran.err)
  return ran
}

test('castellan grant list, and grant oauth -d: the address alone on standard output', async () => {
  const listed = await castellan('grant', 'list')
  expect(listed.out).toMatch(/^NAME +SERVER +STATE +EXPIRES +RENEWABLE +SCOPES$/m)
  expect(listed.out).toMatch(/^oauth:notes +notes +ready +in \d+m .* yes +notes:read notes:write$/m)
  const started = await castellan(
    'grant',
    'oauth',
    'notes',
    '--server',
    'notes',
    '--scope',
    'notes:read',
    '-d',
  )
  expect(started.out.trim().split('\n')).toHaveLength(1)
  expect(new URL(started.out.trim()).searchParams.get('scope')).toBe('notes:read')
  expect(await castellan('grant', 'oauth', 'notes')).toMatchObject({ code: 2 })
  expect(await castellan('grant', 'oauth', 'notes', '--server', 'none')).toMatchObject({ code: 1 })
})

test('castellan grant revoke: here and at the authorization server, wherever it may be sent by then', async () => {
  await gate.daemon.call('POST', '/api/v1/grants/oauth:notes/bind', {
    origins: ['https://elsewhere.example', authorization.url],
  })
  expect(await castellan('grant', 'revoke', 'oauth:notes')).toEqual({
    code: 0,
    out: 'oauth:notes forgotten\n',
    err: 'its issuer has taken it back\n',
  })
  expect(authorization.count('revoke')).toBe(2)
  expect(await grantsTable()).toBe('')
  expect((await call()).error?.message).toContain(COMMAND)
  expect(await castellan('grant', 'revoke', 'oauth:notes')).toMatchObject({ code: 1 })
})

test('no secret that was given out is in an answer or in any file of the home', async () => {
  for (const secret of authorization.secrets) scanner.plant(secret.split('-')[0] ?? '', secret)
  expect(authorization.secrets.length).toBeGreaterThan(10)
  expect(answers.flatMap((answer) => scanner.look('answer', answer))).toEqual([])
  expect(readFileSync(join(gate.daemon.home, 'logs/daemon.log'), 'utf8')).toContain('a grant was refreshed')
  expect(scanner.lookBelow(gate.daemon.home, [])).toEqual([])
})

test('a callback address takes nothing but what a browser brings', async () => {
  const url = new URL('/oauth/callback/notes', gate.daemon.origin)
  expect((await fetch(url, { method: 'POST' })).status).toBe(404)
  expect((await fetch(url)).status).toBe(400)
  const status = await new Promise<number | undefined>((resolve) => {
    httpRequest(url, { headers: { host: 'evil.example' } }, (answer) => resolve(answer.statusCode)).end()
  })
  expect(status).toBe(403)
})
