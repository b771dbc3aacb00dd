import { execFile, spawnSync } from 'node:child_process'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { startEdge, type Edge } from './edge-harness.ts'
import { createToken, httpServer, project, startGate, stdioServer, type Gate } from './gateway-harness.ts'
import { cleanEnv } from './system-harness.ts'

/*
 * What people have in hand who look at a gateway from outside, at a control plane and at an edge: `npm run smoke`, and
 * a client of a few lines.
 */

const SMOKE = fileURLToPath(new URL('../../scripts/smoke/main.ts', import.meta.url))
const CLIENT = fileURLToPath(new URL('../../examples/clients/mcp_call.py', import.meta.url))

let gate: Gate
let edge: Edge
let upstream: Upstream
let token = ''
let operator = ''

beforeAll(async () => {
  upstream = await startUpstream({ name: 'plain', style: 'modern' })
  gate = await startGate([
    stdioServer('own'),
    httpServer('plain', upstream.url),
    project('demo', ['own', 'plain']),
    project('hidden', ['own']),
    { kind: 'User', metadata: { name: 'olga' }, spec: {} },
    {
      kind: 'RoleBinding',
      metadata: { name: 'olga' },
      spec: {
        subjects: [{ kind: 'User', name: 'olga' }],
        bindings: [
          { role: 'run', resource: 'projects', name: 'demo' },
          ...['create', 'edit', 'delete'].map((role) => ({ role, resource: 'tokens', project: 'demo' })),
          ...['view'].map((role) => ({ role, resource: '*' })),
        ],
      },
    },
  ])
  const password = 'correct horse battery staple'
  await gate.daemon.call('POST', '/api/v1/users/olga/password', { password })
  const signedIn = await gate.daemon.call('POST', '/api/v1/auth/login', { user: 'olga', password })
  operator = (signedIn as { credential: string }).credential
  token = await createToken(gate.daemon, 'demo', 'smoke')
  edge = await startEdge(gate.daemon.origin)
})

afterAll(async () => {
  await edge?.stop()
  await gate?.end()
  await upstream?.close()
})

const PLACES = [
  ['a control plane', () => gate.daemon.origin],
  ['an edge gateway', () => edge.origin],
] as const

interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
}

const run = (
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(program, args, { env: { ...cleanEnv(), ...env } }, (error, out, err) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err }),
    )
  })

describe.each(PLACES)('npm run smoke at %s', (what, origin) => {
  const smoke = (env: Readonly<Record<string, string>> = {}, path = '/projects/demo/mcp') =>
    run(process.execPath, [SMOKE, `${origin()}${path}`], env)

  test('with everything that it can use, everything is tried', async () => {
    const said = await smoke({ CASTELLAN_TOKEN: token, SMOKE_OPERATOR_TOKEN: operator })
    expect(said).toMatchObject({ status: 0, err: '' })
    expect(said.out).toContain(`it is ${what}, on this host`)
    expect(said.out).toMatch(/a token lists tools.*: 11 listed, plain__echo called$/m)
    expect(said.out).toMatch(/ok {4}another project is refused in the same words.*\(\d+ ms\)$/m)
    expect(said.out).toMatch(/revoked is refused within 5 s .*after \d+ ms, and so is the session/)
    expect(said.out).toMatch(/\n7 passed, 0 failed, 0 skipped\n$/)
    const { items } = (await gate.daemon.call('GET', '/api/v1/tokens?project=demo')) as { items: object[] }
    expect(items).toHaveLength(1)
  })

  test('what it has nothing for is skipped, and the line says what it would take', async () => {
    const bare = await smoke()
    expect(bare).toMatchObject({ status: 0, err: '' })
    expect(bare.out).toMatch(/\n2 passed, 0 failed, 5 skipped\n$/)
    expect(bare.out.match(/^skip .*set CASTELLAN_TOKEN to a token of the project$/gm)).toHaveLength(4)
    expect(bare.out.match(/^skip .*set SMOKE_OPERATOR_TOKEN to what may make/gm)).toHaveLength(1)
    const alone = await smoke({ CASTELLAN_TOKEN: token, SMOKE_PROJECT: 'demo' }, '')
    expect(alone.out).toMatch(/\n6 passed, 0 failed, 1 skipped\n$/)
    expect(alone.out).toContain('set SMOKE_OTHER_PROJECT to one that does')
  })

  test('a token that is none fails, and no credential is on the screen', async () => {
    const said = await smoke({ CASTELLAN_TOKEN: `cst_${'x'.repeat(43)}`, SMOKE_OPERATOR_TOKEN: token })
    expect(said).toMatchObject({ status: 1 })
    expect(said.out).toMatch(/\n2 passed, 5 failed, 0 skipped\n$/)
    expect(said.out).toContain('a token could not be made: status 403')
    expect(said.out + said.err).not.toMatch(/cst_|css_/)
  })
})

