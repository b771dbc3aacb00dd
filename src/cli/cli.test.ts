import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { listen, runInMemory, type Answer, type Asked } from '../../test/e2e/cli-in-memory.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

async function daemon(answer: (asked: Asked) => Answer) {
  const server = await listen(answer)
  open.push(server)
  return server
}

const envFor = (url: string) => ({ CASTELLAN_URL: url, CASTELLAN_TOKEN: 'csa_test' })
const folder = () => mkdtempSync(join(tmpdir(), 'castellan-cli-'))

test.each([
  [['get', 'servers'], 'GET', '/api/v1/servers?output=table&limit=500'],
  [['get', 'server/foo', '-o', 'yaml'], 'GET', '/api/v1/server/foo?output=yaml'],
  [['get', 'tokens', '-p', 'demo'], 'GET', '/api/v1/tokens?output=table&project=demo&limit=500'],
  [['describe', 'srv', 'foo'], 'GET', '/api/v1/srv/foo?output=describe'],
  [['explain', 'server.spec.env'], 'GET', '/api/v1/explain/server?path=spec.env'],
  [['status'], 'GET', '/api/v1/status?output=table'],
  [
    ['audit', '--tool', 'a__b', '--since', '2026-01-31', '--limit', '5'],
    'GET',
    '/api/v1/audit?tool=a__b&since=2026-01-31T00%3A00%3A00.000Z&limit=5&output=table',
  ],
  [
    ['logs', 'server', 'memory', '--tail', '5', '-f'],
    'GET',
    '/api/v1/servers/memory/logs?tail=5&follow=true',
  ],
  [['logs'], 'GET', '/api/v1/logs?tail=200'],
  [['delete', 'server', 'foo'], 'DELETE', '/api/v1/server/foo'],
])('%j asks %s %s and prints the answer', async (argv, method, path) => {
  const server = await daemon(() => ({ body: 'NAME\nfoo' }))
  const ran = await runInMemory(argv, { env: envFor(server.url) })
  expect(ran).toMatchObject({ code: 0, err: '' })
  expect(server.asked).toMatchObject([{ method, path, authorization: 'Bearer csa_test' }])
  if (argv[0] === 'delete') expect(ran.out).toBe('server/foo deleted\n')
  else expect(ran.out.trimEnd()).toBe('NAME\nfoo')
})

test('create server passes on what stands behind -- as it is', async () => {
  const server = await daemon(() => ({ status: 201, body: {} }))
  const argv = [
    'create',
    'server',
    'memory',
    '--env-from',
    'API_KEY=vault/key',
    '--',
    'npx',
    '-y',
    '--home',
    'x',
  ]
  expect(await runInMemory(argv, { env: envFor(server.url) })).toMatchObject({
    code: 0,
    out: 'server/memory created\n',
  })
  expect(JSON.parse(server.asked[0]!.body)).toMatchObject({
    kind: 'Server',
    spec: {
      transport: 'stdio',
      command: 'npx',
      args: ['-y', '--home', 'x'],
      env: [{ name: 'API_KEY', valueFrom: { secretRef: { name: 'vault', key: 'key' } } }],
    },
  })
})

test('apply joins files in order and prints one line per object', async () => {
  const dir = folder()
  writeFileSync(join(dir, 'b.yaml'), 'kind: B\n')
  writeFileSync(join(dir, 'a.json'), '{"kind":"A"}')
  writeFileSync(join(dir, 'notes.txt'), 'no manifest')
  const results = [{ kind: 'Token', name: 't', project: 'demo', action: 'created', secret: 'cst_x' }]
  const server = await daemon(() => ({ body: { results } }))
  const ran = await runInMemory(['apply', '-f', '.', '-f', '-'], {
    cwd: dir,
    stdin: 'kind: C',
    env: envFor(server.url),
  })
  expect(server.asked[0]?.body).toBe('{"kind":"A"}\n---\nkind: B\n---\nkind: C\n')
  expect(ran).toEqual({ code: 0, out: 'token/t created (project demo)\ncst_x\n', err: '' })
})

