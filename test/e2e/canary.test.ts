import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LEAKS, startLeakyUpstream, type LeakyUpstream } from '../fixtures/leaky-upstream.ts'
import { createScanner, formsOf, type Leak } from './canary-scan.ts'
import {
  castellan,
  createCleanUp,
  daemonOf,
  freshFolder,
  httpServer,
  manifests,
  modern,
  processesWith,
  project,
  removeFolder,
  send,
  stdioServer,
  until,
  type Answer,
  type RunOptions,
  type Said,
  type Sending,
} from './system-harness.ts'

/*
 * No secret leaves. Unique values stand in every place that takes one; the whole system is driven through its command,
 * its API and its endpoints, failures included, at the most talkative log level; then every byte that came out is
 * searched for them, also in the spellings that URLs, JSON, Base64 and hex give them.
 */

describe('the search itself', () => {
  const value = `canary/${randomBytes(24).toString('base64')}"+%`
  test.each(formsOf(value))('finds a value that is spelt as %s', (_, spelt) => {
    const scanner = createScanner()
    scanner.plant('it', value)
    const around = Buffer.concat([Buffer.from('…before '), spelt, Buffer.from(' after…')])
    expect(scanner.look('here', around)).toContainEqual(['here', 'it', expect.any(String)])
    expect(scanner.look('here', Buffer.from('nothing of it'))).toEqual([])
    expect(scanner.look('here', around, ['it'])).toEqual([])
  })

  test('finds a part of it, and base64 of a longer text around it', () => {
    const scanner = createScanner()
    scanner.plant('it', value)
    expect(scanner.look('', `${value.slice(0, 24)}…`)).not.toEqual([])
    for (const before of ['', 'B', 'Be', 'Bearer '])
      expect(scanner.look('', Buffer.from(`${before}${value} and more`).toString('base64'))).not.toEqual([])
  })

  test('finds it in the files of a folder, in their names, and nowhere else', () => {
    const scanner = createScanner()
    scanner.plant('it', value)
    const folder = freshFolder()
    mkdirSync(join(folder, 'deep'))
    writeFileSync(join(folder, 'deep/file'), `x${value}x`)
    writeFileSync(join(folder, 'kept'), value)
    writeFileSync(join(folder, encodeURIComponent(value)), '')
    const found = new Set(scanner.lookBelow(folder, ['kept']).map(([where]) => where))
    expect(found.size).toBe(2)
    removeFolder(folder)
  })
})

const cleanUp = createCleanUp()
const scanner = createScanner()
/** A value that is nowhere else; of characters that JSON, URLs and shells spell differently. */
function plant(label: string, shape: 'header' | 'text' | 'name' = 'text'): string {
  const random = randomBytes(24).toString('base64url')
  const value =
    shape === 'name'
      ? `c${randomBytes(15).toString('hex')}`
      : shape === 'header'
        ? `k/${random}+=`
        : `"k\\${random}%é`
  scanner.plant(label, value)
  return value
}

const planted = {
  header: plant('header', 'header'),
  env: plant('env'),
  lines: [
    '-----BEGIN KEY-----',
    randomBytes(40).toString('base64'),
    randomBytes(40).toString('base64'),
    '-----END KEY-----',
  ].join('\n'),
  unused: plant('unused'),
  variable: plant('variable', 'header'),
  mounted: plant('mounted'),
  fromFile: plant('from a file'),
  fromStdin: plant('from standard input'),
}
for (const line of planted.lines.split('\n').slice(1, 3)) scanner.plant('lines', line)

let home = ''
let upstream: LeakyUpstream
const leaks: Leak[] = []
/** What has leaked since it was last asked: each place and secret once. */
const found = (): string[] => [...new Set(leaks.splice(0).map(([where, label]) => `${label}: ${where}`))]
let observed = 0

/** Looks at something that came out. */
function observe(where: string, text: string, except?: readonly string[]): void {
  observed++
  leaks.push(...scanner.look(where, text, except))
}

async function run(
  args: readonly string[],
  options: RunOptions & { readonly shows?: readonly string[] } = {},
): Promise<Said> {
  const said = await castellan(args, { home, ...options })
  observe(`castellan ${args.join(' ').slice(0, 60)}`, said.stdout, options.shows)
  observe(`castellan ${args.join(' ').slice(0, 60)} (stderr)`, said.stderr)
  return said
}