test('smoke of nothing says so, and how it is called', async () => {
  const gone = await listen(() => undefined)
  await gone.close()
  const away = await run(process.execPath, [SMOKE, `http://127.0.0.1:${gone.port}`])
  expect(away).toMatchObject({ status: 1 })
  expect(away.out).toContain('nothing answers there')
  expect(away.out).toContain('fetch failed (ECONNREFUSED)')
  const usage = await run(process.execPath, [SMOKE])
  expect(usage).toMatchObject({ status: 2, err: expect.stringContaining('npm run smoke -- URL') as string })
})

/** Without site packages: what is not in the standard library is not there. */
const python = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  run('python3', ['-I', '-S', CLIENT, ...args], env)

const isThere = spawnSync('python3', ['--version']).status === 0

describe.skipIf(!isThere).each(PLACES)('mcp_call.py at %s', (_what, origin) => {
  const call = (args: readonly string[], name = 'demo', credential = token) =>
    python([`${origin()}/projects/${name}/mcp`, ...args], { CASTELLAN_TOKEN: credential })

  test('lists, calls, and takes an answer as it comes: at once, or late in a stream', async () => {
    const listed = await call([])
    expect(listed).toMatchObject({ status: 0, err: '' })
    expect(listed.out.split('\n')).toEqual(expect.arrayContaining(['own__about', 'plain__echo']))
    expect(await call(['plain__echo', '{"message": "hé"}'])).toMatchObject({
      status: 0,
      out: expect.stringContaining('hé') as string,
    })
    // Longer than an endpoint waits with the headers of its answer.
    const late = await call(['own__slow', '{"ms": 2500, "logs": ["error"]}'])
    expect(late).toEqual({ status: 0, out: '"done"\n', err: '' })
  })

  test.each([
    { what: 'a tool that fails', args: ['plain__fail'], status: 2, says: '' },
    {
      what: 'no such tool',
      args: ['plain__nothing'],
      status: 2,
      says: 'tools/call: there is nothing by that name here',
    },
    { what: 'another project', name: 'hidden', args: [], status: 1, says: 'status 403: ' },
    {
      what: 'arguments that are none',
      args: ['plain__echo', '{'],
      status: 2,
      says: 'the arguments of the tool are not JSON',
    },
  ])('$what: its status and a sentence', async ({ args, name, status, says }) => {
    const said = await call(args, name)
    expect(said).toMatchObject({ status })
    expect(said.err).toContain(says)
    expect(said.err).not.toContain('Traceback')
  })

  test('a credential that is none, and no credential', async () => {
    const wrong = await call([], 'demo', `cst_${'x'.repeat(43)}`)
    expect(wrong).toMatchObject({ status: 1, out: '', err: expect.stringMatching(/^status 401: /) as string })
    expect(await call([], 'demo', '')).toMatchObject({
      status: 1,
      err: expect.stringContaining('set CASTELLAN_TOKEN') as string,
    })
    const broken = await call([], 'demo', 'cst_one\nX-Other: two')
    expect(broken).toMatchObject({ status: 1, out: '' })
    expect(broken.err).not.toContain('cst_one')
  })
})

