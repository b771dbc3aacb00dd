import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { accessOf, legacyAgent, linkIn, modernAgent, type Agent } from './credentials-connect-harness.ts'
import { startBetween, startEdge, type Between, type Edge } from './edge-harness.ts'
import {
  httpServer,
  project,
  startGate,
  until,
  type Access,
  type Gate,
  type Json,
} from './gateway-harness.ts'

/*
 * A server that each caller reaches with an account of their own, called through an edge: what is sent to it is sent by
 * the control plane, and the edge has none of it. Whoever has no account yet is led to a page of the control plane.
 */

let upstream: Upstream
let gate: Gate
let between: Between
let edge: Edge
const agents: Agent[] = []

const KEY_OF = (name: string): string => `canary-key-of-${name}`
const PEOPLE = ['ada', 'ben', 'cy', 'dee', 'eve'] as const
type Person = (typeof PEOPLE)[number]
const accesses = new Map<Person, Access>()

beforeAll(async () => {
  upstream = await startUpstream({ style: 'modern' })
  gate = await startGate([
    httpServer('notes', upstream.url, {
      auth: { grant: 'mcp:notes', header: 'x-notes-key', whose: 'per-user' },
    }),
    project('demo', ['notes']),
    ...PEOPLE.map((name) => ({ kind: 'User', metadata: { name }, spec: {} })),
    {
      kind: 'RoleBinding',
      metadata: { name: 'people' },
      spec: {
        subjects: PEOPLE.map((name) => ({ kind: 'User', name })),
        bindings: [{ role: 'run', resource: '*' }],
      },
    },
  ])
  between = await startBetween(gate.daemon.origin)
  edge = await startEdge(between.url)
  for (const name of PEOPLE) {
    const { token, url } = await accessOf(gate.daemon, name)
    accesses.set(name, { token, url: url.replace(gate.daemon.origin, edge.origin) })
  }
})
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.close()))
  await edge?.stop()
  await between?.close()
  await gate?.end()
  await upstream?.close()
})

const accessAt = (name: Person): Access => accesses.get(name) as Access
const connect = (name: Person, shop = gate.daemon): Promise<unknown> =>
  shop.call('PUT', '/api/v1/grants/mcp:notes', {
    for: `user:${name}`,
    values: { token: KEY_OF(name) },
    server: 'notes',
  })

async function modern(name: Person, open?: (url: string) => Promise<void>): Promise<Agent> {
  const agent = await modernAgent(accessAt(name), open)
  agents.push(agent)
  return agent
}

async function legacy(name: Person, opensPages: boolean): Promise<Agent> {
  const agent = await legacyAgent(accessAt(name), opensPages)
  agents.push(agent)
  return agent
}

const ECHO = { message: 'hi' }
const echoed = (answer: Json): boolean => JSON.stringify(answer).includes('Echo: hi')
const sentKey = (): unknown => upstream.last('tools/call')?.headers['x-notes-key']
/** Pages are where people reach the control plane, and never at the edge. */
const isPage = (url: string): boolean => url.startsWith(`${gate.daemon.origin}/connect/`)

test('each call carries the credential of its caller, whoever else calls through the same edge', async () => {
  await Promise.all([connect('ada'), connect('ben')])
  const [ada, ben] = [await modern('ada'), await legacy('ben', true)]
  for (const [agent, name] of [
    [ada, 'ada'],
    [ben, 'ben'],
    [ada, 'ada'],
  ] as const) {
    expect(echoed(await agent.call('notes__echo', ECHO))).toBe(true)
    expect(sentKey()).toBe(KEY_OF(name))
  }
  const all = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? ada : ben).call('notes__echo', ECHO))
  expect((await Promise.all(all)).filter((answer) => !echoed(answer))).toEqual([])
})

test('a modern client is sent to the page, comes back, and its call is answered', async () => {
  const cy = await modern('cy', async (url) => {
    expect(isPage(url)).toBe(true)
    await connect('cy')
  })
  expect(await cy.tools()).toEqual(['notes__connect'])
  // Of the tool that it calls nobody knows yet, but its name.
  expect(echoed(await cy.call('notes__echo', ECHO))).toBe(true)
  expect(cy.opened).toHaveLength(1)
  await until('the tools of the server are there', async () => (await cy.tools()).includes('notes__echo'))
  expect(JSON.stringify(await cy.call('notes__connect'))).toContain('is connected')
  expect(echoed(await cy.call('notes__echo', ECHO))).toBe(true)
  expect(sentKey()).toBe(KEY_OF('cy'))
})

test('a client of 2025-11-25 is told which page', async () => {
  const dee = await legacy('dee', true)
  const refused = await dee.call('notes__echo', ECHO).then(String, (thrown: unknown) => thrown as Json)
  expect(refused).toMatchObject({ code: -32_042 })
  const [asked] = ((refused as Json)['data'] as { elicitations: { url: string }[] }).elicitations
  expect(isPage(asked?.url ?? '')).toBe(true)
  await connect('dee')
  await until('the tools of the server are there', async () => (await dee.tools()).includes('notes__echo'))
  expect(echoed(await dee.call('notes__echo', ECHO))).toBe(true)
  expect(sentKey()).toBe(KEY_OF('dee'))
})

test('a client that opens no pages has the link in the answer of the tool', async () => {
  const eve = await legacy('eve', false)
  const answer = await eve.call('notes__echo', ECHO)
  expect(answer['isError']).toBe(true)
  expect(isPage(linkIn(JSON.stringify(answer)))).toBe(true)
  await connect('eve')
  await until('the tools of the server are there', async () => (await eve.tools()).includes('notes__echo'))
  expect(echoed(await eve.call('notes__echo', ECHO))).toBe(true)
  expect(sentKey()).toBe(KEY_OF('eve'))
})

test('what was taken back is not sent through the edge either', async () => {
  const ben = await modern('ben')
  expect(echoed(await ben.call('notes__echo', ECHO))).toBe(true)
  await gate.daemon.call('DELETE', '/api/v1/grants/mcp:notes?for=user:ben')
  const before = upstream.count('tools/call')
  const answer = await ben.call('notes__connect').catch((thrown: unknown) => ({ thrown: String(thrown) }))
  expect(JSON.stringify(answer)).not.toContain(KEY_OF('ben'))
  expect(upstream.count('tools/call')).toBe(before)
})

test('the edge was told of no grant: not its name, not where it may go, not what it is', () => {
  const told = between.seen.map(({ answer }) => answer).join('\n')
  const isTold = (what: string): boolean => told.includes(what)
  expect(['Echo: hi', 'canary-key-of', 'x-notes-key', new URL(upstream.url).host].map(isTold)).toEqual([
    true,
    false,
    false,
    false,
  ])
  const views = between.seen
    .filter(({ path }) => path.startsWith('/api/'))
    .map(({ answer }) => answer)
    .join('\n')
  expect(views).not.toContain('mcp:notes')
})
