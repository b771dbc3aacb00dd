import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/authorization-server.ts'
import { LEAKS, startLeakyUpstream, type LeakyUpstream } from '../fixtures/leaky-upstream.ts'
import { ECHOES, startParrot, type Parrot } from '../fixtures/parrot-upstream.ts'
import { startStage, type Stage } from './canary-stage.ts'
import {
  createCleanUp,
  daemonOf,
  httpServer,
  manifests,
  modern,
  processesWith,
  project,
  send,
  until,
} from './system-harness.ts'

/*
 * No credential of others leaves, but to where it is declared to go. Unique values stand in every kind of grant; each
 * server repeats what it was shown in every spelling, and fails in every way; then every byte that came out, and every
 * byte of the home, is searched.
 */

const cleanUp = createCleanUp()
const parrots = new Map<string, Parrot>()
let stage: Stage
let authorization: AuthorizationServer
let elsewhere: Parrot
let old: LeakyUpstream
const tokens = new Map<string, string>()

const afterWord = (text: string | undefined): string | undefined =>
  text?.replace(/^(?:Bearer|Basic|token) /, '')
const shown = (url: URL, headers: IncomingHttpHeaders): string | undefined =>
  url.searchParams.get('api_key') ?? afterWord(headers.authorization) ?? headers['x-api-key']?.toString()

