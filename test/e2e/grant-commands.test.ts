import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/authorization-server.ts'
import { BIN } from '../fixtures/daemon.ts'
import { startResourceProvider } from '../fixtures/resource-provider.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { createScanner } from './canary-scan.ts'
import { httpServer, project, startGate, until, type Gate, type Json } from './gateway-harness.ts'
import type { Ran } from './cli-in-memory.ts'

/* What a person types about grants, in processes of their own, with a home that other programs have logins in. */

const person = mkdtempSync(join(tmpdir(), 'castellan-grantor-'))
const scanner = createScanner()
const screens: string[] = []
let upstream: Upstream
let authorization: AuthorizationServer
let gate: Gate

/** A value that must be seen nowhere but where it belongs. */
function secret(label: string, head = ''): string {
  const value = `${head}${label}-${crypto.randomUUID().replaceAll('-', '')}`
  scanner.plant(label, value)
  return value
}

function put(path: string, content: string, mode = 0o600): void {
  mkdirSync(join(person, path, '..'), { recursive: true })
  writeFileSync(join(person, path), content)
  chmodSync(join(person, path), mode)
}

const server = (name: string, auth: Json): Json => httpServer(name, upstream.url, { auth })

beforeAll(async () => {
  upstream = await startUpstream({ style: 'modern' })
  authorization = await startAuthorizationServer({ behind: upstream.url })
  gate = await startGate([
    server('keyed', { grant: 'mcp:keyed', header: 'X-Api-Key' }),
    server('personal', { grant: 'mcp:personal', header: 'X-Api-Key', whose: 'per-user' }),
    httpServer('notes', authorization.url, { auth: { grant: 'oauth:notes' } }),
    httpServer('plain', upstream.url),
    { kind: 'User', metadata: { name: 'ada' }, spec: {} },
    { kind: 'User', metadata: { name: 'ben' }, spec: {} },
    {
      kind: 'RoleBinding',
      metadata: { name: 'ben' },
      spec: {
        subjects: [{ kind: 'User', name: 'ben' }],
        bindings: [{ role: 'view', resource: 'grants' }],
      },
    },
    {
      kind: 'RoleBinding',
      metadata: { name: 'ada' },
      spec: {
        subjects: [{ kind: 'User', name: 'ada' }],
        bindings: [{ role: 'view', resource: 'servers' }],
      },
    },
    project('demo', ['keyed', 'notes']),
  ])
  put('browser', `#!${process.execPath}\nfetch(process.argv[2]).then((r) => r.text())\n`, 0o755)
})
afterAll(async () => {
  await gate?.end()
  await authorization?.close()
  await upstream?.close()
  await rm(person, { recursive: true, force: true })
})

interface Given {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
}

const environment = (env: Given['env']): Record<string, string> => ({
  PATH: `${person}/bin:/usr/bin:/bin`,
  HOME: person,
  CASTELLAN_HOME: gate.daemon.home,
  TERM: 'xterm',
  ...env,
})

const wordsOf = (line: string | readonly string[]): readonly string[] =>
  typeof line === 'string' ? line.split(' ') : line

async function castellan(line: string | readonly string[], { env, stdin = '' }: Given = {}): Promise<Ran> {
  const child = spawn(process.execPath, [BIN, ...wordsOf(line)], { env: environment(env), cwd: person })
  child.stdin.end(stdin)
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  screens.push(out, err)
  return { code: code as number, out, err }
}

/** One who types: keys go out when the screen shows what they answer. */
class Typist {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  #screen = ''