async function http(path: string, sending: Sending = {}, shows: readonly string[] = []): Promise<Answer> {
  const answer = await send(`${daemonOf(home).url}${path}`, sending)
  const seen = `${JSON.stringify(answer.headers)}\n${answer.text}`
  observe(`${sending.method ?? 'GET'} ${path.slice(0, 60)}`, seen, shows)
  return answer
}

const credential = (): string => readFileSync(join(home, 'admin-credential'), 'utf8').trim()
const asAdmin = (more: Sending = {}): Sending => ({
  ...more,
  headers: { authorization: `Bearer ${credential()}`, 'content-type': 'application/yaml', ...more.headers },
})
const bearer = (token: string, more: Sending = {}): Sending => ({
  ...more,
  headers: { ...more.headers, authorization: `Bearer ${token}` },
})

const MCP = '/projects/demo/mcp'
let token = ''

const secretEnv = (name: string, key: string): object => ({
  name,
  valueFrom: { secretRef: { name: 'keys', key } },
})

const elsewhere = (name: string, backend: string, reference: string): object => ({
  apiVersion: 'castellan/v1',
  kind: 'Secret',
  metadata: { name },
  spec: { backend, refs: { value: reference } },
})

beforeAll(async () => {
  home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  cleanUp.later(() => castellan(['down', '--force'], { home }))
  upstream = await startLeakyUpstream()
  cleanUp.later(() => upstream.close())
  const secrets = freshFolder()
  cleanUp.later(() => removeFolder(secrets))
  writeFileSync(join(secrets, 'value'), `${planted.mounted}\n`)
  const started = await run(['up', '-d', '--port', '0', '--log-level', 'trace', '--secret-dir', secrets], {
    env: { CASTELLAN_SECRET_CANARY: planted.variable },
  })
  expect(started.status).toBe(0)
  scanner.plant('admin', credential())
  const { header, env, lines, unused } = planted
  const data = { header, env, lines, unused }
  const authorization = { secretRef: { name: 'keys', key: 'header' }, prefix: 'Bearer ' }
  const input = manifests(
    { apiVersion: 'castellan/v1', kind: 'Secret', metadata: { name: 'keys' }, spec: { data } },
    elsewhere('variable', 'env', 'CASTELLAN_SECRET_CANARY'),
    elsewhere('mounted', 'file', 'value'),
    httpServer('far', upstream.url, {
      headers: [
        { name: 'Authorization', valueFrom: authorization },
        { name: 'X-Api-Key', valueFrom: { secretRef: { name: 'variable', key: 'value' } } },
      ],
    }),
    httpServer('gone', 'http://127.0.0.1:9/mcp', {
      headers: [{ name: 'Authorization', valueFrom: authorization }],
    }),
    stdioServer('near', 'stdio-leaky.js', {
      env: [
        secretEnv('API_KEY', 'env'),
        secretEnv('PEM', 'lines'),
        { name: 'MOUNTED', valueFrom: { secretRef: { name: 'mounted', key: 'value' } } },
      ],
    }),
    stdioServer('mute', 'stdio-nowhere.js', { env: [secretEnv('API_KEY', 'env')] }),
    project('demo', ['far', 'near']),
    project('broken', ['gone', 'mute', 'near']),
    project('other', []),
  )
  expect((await run(['apply', '-f', '-'], { input })).status).toBe(0)
  const created = await castellan(['create', 'token', 't', '-p', 'demo', '-o', 'json'], { home })
  token = (JSON.parse(created.stdout) as { secret: string }).secret
  scanner.plant('token', token)
  observe('create token (stderr)', created.stderr)
})
afterAll(() => cleanUp.run())