/** Of each Server: how it is reached, and where in a request its credential stands. */
const SERVERS: Readonly<Record<string, { readonly auth: object; readonly place: RegExp }>> = {
  keyed: { auth: { grant: 'mcp:keyed', header: 'X-Api-Key' }, place: /"x-api-key":"[^"]*"/ },
  asked: { auth: { grant: 'mcp:asked', query: 'api_key' }, place: /[?&]api_key=[^&\s"]*/ },
  paired: { auth: { grant: 'mcp:paired', format: 'basic' }, place: /"authorization":"Basic [^"]*"/ },
  hub: { auth: { grant: 'github', prefix: 'token ' }, place: /"authorization":"token [^"]*"/ },
  filed: { auth: { grant: 'acme', format: 'bearer' }, place: /"authorization":"Bearer [^"]*"/ },
  own: { auth: { grant: 'mcp:own', header: 'X-Api-Key', whose: 'per-user' }, place: /"x-api-key":"[^"]*"/ },
  team: {
    auth: { grant: 'mcp:team', header: 'X-Api-Key', whose: 'per-project' },
    place: /"x-api-key":"[^"]*"/,
  },
  notes: { auth: { grant: 'oauth:notes' }, place: /"authorization":"Bearer [^"]*"/ },
}

const planted = new Map<string, string>()
/** Gives a grant anew, with a value of its own each time. */
async function give(name: string, server: string, whose?: string): Promise<void> {
  const label = `${name} ${whose ?? ''}`
  const head = name === 'github' ? 'ghp_' : name === 'mcp:paired' ? 'me:' : ''
  const token = stage.plant(label, head)
  planted.set(label, token)
  const body = { values: { token }, server, for: whose, force: true }
  expect((await stage.admin('PUT', `/api/v1/grants/${name}`, body)).status).toBe(200)
}

const GIVEN = [
  ['mcp:keyed', 'keyed'],
  ['mcp:asked', 'asked'],
  ['mcp:paired', 'paired'],
  ['github', 'hub'],
  ['acme', 'filed'],
  ['mcp:own', 'own', 'user:ada'],
  ['mcp:own', 'own', 'user:ben'],
  ['mcp:team', 'team', 'project:demo'],
] as const

/** Everything that the authorization server gave out, and what only we and it know. */
function plantIssued(): void {
  for (const secret of authorization.secrets) stage.scanner.plant('issued', secret)
  for (const leg of ['code', 'refresh'])
    for (const field of ['code_verifier', 'refresh_token', 'client_secret']) {
      const value = authorization.last(leg).get(field)
      if (value !== null) stage.scanner.plant(`${leg} ${field}`, value)
    }
}

const MCP = '/projects/demo/mcp'
const as = (user: string, more: ReturnType<typeof modern>): ReturnType<typeof modern> => ({
  ...more,
  headers: { ...more.headers, authorization: `Bearer ${tokens.get(user) ?? ''}` },
})
const call = async (name: string, user = 'ada'): Promise<string> =>
  (await stage.http(MCP, as(user, modern('tools/call', { name, arguments: {} })))).text

beforeAll(async () => {
  stage = await startStage({})
  cleanUp.later(() => stage.close())
  elsewhere = await startParrot(shown, () => '')
  cleanUp.later(() => elsewhere.close())
  for (const name of Object.keys(SERVERS)) {
    const parrot = await startParrot(shown, () => `${elsewhere.origin}/mcp`)
    parrots.set(name, parrot)
    cleanUp.later(() => parrot.close())
  }
  old = await startLeakyUpstream()
  cleanUp.later(() => old.close())
  authorization = await startAuthorizationServer({ behind: parrots.get('notes')?.url ?? '' })
  cleanUp.later(() => authorization.close())
  mkdirSync(join(stage.home, 'providers'))
  const inject = { header: 'Authorization', prefix: 'Bearer ' }
  const acme = { name: 'acme', description: 'Acme', hosts: ['api.acme.example'], inject, prompt: 'the key' }
  writeFileSync(join(stage.home, 'providers/acme.yaml'), JSON.stringify(acme))
  const named = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'castellan/v1',
    kind,
    metadata: { name },
    spec,
  })
  const input = manifests(
    ...Object.entries(SERVERS).map(([name, { auth }]) =>
      httpServer(name, name === 'notes' ? authorization.url : (parrots.get(name)?.url ?? ''), { auth }),
    ),
    httpServer('old', old.url, { auth: { grant: 'mcp:old', header: 'X-Api-Key' } }),
    project('demo', [...Object.keys(SERVERS), 'old']),
    ...['ada', 'ben', 'cy'].map((name) => named('User', name, {})),
    named('RoleBinding', 'people', {
      subjects: ['ada', 'ben', 'cy'].map((name) => ({ kind: 'User', name })),
      bindings: [{ role: 'run', resource: '*' }],
    }),
  )
  const applied = await stage.run(['apply', '-f', '-'], { input })
  expect([applied.status, applied.stderr]).toEqual([0, ''])
  for (const name of ['ada', 'ben', 'cy']) {
    const spec = { owner: { kind: 'User', name }, bindings: [{ role: 'run', resource: '*' }] }
    const token = { apiVersion: 'castellan/v1', kind: 'Token', metadata: { name, project: 'demo' }, spec }
    const { text } = await stage.admin('POST', '/api/v1/tokens', token, [`token of ${name}`])
    tokens.set(name, (JSON.parse(text) as { secret: string }).secret)
    stage.scanner.plant(`token of ${name}`, tokens.get(name) ?? '')
  }
  for (const [name, server, whose] of GIVEN) await give(name, server, whose)
}, 120_000)
afterAll(() => cleanUp.run())

interface Begun {
  readonly attempt: string
  readonly authorizeUrl: string
}
let attempt = ''
/** Starts an authorization. @returns where the browser would be sent back to */
async function begin(): Promise<URL> {
  const { text } = await stage.admin('POST', '/api/v1/grants', { name: 'notes', server: 'notes' })
  const begun = JSON.parse(text) as Begun
  attempt = begun.attempt
  const { headers } = await send(begun.authorizeUrl)
  const back = new URL(String(headers['location']))
  stage.scanner.plant('code', back.searchParams.get('code') ?? '')
  return back
}