  constructor(line: string, env: Given['env'] = {}) {
    const command = [process.execPath, BIN, ...line.split(' ')].map((word) => `'${word}'`).join(' ')
    // A terminal without a size would break each letter into a line of its own.
    this.#child = spawn('script', ['-qefc', `stty cols 120 rows 40; exec ${command}`, '/dev/null'], {
      env: environment(env),
      cwd: person,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdout.setEncoding('utf8').on('data', (shown: string) => (this.#screen += shown))
  }

  async when(shown: string, keys: string): Promise<this> {
    await until(`the screen shows ${shown}`, () => this.#screen.includes(shown))
    this.#child.stdin.write(keys)
    return this
  }

  async ended(): Promise<{ readonly code: number; readonly screen: string }> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
    screens.push(this.#screen)
    return { code: this.#child.exitCode ?? -1, screen: this.#screen }
  }

  get screen(): string {
    return this.#screen
  }
}

/** Confirms the code on the page for it, logs in and consents: a browser without a screen. */
async function enterCode(url: string): Promise<void> {
  const cookies = new Map<string, string>()
  let [at, form]: [URL, URLSearchParams | undefined] = [new URL(url), undefined]
  for (let step = 0; step < 12; step++) {
    const page: Response = await fetch(at, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
    })
    for (const cookie of page.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      cookies.set(name, value)
    }
    const location = page.headers.get('location')
    const html = await page.text()
    const action = /<form[^>]* action="([^"]+)"/.exec(html)?.[1]
    if (location === null && action === undefined) return
    at = new URL(location ?? action ?? '', at)
    form = location === null ? filled(html) : undefined
  }
}

/** A form with what it came with, and what a person adds. */
function filled(html: string): URLSearchParams {
  const form = new URLSearchParams({ login: 'ada', password: 'any', confirm: 'yes' })
  for (const [, name = '', value = ''] of html.matchAll(/name="([a-z_]+)" value="([^"]*)"/g))
    form.set(name, value)
  return form
}

const has = (command: string, ...words: readonly string[]): boolean =>
  spawnSync(command, words, { stdio: 'ignore' }).error === undefined
const hasTerminal = process.platform === 'linux' && has('script', '--version')
const hasSsh = has('ssh-agent', '-?') && has('ssh-keygen', '-?')

const shown = async (name: string, query = ''): Promise<Json> =>
  (await gate.daemon.call('GET', `/api/v1/grants/${encodeURIComponent(name)}${query}`)) as Json
const names = async (): Promise<readonly unknown[]> =>
  ((await gate.daemon.call('GET', '/api/v1/grants')) as { items: readonly Json[] }).items.map(
    ({ name }) => name,
  )

async function callKeyed(): Promise<string | undefined> {
  const { url, token } = await gate.access('demo', 'keyed')
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
  screens.push(await response.text())
  return upstream.last('tools/call')?.headers['x-api-key'] as string | undefined
}

describe('the key of an MCP server', () => {
  test('from standard input: stored, tested, and sent with the next call', async () => {
    const key = secret('piped')
    const ran = await castellan('grant mcp mcp-keyed --stdin', { stdin: `${key}\n` })
    expect(ran).toMatchObject({ code: 0, out: 'mcp:keyed stored\n' })
    expect(ran.err).toMatch(/^tested: /)
    expect(await callKeyed()).toBe(key)
    expect(await shown('mcp:keyed')).toMatchObject({ source: 'stdin', server: 'keyed', state: 'ready' })
  })

  test('for a server that does not use it yet, with what to write into its manifest', async () => {
    const ran = await castellan('grant mcp plain --stdin --profile work --no-test', {
      stdin: secret('snippet'),
    })
    expect(ran).toMatchObject({ code: 0 })
    expect(ran.err).toContain('spec:\n  auth:\n    grant: mcp:plain\n    profile: work\n')
  })

  test.runIf(hasTerminal)('typed on a terminal, which does not show it; Ctrl-C leaves nothing', async () => {
    const [key, half] = [secret('typed'), secret('half')]
    const typed = await new Typist('grant mcp keyed').when('Key of the server', `${key}\r`)
    expect(await typed.ended()).toMatchObject({ code: 0 })
    expect(await callKeyed()).toBe(key)
    const given = await names()
    const gaveUp = await new Typist('grant mcp never --url https://mcp.example.com').when('Key of', half)
    await gaveUp.when('▪'.repeat(10), '\u0003')
    expect((await gaveUp.ended()).code).toBe(1)
    expect(gaveUp.screen).toContain('nothing was done')
    expect(await names()).toEqual(given)
  })
})

describe('providers', () => {
  test('a file in the home of the daemon is one more; what is wrong with another is said', async () => {
    const folder = join(gate.daemon.home, 'providers')
    mkdirSync(folder, { recursive: true })
    writeFileSync(
      join(folder, 'acme.yaml'),
      'name: acme\ndescription: Rockets\nhosts: [api.acme.example]\ninject: {header: X-Acme-Key}\nsource_env: [ACME_KEY]\nprompt: Key of Acme\n',
    )
    writeFileSync(join(folder, 'broken.yaml'), 'name: broken\nhsots: [a.example]\n')
    const listed = await castellan('grant providers')
    expect(listed.out).toMatch(/^acme +\S.* ACME_KEY, a prompt$/m)
    const words = (await castellan(['__complete', '--', 'grant', ''])).out
      .split('\n')
      .map((line) => line.split('\t')[0])
    expect(words).toEqual(expect.arrayContaining(['list', 'mcp', 'github', 'acme']))
    expect(new Set(words).size).toBe(words.length)
    expect(listed.err).toMatch(/broken\.yaml:2:1.*hosts/)
    const ran = await castellan('grant acme --no-test', { env: { ACME_KEY: secret('acme') } })
    expect(ran).toEqual({ code: 0, out: 'acme stored\n', err: 'token from ACME_KEY\n' })
    expect(await shown('acme')).toMatchObject({ source: 'env', origins: ['https://api.acme.example'] })
  })

  test('logins of other programs are found where these keep them', async () => {
    const [access, refresh] = [secret('login', 'sk-ant-oat01-'), secret('relogin', 'sk-ant-ort01-')]
    const oauth = { accessToken: access, refreshToken: refresh, expiresAt: Date.now() + 3_600_000 }
    put('.claude/.credentials.json', JSON.stringify({ claudeAiOauth: oauth }))
    put('.npmrc', '//registry.example.com/:_authToken=${PACKAGES}\n')
    const claude = await castellan('grant claude --no-test')
    expect(claude).toMatchObject({ code: 0, out: 'claude stored\n' })
    expect(claude.err).toContain(`token and refreshToken from ${person}/.claude/.credentials.json`)
    expect(await shown('claude')).toMatchObject({ source: 'file', expiresAtMs: oauth.expiresAt })
    const npm = await castellan('grant npm --no-test', { env: { PACKAGES: secret('npm', 'npm_') } })
    expect(npm).toMatchObject({ code: 0, out: 'npm:registry.example.com stored\n' })
    expect(await shown('npm:registry.example.com')).toMatchObject({
      origins: ['https://registry.example.com'],
    })
  })

  test('a command of another program, and a value that is none', async () => {
    put('bin/gh', `#!/bin/sh\necho "${secret('gh', 'gho_')}"\n`, 0o755)
    const ran = await castellan('grant gh --no-test')
    expect(ran).toMatchObject({ code: 0, err: 'GITHUB_TOKEN, GH_TOKEN: not set\ntoken from gh auth token\n' })
    const wrong = await castellan('grant anthropic', {
      env: { ANTHROPIC_API_KEY: secret('wrong', 'sk-ant-oat01-') },
    })
    expect(wrong).toMatchObject({ code: 2, out: '' })
    expect(wrong.err).toContain('castellan grant claude')
  })

  test.runIf(hasSsh)('a key of a real SSH agent', async () => {
    const agent = spawn('ssh-agent', ['-D', '-a', join(person, 'agent')], { stdio: 'ignore' })
    try {
      const env = { SSH_AUTH_SOCK: join(person, 'agent') }
      spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'one', '-f', join(person, 'one')])
      spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'two', '-f', join(person, 'two')])
      const add = (name: string) =>
        spawnSync('ssh-add', ['-q', join(person, name)], { env: { ...process.env, ...env } })
      await until('the agent takes a key', () => add('one').status === 0)
      const ran = await castellan('grant ssh --host github.com --no-test', { env })
      expect(ran).toMatchObject({ code: 0, out: 'ssh:github.com stored\n' })
      expect(ran.err).toMatch(/key from the SSH agent: ssh-ed25519 SHA256:\S+ one\n/)
      add('two')
      const several = await castellan('grant ssh --host github.com', { env })
      expect(several).toMatchObject({ code: 2 })
      expect(several.err).toMatch(/SHA256:\S+ one, or ssh-ed25519 SHA256:\S+ two/)
    } finally {
      agent.kill()
    }
  })
})