test('a token file gets the secret, is 0600, is never overwritten, and the terminal shows nothing of it', async () => {
  const dir = folder()
  const server = await daemon(() => ({ status: 201, body: { metadata: { name: 't' }, secret: 'cst_x' } }))
  const run = () =>
    runInMemory(['create', 'token', 't', '-p', 'demo', '--token-file', 'f', '-o', 'json'], {
      cwd: dir,
      env: envFor(server.url),
    })
  const ran = await run()
  expect(ran.code).toBe(0)
  expect(ran.out + ran.err).not.toContain('cst_x')
  expect(readFileSync(join(dir, 'f'), 'utf8')).toBe('cst_x\n')
  expect(statSync(join(dir, 'f')).mode & 0o777).toBe(0o600)
  expect(await run()).toMatchObject({ code: 1 })
  expect(server.asked).toHaveLength(1)
})

test.each([
  [['create', 'secret', 's', '--from-literal', 'k=hunter2']],
  [['create', 'secret', 's', 'k=hunter2']],
])('%j is refused before anything is sent, without repeating the value', async (argv) => {
  const ran = await runInMemory(argv, { env: envFor('http://127.0.0.1:9') })
  expect(ran.code).toBe(2)
  expect(ran.err).not.toContain('hunter2')
  expect(ran.err).toContain('may not stand in an argument')
  expect(ran.err).toContain('--from-file KEY=PATH')
})

test('create secret takes a value from standard input without its last newline', async () => {
  const server = await daemon(() => ({ status: 201, body: {} }))
  const ran = await runInMemory(['create', 'secret', 's', '--from-stdin', 'k'], {
    stdin: 'hunter2\n',
    env: envFor(server.url),
  })
  expect(ran).toMatchObject({ code: 0, out: 'secret/s created\n' })
  expect(JSON.parse(server.asked[0]!.body)).toMatchObject({ spec: { data: { k: 'hunter2' } } })
})

test('what the daemon refuses is printed with its problems and its hint', async () => {
  const body = {
    code: 'invalid',
    title: 'the request is not valid',
    problems: ['spec.urll: unknown field'],
    hint: 'see explain',
  }
  const headers = { 'content-type': 'application/problem+json' }
  const server = await daemon(() => ({ status: 400, headers, body }))
  const ran = await runInMemory(['apply', '-f', '-'], { stdin: 'a: b', env: envFor(server.url) })
  expect(ran).toEqual({
    code: 2,
    out: '',
    err: 'error: the request is not valid\n  - spec.urll: unknown field\nhint: see explain\n',
  })
})

test('a daemon that refuses twice for load and then answers is asked three times', async () => {
  let left = 2
  const server = await daemon(() =>
    left-- > 0 ? { status: left === 1 ? 503 : 429, headers: { 'retry-after': '0' } } : { body: 'ok\n' },
  )
  expect(await runInMemory(['get', 'servers'], { env: envFor(server.url) })).toMatchObject({
    code: 0,
    out: 'ok\n',
  })
  expect(server.asked).toHaveLength(3)
})

test.each([
  [[], ['/healthz']],
  [['--no-health'], []],
])('test mcp %j asks %j for the health of the host', async (argv, expected) => {
  const server = await daemon(() => ({ status: 404 }))
  await runInMemory(['test', 'mcp', server.url, ...argv])
  expect(server.asked.map(({ path }) => path).filter((path) => path === '/healthz')).toEqual(expected)
})

test('what is created or applied is done once, however often it has to be asked for (D58)', async () => {
  const keys: unknown[] = []
  const server = await listen((_asked, request) => {
    keys.push(request.headers['idempotency-key'])
    // Refused, refused, and once the answer is lost with its connection.
    if (keys.length === 3) request.socket.destroy()
    const refused = keys.length < 3
    const headers = refused ? { 'retry-after': '0' } : {}
    return { status: refused ? 429 : 201, headers, body: { results: [] } }
  })
  open.push(server)
  for (const [argv, stdin] of [
    [['create', 'project', 'p'], ''],
    [['apply', '-f', '-'], 'kind: P'],
  ] as const) {
    keys.splice(0)
    expect(await runInMemory(argv, { stdin, env: envFor(server.url) })).toMatchObject({ code: 0 })
    expect(keys).toHaveLength(4)
    expect(keys[0]).toMatch(/^[\da-f-]{36}$/)
    expect(new Set(keys).size).toBe(1)
  }
})

test('what may not be repeated is asked once', async () => {
  const server = await daemon(() => ({ status: 503, headers: { 'retry-after': '0' } }))
  await runInMemory(['attach', 'memory', '-p', 'demo'], { env: envFor(server.url) })
  expect(server.asked).toHaveLength(1)
})

const PAGES = {
  table: ['NAME\na\n', 'b\n', 'c\n'],
  yaml: ['kind: A\n---\nkind: B\n', 'kind: C\n', ''],
  json: ['a', 'b', 'c'].map((name) => ({ kind: 'ServerList', metadata: { revision: 7 }, items: [{ name }] })),
} as const

