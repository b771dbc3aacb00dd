import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  createToken,
  endpoint,
  httpServer,
  project,
  startGate,
  until,
  type Gate,
  type Json,
} from './gateway-harness.ts'

// One server, reached by everybody with a credential of their own; another with one of the project.

let mine: Upstream
let theirs: Upstream
let gate: Gate
const tokens = new Map<string, string>()

const named = (kind: string, name: string, spec: Json): Json => ({ kind, metadata: { name }, spec })

beforeAll(async () => {
  mine = await startUpstream({ style: 'modern', name: 'mine' })
  theirs = await startUpstream({ style: 'sessions', name: 'theirs' })
  const auth = { grant: 'mcp:notes', header: 'x-notes-key', format: 'raw' }
  gate = await startGate([
    httpServer('notes', mine.url, { auth: { ...auth, whose: 'per-user' } }),
    httpServer('board', theirs.url, { auth: { ...auth, grant: 'mcp:board', whose: 'per-project' } }),
    project('demo', ['notes', 'board']),
    project('other', ['board']),
    ...['ada', 'ben', 'cy'].map((name) => named('User', name, {})),
    named('RoleBinding', 'people', {
      subjects: ['ada', 'ben', 'cy'].map((name) => ({ kind: 'User', name })),
      bindings: [{ role: 'run', resource: '*' }],
    }),
  ])
  for (const name of ['ada', 'ben', 'cy'])
    tokens.set(
      name,
      await createToken(gate.daemon, 'demo', name, {
        owner: { kind: 'User', name },
        bindings: [{ role: 'run', resource: '*' }],
      }),
    )
})
afterAll(async () => {
  await gate?.end()
  await mine?.close()
  await theirs?.close()
})

const give = (name: string, token: string, to: string): Promise<unknown> =>
  gate.daemon.call('PUT', `/api/v1/grants/${name}`, {
    for: to,
    values: { token },
    server: name.replace('mcp:', ''),
  })

async function connect(user: string): Promise<Client> {
  const client = new Client({ name: user, version: '1' })
  const transport = new StreamableHTTPClientTransport(new URL(endpoint(gate.daemon, 'demo')), {
    requestInit: { headers: { authorization: `Bearer ${tokens.get(user) ?? ''}` } },
  })
  await client.connect(transport)
  return client
}

const toolsOf = async (client: Client, server: string): Promise<string[]> =>
  (await client.listTools()).tools.map(({ name }) => name).filter((name) => name.startsWith(`${server}__`))

const sentTo = ({ seen }: Upstream): unknown[] => [
  ...new Set(seen.map(({ headers }) => headers['x-notes-key']).filter(Boolean)),
]

test('each call carries the credential of its caller; whoever has none is led to a page, and sees one tool for it', async () => {
  await give('mcp:notes', 'key-of-ada', 'user:ada')
  await give('mcp:notes', 'key-of-ben', 'user:ben')
  const [ada, ben, cy] = await Promise.all(['ada', 'ben', 'cy'].map(connect))
  if (ada === undefined || ben === undefined || cy === undefined) throw new Error('three')
  expect(await toolsOf(ada, 'notes')).toContain('notes__echo')
  expect(await toolsOf(cy, 'notes')).toEqual(['notes__connect'])
  for (const [client, key] of [
    [ada, 'key-of-ada'],
    [ben, 'key-of-ben'],
    [ada, 'key-of-ada'],
  ] as const) {
    const { content } = await client.callTool({ name: 'notes__echo', arguments: { message: key } })
    expect(content).toEqual([{ type: 'text', text: `Echo: ${key}` }])
    expect(mine.last('tools/call')?.headers['x-notes-key']).toBe(key)
  }
  const before = mine.seen.length
  for (const tool of ['notes__connect', 'notes__echo']) {
    const { content, isError } = await cy.callTool({ name: tool, arguments: { message: 'hi' } })
    expect(isError).toBe(true)
    expect(JSON.stringify(content)).toContain(`${gate.daemon.origin}/connect/`)
  }
  expect(mine.seen).toHaveLength(before)
  await give('mcp:notes', 'key-of-cy', 'user:cy')
  const { content } = await cy.callTool({ name: 'notes__echo', arguments: { message: 'cy' } })
  expect(content).toEqual([{ type: 'text', text: 'Echo: cy' }])
  expect(await toolsOf(cy, 'notes')).toContain('notes__echo')
  expect(sentTo(mine)).toEqual(['key-of-ada', 'key-of-ben', 'key-of-cy'])
  await Promise.all([ada, ben, cy].map((client) => client.close()))
})