describe('OAuth', () => {
  test('a browser is opened without a shell, and brings the answer; where each value came from is said', async () => {
    const env = { BROWSER: join(person, 'browser') }
    const ran = await castellan('grant oauth notes --server notes', { env })
    expect(ran).toMatchObject({ code: 0 })
    expect(ran.out).toContain('/authorize?')
    expect(ran.err).toContain('oauth:notes authorized')
    expect(ran.err).toMatch(/^authorization server +http:\S+ +\(discovery\)$/m)
    expect(await shown('oauth:notes')).toMatchObject({ state: 'ready', renewable: true })
  })

  test.runIf(hasTerminal)('without a browser the address that it ended at is pasted', async () => {
    const typist = new Typist('grant oauth notes --server notes --no-browser')
    await typist.when('Address that the browser ended at', 'https://evil.example/?code=x\r')
    const [authorizeUrl = ''] = /http:\S+\/authorize\?\S+/.exec(typist.screen) ?? []
    const answer = await fetch(authorizeUrl, { redirect: 'manual' })
    await typist.when('answer: ', `${answer.headers.get('location') ?? ''}\r`)
    expect(await typist.ended()).toMatchObject({ code: 0 })
    expect(typist.screen).toContain('oauth:notes authorized')
  })

  test('on a machine without a browser: a code, entered in a browser somewhere', async () => {
    const provider = await startResourceProvider()
    try {
      await gate.daemon.apply([httpServer('wiki', provider.url, { auth: { grant: 'oauth:wiki' } })])
      const child = spawn(process.execPath, [BIN, 'grant', 'oauth', 'wiki', '--server', 'wiki', '--device'], {
        env: environment({}),
        cwd: person,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const said = text(child.stderr)
      const [address] = (await once(child.stdout, 'data')) as [Buffer]
      await enterCode(address.toString().trim())
      await once(child, 'exit')
      expect(await said).toMatch(/enter the code [A-Z]{4}-[A-Z]{4}:\noauth:wiki authorized\n$/)
      expect(await shown('oauth:wiki')).toMatchObject({ state: 'ready', source: 'device', renewable: true })
    } finally {
      for (const value of provider.secrets) scanner.plant('issued', value)
      await provider.close()
    }
  })

  test('renewed at once, bound elsewhere, and taken back at the issuer too', async () => {
    const before = authorization.count('refresh')
    expect(await castellan('grant refresh oauth:notes')).toMatchObject({
      code: 0,
      out: 'oauth:notes renewed\n',
    })
    expect(authorization.count('refresh')).toBe(before + 1)
    expect(await castellan('grant test oauth:notes')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^oauth:notes valid: /) as string,
    })
    authorization.expire()
    authorization.forget()
    expect(await castellan('grant test oauth:notes')).toMatchObject({ code: 1 })
    expect(await castellan('grant bind oauth:notes https://notes.example.com')).toMatchObject({ code: 2 })
    expect(await castellan('grant bind oauth:notes https://notes.example.com --yes --only')).toMatchObject({
      code: 0,
    })
    expect((await castellan('grant show oauth:notes')).out).toMatch(
      /^sent to +https:\/\/notes\.example\.com$/m,
    )
    await castellan(['grant', 'bind', 'oauth:notes', authorization.url, '--only', '--yes'])
    const revoked = authorization.count('revoke')
    expect(await castellan('revoke oauth:notes')).toEqual({
      code: 0,
      out: 'oauth:notes forgotten\n',
      err: 'its issuer has taken it back\n',
    })
    expect(authorization.count('revoke')).toBeGreaterThan(revoked)
  })
})