describe('a system full of secrets', () => {
  test('the ways in: prompts, files, standard input, applied tokens, token files', async () => {
    const file = join(freshFolder(), 'value')
    cleanUp.later(() => removeFolder(join(file, '..')))
    writeFileSync(file, planted.fromFile)
    await run(['create', 'secret', 'a', '--from-file', `k=${file}`])
    await run(['create', 'secret', 'b', '--from-stdin', 'k'], { input: planted.fromStdin })
    await run(['create', 'secret', 'b', '--from-stdin', 'k'], { input: planted.fromStdin })
    const tokenFile = `${file}.token`
    await run(['create', 'token', 'f', '-p', 'demo', '--token-file', tokenFile])
    scanner.plant('token in a file', readFileSync(tokenFile, 'utf8').trim())
    const manifest = {
      apiVersion: 'castellan/v1',
      kind: 'Token',
      metadata: { name: 'applied', project: 'demo' },
      spec: {},
    }
    const applied = await castellan(['apply', '-f', '-'], { home, input: manifests(manifest) })
    scanner.plant('applied token', /cst_[\w-]{43}/.exec(applied.stdout + applied.stderr)?.[0] ?? 'none')
    const changed = { ...manifest, spec: { revoked: true } }
    await run(['apply', '-f', '-'], { input: manifests(changed) })
    await run(['apply', '-f', '-'], { input: manifests(changed) })
    expect(found()).toEqual([])
  })

  test('passwords, right and wrong, and the credential of who signs in', async () => {
    const [password, next] = [plant('password'), plant('next password')]
    expect(
      (await run(['create', 'user', 'ada', '--password-stdin'], { input: `${password}\n` })).status,
    ).toBe(0)
    const post = (path: string, body: object, headers: Readonly<Record<string, string>> = {}): Sending => ({
      method: 'POST',
      body: JSON.stringify(body),
      headers: { ...headers, 'content-type': 'application/json', 'user-agent': path },
    })
    const login = '/api/v1/auth/login'
    const { text } = await send(`${daemonOf(home).url}${login}`, post(login, { user: 'ada', password }))
    const { credential: signIn = '' } = JSON.parse(text) as { credential?: string }
    scanner.plant('sign-in', signIn)
    await http('/api/v1/auth/me', bearer(signIn))
    await http(login, post(login, { user: 'ada', password: plant('wrong password') }))
    await http(login, post(login, { user: plant('unknown user'), password }))
    await http(login, post(login, { user: 'ada', password, [plant('field of login')]: 1 }))
    await http(login, { ...post(login, {}), body: `{"password":${JSON.stringify(plant('broken login'))}` })
    const own = '/api/v1/users/ada/password'
    const change = { password: next, current: plant('wrong present password') }
    await http(own, bearer(signIn, post(own, change)))
    await http(own, bearer(signIn, post(own, { ...change, current: password })))
    await http('/api/v1/auth/oidc/finish', post('', { attempt: plant('attempt'), code: 'x', verifier: 'y' }))
    await http(`/oauth/sign-in/callback?code=${plant('code', 'name')}&state=${plant('state', 'name')}`)
    await run(['describe', 'user', 'ada'])
    await run(['get', 'signins', '-o', 'yaml'])
    expect(found()).toEqual([])
  })

  test('calls that work and calls that fail, through servers that repeat all they know', async () => {
    const tools = [
      ...LEAKS.map((name) => `far__${name}`),
      ...['env', 'fail', 'notify', 'die', 'env'].map((name) => `near__${name}`),
    ]
    for (const method of ['server/discover', 'tools/list', 'prompts/list', 'resources/list'])
      await http(MCP, bearer(token, modern(method)))
    for (const name of tools) await http(MCP, bearer(token, modern('tools/call', { name, arguments: {} })))
    for (const server of ['far', 'near'])
      for (const method of ['server/discover', 'tools/list'])
        await http(`/projects/demo/servers/${server}/mcp`, bearer(token, modern(method)))
    await http(MCP, bearer(token, modern('prompts/get', { name: 'near__greet', arguments: {} })))
    await legacySession()
    const saw = upstream.seen.filter((headers) =>
      headers.includes(JSON.stringify(planted.header).slice(1, -1)),
    )
    expect(saw.length).toBeGreaterThan(LEAKS.length)
    expect(found()).toEqual([])
  })

  test('a token of ours never reaches a server', () => {
    for (const headers of upstream.seen) observe('a request to a server', headers, ['header', 'variable'])
    expect(found()).toEqual([])
  })

  test('what clients send: arguments, wrong credentials, credentials in the wrong place', async () => {
    const argument = plant('argument')
    await http(MCP, bearer(token, modern('tools/call', { name: 'far__error', arguments: { argument } })))
    await http(
      MCP,
      bearer(token, modern('tools/call', { name: `far__${plant('tool', 'name')}`, arguments: {} })),
    )
    await http(MCP, bearer(token, modern('resources/read', { uri: `x://${plant('uri', 'name')}` })))
    await http(MCP, bearer(token, modern(plant('method', 'name'))))
    await http(MCP, bearer(token, { ...modern('tools/list'), body: `{"jsonrpc":"2.0",${plant('not JSON')}` }))
    const wrong = [
      `Bearer cst_${plant('wrong token', 'header')}`,
      `Basic ${plant('basic', 'header')}`,
      plant('bare', 'header'),
    ]
    for (const path of [
      MCP,
      '/projects/nowhere/mcp',
      '/api/v1/servers',
      '/api/v1/status',
      '/metrics',
      '/api/v1/audit',
    ])
      for (const authorization of wrong)
        await http(path, {
          ...modern('tools/list'),
          headers: { ...modern('tools/list').headers, authorization },
        })
    for (const path of [MCP, '/api/v1/servers', '/nowhere', '/healthz']) {
      await http(`${path}?token=${plant('query', 'name')}`)
      await http(`${path}/${plant('path', 'name')}`)
      await http(path, {
        headers: {
          cookie: `session=${plant('cookie', 'header')}`,
          'x-api-key': plant('x-api-key', 'header'),
        },
      })
    }
    const pasted = `cst_${randomBytes(32).toString('base64url')}`
    scanner.plant('token in a path', pasted)
    for (const path of [
      `/projects/${pasted}/mcp`,
      `/projects/demo/servers/${pasted}/mcp`,
      `/api/v1/servers/${pasted}`,
    ]) {
      await http(path, bearer(token, modern('tools/list')))
      await http(path, asAdmin())
    }
    await http(MCP, bearer(token, { headers: { 'mcp-session-id': plant('session id', 'name') } }))
    await http('/projects/other/mcp', bearer(token, modern('tools/list')))
    await http('/projects/broken/mcp', bearer(token, modern('tools/list')))
    await http('/api/v1/apply', bearer(token, { method: 'POST', body: plant('body') }))
    await http(MCP, {
      ...modern('tools/list'),
      headers: { ...modern('tools/list').headers, host: `${plant('host', 'name')}.example` },
    })
    await http(MCP, {
      ...modern('tools/list'),
      headers: { ...modern('tools/list').headers, origin: `https://${plant('origin', 'name')}.example` },
    })
    expect(found()).toEqual([])
  })

  // oxfmt-ignore
  test('manifests with a secret where none may stand', async () => {
    const server = (spec: string) => `apiVersion: castellan/v1\nkind: Server\nmetadata: {name: x}\nspec: ${spec}\n`
    const q = (label: string) => JSON.stringify(plant(label))
    const bad = [
      server(`{transport: http, url: "https://x.example/", urll: ${q('misspelt field')}}`),
      server(`{transport: http, url: ${q('url')}}`),
      server(`{transport: http, url: "https://user:${plant('userinfo', 'name')}@x.example/"}`),
      server(`{transport: http, url: "https://x.example/?api_key=${plant('url query', 'name')}"}`),
      server(`{transport: http, url: "http://${plant('host of url', 'name')}.example/"}`),
      server(`{transport: http, url: "https://x.example/", headers: [{name: Authorization, value: ${q('header value')}}]}`),
      server(`{transport: http, url: "https://x.example/", headers: [{name: ${q('header name')}, value: x}]}`),
      server(`{transport: stdio, command: x, env: [{name: API_TOKEN, value: ${q('env value')}}]}`),
      server(`{transport: stdio, command: x, env: [{name: A, value: x, secret: ${q('field of env')}}]}`),
      server(`{transport: stdio, command: x, env: ${q('env as text')}}`),
      server(`{transport: ${q('transport')}}`),
      server(`{transport: stdio, command: x, ${JSON.stringify(plant('field name', 'name'))}: 1}`),
      server(`{transport: stdio, command: x, limits: {memoryMiB: ${q('number')}}}`),
      server(`{transport: http, url: "https://x.example/", headers: [{name: A, valueFrom: {secretRef: {name: keys, key: ${JSON.stringify(plant('missing key', 'name'))}}}}]}`),
      `apiVersion: castellan/v1\nkind: ${plant('kind', 'name')}\nmetadata: {name: x}\nspec: {}\n`,
      `apiVersion: ${plant('apiVersion', 'name')}\nkind: Project\nmetadata: {name: x}\nspec: {}\n`,
      `apiVersion: castellan/v1\nkind: Project\nmetadata: {name: ${q('name')}}\nspec: {}\n`,
      `apiVersion: castellan/v1\nkind: Secret\nmetadata: {name: x}\nspec: {data: {${q('data key')}: v}}\n`,
      `apiVersion: castellan/v1\nkind: Secret\nmetadata: {name: x}\nspec: {data: {k: {deep: ${q('data value')}}}}\n`,
      `apiVersion: castellan/v1\nkind: Secret\nmetadata: {name: x}\nspec: {datta: {k: ${q('misspelt data')}}}\n`,
      `kind: Secret\nspec: {data: {k: ${q('not closed')}\n  x: [`,
      `a: 1\na: ${q('duplicate key')}\n  b: c\n`,
      `a: *${plant('alias', 'name')}\n`,
      `a: !${plant('tag', 'name')} b\n`,
      `a: "${plant('escape', 'name')}\\q"\n`,
      plant('only text'),
    ]
    for (const input of bad) {
      expect((await run(['apply', '-f', '-'], { input })).status).not.toBe(0)
      expect((await http('/api/v1/apply', asAdmin({ method: 'POST', body: input }))).status).toBeGreaterThanOrEqual(400)
      for (const word of ['servers', 'secrets', 'projects']) await http(`/api/v1/${word}`, asAdmin({ method: 'POST', body: input }))
      await http('/api/v1/servers/far', asAdmin({ method: 'PATCH', body: input, headers: { 'content-type': 'application/json' } }))
    }
    expect(found()).toEqual([])
  })

  test('commands that fail', async () => {
    const name = (label: string): string => plant(label, 'name')
    await run(['get', 'servers'], {
      env: { CASTELLAN_TOKEN: plant('CASTELLAN_TOKEN', 'header'), CASTELLAN_DEBUG: '1' },
    })
    await run(['get', 'servers'], {
      env: { CASTELLAN_TOKEN: `${plant('header that cannot be', 'name')}\n`, CASTELLAN_DEBUG: '1' },
    })
    await run(['get', 'servers'], {
      env: {
        CASTELLAN_URL: `http://user:${name('password of CASTELLAN_URL')}@127.0.0.1:9`,
        CASTELLAN_DEBUG: '1',
      },
    })
    await run(['up', '--port', '0'], {
      env: {
        CASTELLAN_DATABASE: `postgres://u:${name('password of a database')}@127.0.0.1:9/x`,
        CASTELLAN_HOME: join(home, '../x'),
      },
    })
    await run(['up', '--port', '0'], {
      env: { CASTELLAN_DATABASE: `mysql://u:${name('password of another database')}@127.0.0.1:9/x` },
    })
    await run([
      'up',
      '--port',
      '0',
      '--database',
      `postgres://u:${name('password in an argument')}@127.0.0.1:9/x`,
    ])
    await run(['create', 'secret', 'c', `k=${name('literal')}`])
    await run(['create', 'secret', 'c', '--from-literal', `k=${name('from-literal')}`])
    await run(['create', 'server', 'c', '--url', `https://u:${name('url of create server')}@x.example/`])
    await run(['create', 'server', 'c', `https://u:${name('url as a command')}@x.example/`])
    await run(['get', name('unknown kind')])
    await run(['get', 'server', name('unknown name')])
    await run(['test', 'mcp', `${daemonOf(home).url}${MCP}`], {
      env: { CASTELLAN_TOKEN: plant('token of test mcp', 'header') },
    })
    await run(['test', 'mcp', `${daemonOf(home).url}${MCP}`, '--token', plant('--token', 'header')])
    removeFolder(join(home, '../x'))
    expect(found()).toEqual([])
  })

  test('commands that show all there is', async () => {
    const kinds = ['servers', 'projects', 'secrets', 'tokens']
    for (const kind of kinds)
      for (const output of ['table', 'wide', 'yaml', 'json', 'name']) await run(['get', kind, '-o', output])
    for (const [kind, name] of [
      ['server', 'far'],
      ['server', 'near'],
      ['server', 'gone'],
      ['server', 'mute'],
      ['project', 'demo'],
      ['secret', 'keys'],
    ] as const) {
      await run(['describe', kind, name])
      await run(['get', kind, name, '-o', 'json'])
    }
    await run(['describe', 'token', 't', '-p', 'demo'])
    for (const output of ['table', 'wide', 'yaml', 'json'])
      await run(['audit', '--limit', '10000', '-o', output])
    await run(['audit', 'verify', '-o', 'json'])
    await run(['status'])
    await run(['logs'])
    for (const name of ['far', 'near', 'gone', 'mute']) await run(['logs', 'server', name])
    for (const args of [
      ['version'],
      ['explain', 'secret'],
      ['completion', 'bash'],
      ['__complete', '--', 'get', 'secret', ''],
    ])
      await run(args)
    await run(['test', 'mcp', `${daemonOf(home).url}${MCP}`, '-o', 'json', '--tool', 'far__error'], {
      env: { CASTELLAN_TOKEN: token },
    })
    await run(['test', 'mcp', `${daemonOf(home).url}${MCP}`, '--tool', 'near__notify'], {
      env: { CASTELLAN_TOKEN: token },
    })
    for (const path of [
      '/metrics',
      '/healthz',
      '/readyz',
      '/api/v1/openapi.json',
      '/api/v1/status?output=json',
      '/api/v1/audit?limit=10000',
      '/api/v1/logs?tail=100000',
      '/api/v1/kinds',
    ])
      expect((await http(path, asAdmin())).status).toBe(200)
    for (const kind of kinds) await http(`/api/v1/schema/${kind}`, asAdmin())
    expect(found()).toEqual([])
  })

  test('process tables: no argument holds one, and a server has its own variables only', async () => {
    await http(MCP, bearer(token, modern('tools/call', { name: 'near__env', arguments: {} })))
    const servers = await until('the stdio server runs', () => {
      const pids = processesWith('stdio-leaky.js')
      return pids.length > 0 && pids
    })
    expect(found()).toEqual([])
    for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const path = `/proc/${entry}/cmdline`
      if (existsSync(path)) observe(path, readOr(path))
    }
    for (const pid of servers)
      observe(`environment of ${pid}`, readOr(`/proc/${pid}/environ`), ['env', 'lines', 'mounted'])
    expect(servers.some((pid) => scanner.look('', readOr(`/proc/${pid}/environ`)).length > 0)).toBe(true)
    expect(found()).toEqual([])
  })

  test('every byte of the home, while it runs and after it has stopped', async () => {
    const own = ['master.key', 'admin-credential']
    expect(scanner.lookBelow(home, own)).toEqual([])
    await run(['delete', 'token', 't', '-p', 'demo'])
    await run(['down'])
    expect(scanner.lookBelow(home, own)).toEqual([])
    expect(
      scanner.look('', readFileSync(join(home, 'admin-credential'))).map(([, label]) => label),
    ).toContain('admin')
    expect(readFileSync(join(home, 'logs/daemon.log'), 'utf8')).toContain('"level":')
    expect(readFileSync(join(home, 'logs/servers/near.log'), 'utf8')).toContain('API_KEY=[redacted]')
    expect(found()).toEqual([])
    // That it was driven at all.
    expect(observed).toBeGreaterThan(300)
  })
})

function readOr(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    // Ended meanwhile.
    return ''
  }
}

/** The same calls as a client of the older era makes, whose answers come back on a session. */
async function legacySession(): Promise<void> {
  const headers = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' }
  const post = (message: object, more: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    http(
      MCP,
      bearer(token, {
        method: 'POST',
        headers: { ...headers, ...more },
        body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      }),
    )
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'canary', version: '1' },
  }
  const opened = await post({ id: 1, method: 'initialize', params })
  const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) }
  expect(opened.status).toBe(200)
  await post({ method: 'notifications/initialized' }, session)
  await post({ id: 2, method: 'logging/setLevel', params: { level: 'debug' } }, session)
  for (const name of ['far__stream', 'far__error', 'near__notify', 'near__fail'])
    await post({ id: name, method: 'tools/call', params: { name, arguments: {} } }, session)
}