test('what was taken back is not sent any more, and what others have is', async () => {
  const [ada, ben] = await Promise.all(['ada', 'ben'].map(connect))
  await gate.daemon.call('DELETE', '/api/v1/grants/mcp:notes?for=user:ada')
  const gone = await ada?.callTool({ name: 'notes__echo', arguments: { message: 'a' } })
  expect(gone?.isError).toBe(true)
  expect((await ben?.callTool({ name: 'notes__echo', arguments: { message: 'b' } }))?.isError).not.toBe(true)
  expect(mine.last('tools/call')?.headers['x-notes-key']).toBe('key-of-ben')
  await Promise.all([ada?.close(), ben?.close()])
})

test('a project has its own', async () => {
  await give('mcp:board', 'key-of-demo', 'project:demo')
  await give('mcp:board', 'key-of-other', 'project:other')
  const ada = await connect('ada')
  await ada.callTool({ name: 'board__echo', arguments: { message: 'x' } })
  expect(theirs.last('tools/call')?.headers['x-notes-key']).toBe('key-of-demo')
  await ada.close()
  const { url, token } = await gate.access('other')
  const client = new Client({ name: 'other', version: '1' })
  await client.connect(
    new StreamableHTTPClientTransport(new URL(url), {
      requestInit: { headers: { authorization: `Bearer ${token}` } },
    }),
  )
  await client.callTool({ name: 'board__echo', arguments: { message: 'x' } })
  expect(theirs.last('tools/call')?.headers['x-notes-key']).toBe('key-of-other')
  await client.close()
})

test('another key is another session there: nothing goes on in that of the account before', async () => {
  const ada = await connect('ada')
  const call = async (): Promise<unknown> => {
    await ada.callTool({ name: 'board__echo', arguments: { message: 'x' } })
    const headers = theirs.last('tools/call')?.headers
    return [headers?.['x-notes-key'], headers?.['mcp-session-id']]
  }
  const before = await call()
  expect(await call()).toEqual(before)
  await give('mcp:board', 'another-key-of-demo', 'project:demo')
  const [key, session] = (await call()) as [string, string]
  expect(key).toBe('another-key-of-demo')
  expect(session).not.toBe((before as string[])[1])
  await until(
    'the session of the other key is ended',
    () => !theirs.sessionIds().includes((before as string[])[1] ?? ''),
  )
  await ada.close()
})

test('every injection is on the record, with the name of the grant and its place, and without its value', async () => {
  const { items } = (await gate.daemon.call('GET', '/api/v1/audit?limit=200')) as { items: Json[] }
  const calls = items.filter(({ event, server }) => event === 'tools/call' && server === 'notes')
  expect(calls.length).toBeGreaterThan(4)
  expect(JSON.stringify(items)).not.toContain('key-of-')
})

test('what agents are given in place of a credential reaches no server, and cannot be given as one', async () => {
  const untouched = await startUpstream({ style: 'modern' })
  try {
    const valueFrom = { secretRef: { name: 'stub', key: 'token' }, prefix: 'Bearer ' }
    await gate.daemon.apply([
      named('Secret', 'stub', { data: { token: 'castellan-stub-mcp:notes-AAAA' } }),
      httpServer('stubbed', untouched.url, { headers: [{ name: 'Authorization', valueFrom }] }),
      project('stubs', ['stubbed']),
    ])
    const { url, token } = await gate.access('stubs')
    const client = new Client({ name: 'stubs', version: '1' })
    const requestInit = { headers: { authorization: `Bearer ${token}` } }
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }))
    await expect(client.callTool({ name: 'stubbed__echo', arguments: { message: 'x' } })).rejects.toThrow(
      'stand-in',
    )
    expect(untouched.seen).toEqual([])
    await client.close()
    await expect(give('mcp:notes', 'castellan-stub-mcp:notes-AAAA', 'user:ada')).rejects.toThrow('stand-in')
  } finally {
    await untouched.close()
  }
})