test.each([
  ['table', 'NAME\na\nb\nc\n'],
  ['yaml', 'kind: A\n---\nkind: B\n---\nkind: C\n'],
  [
    'json',
    '{"kind":"ServerList","metadata":{"revision":7},"items":[{"name":"a"},{"name":"b"},{"name":"c"}]}\n',
  ],
] as const)('get -o %s of several pages is one document', async (output, whole) => {
  const server = await daemon(({ path }) => {
    const page = Number(new URL(path, 'http://x').searchParams.get('continue') ?? 0)
    const next = `</api/v1/servers?limit=500&continue=${page + 1}>; rel="next"`
    return { headers: page < 2 ? { link: next } : {}, body: PAGES[output][page] }
  })
  const argv = ['get', 'servers', '-o', output, '-l', 'team=blue', '--field-selector', 'metadata.name!=x']
  expect(await runInMemory(argv, { env: envFor(server.url) })).toEqual({ code: 0, out: whole, err: '' })
  expect(server.asked.map(({ path }) => path)).toEqual(
    ['', '&continue=1', '&continue=2'].map(
      (more) =>
        `/api/v1/servers?output=${output}&labelSelector=team%3Dblue&fieldSelector=metadata.name%21%3Dx&limit=500${more}`,
    ),
  )
})

test('get -w goes on behind a broken connection where it was, and begins anew when that is too long ago', async () => {
  const event = (id: number, text: string) => `id: ${id}\nevent: changed\ndata: {"text":"${text}\\n"}\n\n`
  const started = 'event: started\ndata: {"text":"NAME\\n"}\n\n'
  const since: unknown[] = []
  const sse = { 'content-type': 'text/event-stream' }
  const server = await listen((_asked, request) => {
    since.push(request.headers['last-event-id'])
    if (since.length === 1) return { headers: sse, body: `${started}${event(4, 'a')}: \nid: 9\n\n` }
    if (since.length === 2) return { headers: sse, body: started + event(10, 'b') }
    const problem = { 'content-type': 'application/problem+json' }
    if (since.length === 3) return { status: 410, headers: problem, body: { code: 'expired', title: 'x' } }
    const ended = 'event: ended\ndata: {"code":"unauthenticated","title":"gone"}\n\n'
    return { headers: sse, body: started + event(20, 'c') + ended }
  })
  open.push(server)
  expect(await runInMemory(['get', 'servers', '-w'], { env: envFor(server.url) })).toEqual({
    code: 1,
    out: 'NAME\na\nb\nc\n',
    err: 'error: the watch was ended: gone\n',
  })
  expect(since).toEqual([undefined, '9', '10', undefined])
})

test.each(['http://127.0.0.1:1', 'https://127.0.0.1:1'])(
  'a closed port at %s is a sentence, not a stack',
  async (url) => {
    const ran = await runInMemory(['status'], { env: envFor(url) })
    expect(ran.code).toBe(1)
    expect(ran.err).toContain(
      `no daemon answers at ${url}: nothing listens there\nhint: start one with: castellan up`,
    )
  },
)

test('https to a server that speaks http says so', async () => {
  const server = await daemon(() => ({}))
  const ran = await runInMemory(['status'], { env: envFor(server.url.replace('http:', 'https:')) })
  expect(ran).toMatchObject({ code: 1 })
  expect(ran.err).toContain('is it http rather than https?')
})

test.each([
  [['gte', 'servers'], 'Did you mean get?'],
  [['get', 'servers', '--outpu', 'x'], 'Did you mean --output?'],
  [['get', '-o', 'xml', 'servers'], 'Allowed choices are table, wide, yaml, json, name'],
  [['get'], "missing required argument 'kind'"],
  [['create', 'token', 't'], 'add: -p PROJECT'],
  [['audit', '--since', 'yesterday'], 'write 30m, 1h, 7d'],
])('%j exits 2 and says what to do', async (argv, says) => {
  const ran = await runInMemory(argv)
  expect(ran).toMatchObject({ code: 2, out: '' })
  expect(ran.err).toContain(says)
})

test('the value of a mistyped option is not repeated', async () => {
  expect((await runInMemory(['status', '--tokn=cst_secret'])).err).not.toContain('cst_secret')
  expect((await runInMemory(['status', 'cst_secret'])).err).not.toContain('cst_secret')
})