test('the administrator of the host sees what is sent, on the record; a refresh token nobody', async () => {
  const value = secret('shown', 'sk-ant-oat01-')
  const login = { accessToken: value, refreshToken: secret('never', 'sk-ant-ort01-') }
  put('.claude/.credentials.json', JSON.stringify({ claudeAiOauth: login }))
  expect(await castellan('grant claude --profile seen --no-test')).toMatchObject({ code: 0 })
  const line = 'grant show claude --profile seen --show-token'
  expect(await castellan(`${line} --yes`)).toEqual({ code: 0, out: `${value}\n`, err: '' })
  expect(await castellan(line)).toMatchObject({ code: 2, out: '' })
  const asAda = await castellan(`${line} --yes --as User:ada`)
  expect(asAda).toMatchObject({ code: 1, out: '' })
  expect((await castellan('audit --limit 50')).out).toMatch(/run reveal-secret .*claude/)
})

test('a user connects themselves to a server that calls with the grant of each user', async () => {
  const password = secret('password')
  await castellan('set-password ada', { stdin: `${password}\n` })
  const env = { CASTELLAN_HOME: '', DBUS_SESSION_BUS_ADDRESS: `unix:path=${person}/none` }
  const login = ['login', '--url', gate.daemon.origin, '--user', 'ada', '--keep-in', 'file']
  expect(await castellan(login, { env, stdin: `${password}\n` })).toMatchObject({ code: 0 })
  const connected = await castellan('grant connect personal', { env, stdin: `${secret('own')}\n` })
  expect(connected).toMatchObject({ code: 0 })
  expect(connected.out).toContain('server/personal connected\n')
  expect((await castellan('grant list', { env })).out).toContain('mcp:personal')
  expect(await shown('mcp:personal', '?for=user:ada')).toMatchObject({ holder: 'user:ada' })
  expect(await castellan('grant connect keyed', { env })).toMatchObject({ code: 2 })
  expect(await castellan('grant mcp keyed --stdin', { env, stdin: secret('shared') })).toMatchObject({
    code: 1,
  })
  expect(await castellan('revoke mcp:personal --user ada')).toMatchObject({ code: 0 })
})