describe('grants that others issued', () => {
  test('an authorization: good, by a browser and by a pasted address, and every bad one', async () => {
    const good = await begin()
    const wrong = new URL(good)
    wrong.searchParams.set('state', stage.plant('wrong state'))
    await stage.http(wrong.pathname + wrong.search)
    const page = await stage.http(good.pathname + good.search)
    expect(page.text).toContain('is authorized')
    await stage.http(good.pathname + good.search)
    const pasted = await begin()
    const paste = () => `/api/v1/grants/attempts/${attempt}/paste`
    await stage.admin('POST', paste(), { answer: `${pasted.href}&x=${stage.plant('pasted')}` })
    const third = await begin()
    await stage.admin('POST', paste(), { answer: third.href })
    const echoed = await begin()
    authorization.answerTokens((response) => {
      const fields = Object.fromEntries(authorization.last('code'))
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify({ error: 'invalid_grant', error_description: JSON.stringify(fields), ...fields }),
      )
    })
    await stage.http(echoed.pathname + echoed.search)
    authorization.answerTokens((response) => {
      const fields = authorization.last('code').toString()
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end(`<pre>${fields} ${stage.plant('html')}</pre>`)
    })
    const html = await begin()
    await stage.http(html.pathname + html.search)
    authorization.answerTokens(undefined)
    const again = await begin()
    await stage.http(again.pathname + again.search)
    plantIssued()
    expect(stage.found()).toEqual([])
  })

  test.each(Object.keys(SERVERS))('%s repeats what it was shown in every way it can', async (server) => {
    const user = server === 'own' ? 'ben' : 'ada'
    for (const method of ['server/discover', 'tools/list'])
      await stage.http(`/projects/demo/servers/${server}/mcp`, as(user, modern(method)))
    const clean: string[] = []
    for (const echo of ECHOES)
      if ((await call(`${server}__${echo}`, user)).includes('[redacted]')) clean.push(echo)
    expect(clean).toEqual(
      expect.arrayContaining(['result', 'structured', 'error', 'escaped', 'nested', 'split-stream']),
    )
    plantIssued()
    expect(stage.found()).toEqual([])
  })

  test('a server of the older era, and a client of it', async () => {
    await give('mcp:old', 'old')
    const json = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' }
    let session: Readonly<Record<string, string>> = {}
    const post = (message: object): ReturnType<Stage['http']> =>
      stage.http(MCP, {
        method: 'POST',
        headers: { ...json, ...session, authorization: `Bearer ${tokens.get('ada') ?? ''}` },
        body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      })
    const clientInfo = { name: 'canary', version: '1' }
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo }
    const { headers } = await post({ id: 1, method: 'initialize', params })
    session = { 'mcp-session-id': String(headers['mcp-session-id']) }
    await post({ method: 'notifications/initialized' })
    const cleaned: string[] = []
    for (const leak of [...LEAKS.filter((name) => name !== 'unauthorized'), 'unauthorized']) {
      const { text } = await post({
        id: leak,
        method: 'tools/call',
        params: { name: `old__${leak}`, arguments: {} },
      })
      if (text.includes('[redacted]')) cleaned.push(leak)
      await call(`old__${leak}`)
    }
    expect(cleaned).toEqual(expect.arrayContaining(['result', 'tool-error', 'error', 'stream']))
    for (const request of old.seen)
      stage.observe('a request to old', request.replace(/"x-api-key":"[^"]*"/, ''))
    expect(stage.found()).toEqual([])
  })

  test('refusals that repeat it, a renewal after each, and what is given anew', async () => {
    for (const refusal of ['forbidden', 'unauthorized']) {
      for (const [name, server, whose] of GIVEN) {
        await call(`${server}__${refusal}`, whose === 'user:ben' ? 'ben' : 'ada')
        await give(name, server, whose)
        await call(`${server}__result`, whose === 'user:ben' ? 'ben' : 'ada')
      }
      await call(`notes__${refusal}`)
    }
    await call('own__result', 'cy')
    const failing = (
      response: Parameters<NonNullable<Parameters<typeof authorization.answerTokens>[0]>>[0],
    ): void =>
      void response
        .writeHead(400, {
          'content-type': 'application/json',
          'x-echo': authorization.last('refresh').get('refresh_token') ?? '',
        })
        .end(
          JSON.stringify({
            error: authorization.last('refresh').get('refresh_token'),
            error_uri: authorization.last('refresh').toString(),
          }),
        )
    authorization.answerTokens(failing)
    await stage.run(['grant', 'refresh', 'oauth:notes'])
    authorization.answerTokens(undefined)
    await stage.run(['grant', 'refresh', 'oauth:notes'])
    plantIssued()
    expect(stage.found()).toEqual([])
  })

  test('what cannot be a credential, and Servers that would put it where it cannot stand, are refused without a word of it', async () => {
    const bad = ['\r\nx-evil: 1', '\0', '\n', 'é', ' and more', 'a'.repeat(65_536)]
    for (const after of bad) {
      const value = stage.plant('bad value') + after
      for (const name of ['mcp:keyed', 'github', 'acme']) {
        const body = { values: { token: value }, server: 'keyed', force: true }
        expect([400, 413]).toContain((await stage.admin('PUT', `/api/v1/grants/${name}`, body)).status)
      }
      const { status } = await stage.run(['grant', 'mcp', 'keyed', '--stdin', '--force'], {
        input: `x${value}y`,
      })
      expect(status).not.toBe(0)
      if (after.includes('\0')) continue
      for (const [variable, provider] of [
        ['GITHUB_TOKEN', 'github'],
        ['OPENAI_API_KEY', 'openai'],
      ] as const)
        expect(
          (
            await stage.run(['grant', provider, '--from', 'env', '--force'], {
              env: { [variable]: `x${value}y` },
            })
          ).status,
        ).not.toBe(0)
    }
    const misplaced = stage.plant('misplaced')
    const auths = [
      'header',
      'query',
      'prefix',
      'format',
      'grant',
      'profile',
      'whose',
      'secret',
      misplaced,
    ].flatMap((field) =>
      [misplaced, `x${misplaced}\r\ny: z`, `\0${misplaced}`, misplaced.repeat(2000)].map((value) => ({
        grant: 'mcp:keyed',
        [field]: value,
      })),
    )
    const names = auths.map((auth, i) => httpServer(`bad-${i}`, elsewhere.url, { auth }))
    const refused = await Promise.all(names.map((one) => stage.admin('POST', '/api/v1/servers', one)))
    expect([...new Set(refused.map(({ status }) => status))]).toEqual([400])
    const all = await stage.admin('POST', '/api/v1/apply', {
      apiVersion: 'castellan/v1',
      kind: 'List',
      items: names,
    })
    expect(all.status).toBe(400)
    expect(stage.found()).toEqual([])
  })

  test('files that hold a secret and cannot be read', async () => {
    const secret = stage.plant('in a file')
    const files = {
      'oauth/notes.yaml': [
        `client_secret: "${secret}`,
        `client_id: x\nclient_secret: {a: "${secret}"}`,
        `${secret}: 1`,
        `client_secret: ${'x'.repeat(9000)}${secret}`,
      ],
      'providers/acme.yaml': [
        `name: "${secret}`,
        `name: acme\n${secret}: 1`,
        `name: acme\nhosts: [${secret}]`,
        `name: acme\nprompt: *${secret}`,
      ],
    }
    mkdirSync(join(stage.home, 'oauth'), { recursive: true })
    for (const [path, contents] of Object.entries(files))
      for (const content of contents) {
        const before = existsSync(join(stage.home, path)) ? readFileSync(join(stage.home, path)) : ''
        writeFileSync(join(stage.home, path), content)
        await stage.run(['grant', 'oauth', 'notes', '--server', 'notes', '--no-wait'])
        await stage.admin('POST', '/api/v1/grants', { name: 'notes', server: 'notes' })
        await stage.run(['grant', 'providers'])
        await stage.run(['grant', 'acme', '--url', elsewhere.url], { input: 'x' })
        writeFileSync(join(stage.home, path), before)
      }
    expect(stage.found()).toEqual([])
  })

  test('kill -9 in the middle of a renewal, another master key, and everything that can be shown', async () => {
    const hanging = Promise.withResolvers<void>()
    authorization.answerTokens(() => hanging.resolve())
    void stage.admin('POST', '/api/v1/grants/oauth:notes/refresh').catch(() => undefined)
    await hanging.promise
    const { pid } = daemonOf(stage.home)
    process.kill(pid, 'SIGKILL')
    await until('the daemon has ended', () => !processesWith(stage.home).includes(pid))
    authorization.answerTokens(undefined)
    plantIssued()
    const before = keyOf(stage.home)
    const started = await stage.run(['up', '-d', '--port', '0', '--log-level', 'trace'])
    expect([started.status, started.stderr]).toEqual([0, expect.any(String)])
    expect(await stage.run(['keys', 'rotate'])).toMatchObject({ status: 0 })
    expect(keyOf(stage.home)).not.toBe(before)
    for (const key of [before, keyOf(stage.home)]) stage.scanner.plant('master key', key)
    await call('keyed__result')
    await call('notes__result')
    await showAll()
    plantIssued()
    expect(stage.found()).toEqual([])
  })

  test('no process has one in its arguments or its environment', () => {
    for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      stage.observe(`arguments of ${entry}`, readOr(`/proc/${entry}/cmdline`))
    stage.observe('environment of the daemon', readOr(`/proc/${daemonOf(stage.home).pid}/environ`))
    expect(stage.found()).toEqual([])
  })

  test('each server has got its own, in the declared place only, and nobody else anything', () => {
    for (const [name, { place }] of Object.entries(SERVERS)) {
      const { seen } = parrots.get(name) as Parrot
      expect(seen.filter((request) => place.test(request)).length).toBeGreaterThan(10)
      for (const request of seen) stage.observe(`a request to ${name}`, request.replace(place, ''))
    }
    expect(elsewhere.seen).toEqual([])
    expect(stage.found()).toEqual([])
  })

  test('every byte of the home, while it runs and after it has stopped; taken back, they are gone', async () => {
    const own = ['master.key', 'admin-credential']
    expect(stage.scanner.lookBelow(stage.home, own)).toEqual([])
    for (const name of ['mcp:keyed', 'oauth:notes', 'github']) {
      const { status, stderr } = await stage.run(['revoke', name])
      expect([name, status, stderr]).toEqual([name, 0, expect.any(String)])
    }
    const { stdout } = await stage.run(['audit', '--grant', 'oauth:notes', '--limit', '1000', '-o', 'wide'])
    for (const event of [
      'inject grants',
      'refresh grants',
      'register grants',
      'revoke grants',
      'create grants',
      'delete grants',
      'tools/call',
    ])
      expect(stdout).toContain(event)
    await stage.run(['down'])
    plantIssued()
    expect(stage.scanner.lookBelow(stage.home, own)).toEqual([])
    expect(readFileSync(join(stage.home, 'logs/daemon.log'), 'utf8')).toContain('a grant was refreshed')
    expect(stage.found('all')).toEqual([])
  })
})

const keyOf = (home: string): string => readFileSync(join(home, 'master.key'), 'utf8').trim()

async function showAll(): Promise<void> {
  for (const output of ['table', 'wide', 'yaml', 'json']) {
    await stage.run(['get', 'servers', '-o', output])
    await stage.run(['audit', '--limit', '2000', '-o', output])
  }
  for (const server of Object.keys(SERVERS)) await stage.run(['describe', 'server', server])
  for (const name of ['mcp:keyed', 'github', 'acme', 'oauth:notes']) {
    await stage.run(['grant', 'show', name])
    await stage.run(['grant', 'test', name])
    await stage.run(['audit', '--grant', name])
  }
  for (const line of [
    'grant list -o wide',
    'grant list -o json',
    'grant providers',
    'grant bind mcp:keyed https://api.example',
    'status',
    'logs',
    'explain server.spec.auth',
    '__complete -- revoke mcp',
    'keys list',
    'audit verify',
  ])
    await stage.run(line.split(' '))
  for (const path of ['/metrics', '/api/v1/grants', '/api/v1/status?output=json', '/api/v1/logs?tail=100000'])
    await stage.admin('GET', path)
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    // Ended meanwhile.
    return ''
  }
}