describe.skipIf(!isThere)('mcp_call.py where an endpoint does not do as it should', () => {
  const event = (message: object): string => `event: message\nid: 1\ndata: ${JSON.stringify(message)}\n\n`
  const STREAM = { 'content-type': 'text/event-stream; charset=utf-8' }

  async function against(answer: RequestListener): Promise<Ran> {
    const endpoint = await listen(answer)
    const said = await python([`http://127.0.0.1:${endpoint.port}/mcp`, 'tool'], {
      CASTELLAN_TOKEN: 'cst_secret',
    })
    await endpoint.close()
    expect(said.err).not.toMatch(/Traceback|cst_secret/)
    return said
  }

  test('each request repeats the session and the revision; a stream has comments, other messages, and an answer over two lines', async () => {
    const heard: string[] = []
    const answerTo = (id: number | undefined, method: string | undefined): readonly string[] => {
      if (id === undefined) return []
      const result = { protocolVersion: '2025-06-18' }
      if (method === 'initialize') return [event({ jsonrpc: '2.0', id, result })]
      return [
        ': hello\n\nid: 0\ndata:\n\n',
        event({ jsonrpc: '2.0', method: 'notifications/progress', params: {} }),
        event({ jsonrpc: '2.0', id, method: 'ping' }),
        `data: {"jsonrpc": "2.0", "id": ${id},\r\n`,
        'data: "result": {"content": [{"type": "text", "text": "yes"}]}}\r\n\r\n',
      ]
    }
    const said = await against((request, response) => {
      void readText(request).then((body) => {
        const { id, method } = JSON.parse(body === '' ? '{}' : body) as { id?: number; method?: string }
        const { 'mcp-session-id': session, 'mcp-protocol-version': version } = request.headers
        heard.push([request.method, method, session, version].join(' '))
        const events = answerTo(id, method)
        response.writeHead(events.length === 0 ? 202 : 200, { ...STREAM, 'mcp-session-id': 's-1' })
        response.end(events.join(''))
      })
    })
    expect(said).toEqual({ status: 0, out: 'yes\n', err: '' })
    expect(heard).toEqual([
      'POST initialize  ',
      'POST notifications/initialized s-1 2025-06-18',
      'POST tools/call s-1 2025-06-18',
      'DELETE  s-1 2025-06-18',
    ])
  })

  test.each<readonly [string, RequestListener, number, string]>([
    ['a page', (_, response) => void response.end('<html>'), 2, 'is this the address of an endpoint?'],
    ['a list', (_, response) => void response.end('[]'), 2, 'is this the address of an endpoint?'],
    [
      'a stream without an answer',
      (_, response) => void response.writeHead(200, STREAM).end(': \n\n'),
      2,
      'holds no JSON-RPC response',
    ],
    [
      'an answer that breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '99' })
        response.write('{')
        setTimeout(() => response.destroy(), 50)
      },
      1,
      'broke off',
    ],
    ['a connection that is cut', (request) => void request.socket.destroy(), 1, 'not reachable'],
    [
      'an error of a proxy',
      (_, response) => void response.writeHead(502).end('{"error":"bad"}'),
      1,
      'status 502: ',
    ],
  ])('%s', async (_case, answer, status, says) => {
    const said = await against(answer)
    expect(said).toMatchObject({ status, out: '' })
    expect(said.err).toContain(says)
  })

  test('a redirect is not followed: it would take the token along', async () => {
    let asked = 0
    const elsewhere = await listen((_, response) => {
      asked += 1
      response.end('{}')
    })
    const said = await against((_, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${elsewhere.port}/` }).end()
    })
    await elsewhere.close()
    expect(said).toMatchObject({ status: 1, err: expect.stringContaining('status 302') as string })
    expect(asked).toBe(0)
  })

  test('a file is no endpoint', async () => {
    const said = await python(['file:///etc/hostname'], { CASTELLAN_TOKEN: 'cst_secret' })
    expect(said).toMatchObject({ status: 2, out: '', err: expect.stringContaining('usage: ') as string })
  })
})

async function listen(answer: RequestListener): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