test('the record says whose a grant was, and of which profile; all of one name are found together', async () => {
  const give = (words: string) =>
    castellan(`grant mcp keyed --stdin --no-test${words}`, { stdin: secret('named') })
  for (const words of ['', ' --profile work', ' --user ada --profile work', ' --project demo'])
    expect(await give(words)).toMatchObject({ code: 0 })
  await castellan('revoke mcp:keyed --project demo')
  const found = await castellan('audit --grant mcp:keyed --limit 100 -o json')
  const acts = (JSON.parse(found.out) as { readonly items: readonly Json[] }).items
    .filter(({ event }) => String(event).endsWith(' grants'))
    .map(({ event, target }) => `${String(event)} ${String(target)}`)
  expect(acts).toEqual(
    expect.arrayContaining([
      'create grants mcp:keyed',
      'create grants work/mcp:keyed',
      'create grants user:ada/work/mcp:keyed',
      'create grants project:demo/mcp:keyed',
      'delete grants project:demo/mcp:keyed',
    ]),
  )
})

test('a test names the server that it asked to those who may see it', async () => {
  expect((await castellan('grant test mcp:keyed')).out).toContain('keyed accepts it')
  const asBen = await castellan('grant test mcp:keyed --as User:ben')
  expect(asBen.out).toBe('mcp:keyed valid: a server that uses it accepts it\n')
})

test('an authorization that somebody has begun is nobody else’s to follow or to end', async () => {
  const begun = (await gate.daemon.call('POST', '/api/v1/grants', { name: 'notes', server: 'notes' })) as Json
  const path = `/api/v1/grants/attempts/${String(begun['attempt'])}`
  const back = await fetch(String(begun['authorizeUrl']), { redirect: 'manual' })
  const answer = back.headers.get('location') ?? ''
  const credential = readFileSync(join(gate.daemon.home, 'admin-credential'), 'utf8').trim()
  const headers = {
    authorization: `Bearer ${credential}`,
    'x-castellan-as': 'User:ada',
    'content-type': 'application/json',
  }
  const asAda = async (at: string, init: RequestInit = {}) =>
    (await fetch(new URL(at, gate.daemon.origin), { headers, ...init })).status
  expect(await asAda(path)).toBe(404)
  expect(await asAda(`${path}/paste`, { method: 'POST', body: JSON.stringify({ answer }) })).toBe(404)
  expect(await gate.daemon.call('GET', path)).toEqual({ state: 'waiting' })
  expect(await gate.daemon.call('POST', `${path}/paste`, { answer })).toMatchObject({ state: 'done' })
})

test('no value was on a screen, in an answer, or in a file of the daemon', () => {
  for (const value of authorization.secrets) scanner.plant('issued', value)
  expect(screens.flatMap((screen) => scanner.look('screen', screen, ['issued', 'shown']))).toEqual([])
  expect(scanner.lookBelow(gate.daemon.home, [])).toEqual([])
})
