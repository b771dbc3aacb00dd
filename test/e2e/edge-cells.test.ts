import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { connect, type AskedClient, type ClientName } from './asks-clients.ts'
import { startEdge, type Edge } from './edge-harness.ts'
import {
  at,
  commandServer,
  httpServer,
  project,
  startGate,
  until,
  type Gate,
  type Json,
} from './gateway-harness.ts'

/* The official clients of both eras at an edge, in front of servers that it reaches itself, and others that its control plane does. */

const CLIENTS: readonly ClientName[] = ['v1', 'v2-legacy', 'v2-modern']
const SERVERS = ['direct-legacy', 'direct-modern', 'stdio-shared', 'stdio-session', 'stdio-modern'] as const
type ServerName = (typeof SERVERS)[number]

const checkout = new URL('../..', import.meta.url).pathname
const program = new URL('../fixtures/reference-stdio.ts', import.meta.url).pathname
const stdio = (name: ServerName, era: string, more: Json = {}): Json =>
  commandServer(name, process.execPath, [program, era], { mounts: [{ path: checkout }], ...more })

const references: ReferenceServer[] = []
let gate: Gate
let edge: Edge

beforeAll(async () => {
  for (const legacy of [true, false]) references.push(await startReferenceServer({ legacy, modern: !legacy }))
  const [legacy, modern] = references
  gate = await startGate([
    httpServer('direct-legacy', legacy!.url),
    httpServer('direct-modern', modern!.url),
    stdio('stdio-shared', 'legacy'),
    stdio('stdio-session', 'legacy', { instances: 'per-session' }),
    stdio('stdio-modern', 'modern'),
    project('main', [...SERVERS]),
  ])
  edge = await startEdge(gate.daemon.origin)
})

afterAll(async () => {
  await edge?.stop()
  await gate?.end()
  await Promise.all(references.map((reference) => reference.close()))
})

const textOf = (result: Json): unknown => at(result, 'content.0.text')

describe.each(SERVERS.flatMap((server) => CLIENTS.map((name) => [name, server] as const)))(
  '%s client, server %s',
  (name, server) => {
    let client: AskedClient
    const own = (tool: string) => `${server}__${tool}`

    beforeAll(async () => {
      const { url, token } = await gate.access('main')
      client = await connect(name, { url: url.replace(gate.daemon.origin, edge.origin), token })
    })
    afterAll(() => client?.close())
    beforeEach(() => void client.asked.splice(0))

    // oxfmt-ignore
    test.each([
      { asked: 'form',      tool: 'test_input_required_result_elicitation', args: {},                  says: /^Hello, Ada!$/ },
      { asked: 'form',      tool: 'test_elicitation',                       args: { message: 'Who?' }, says: /accept.*"username":"Ada"/ },
      { asked: 'sampling',  tool: 'test_sampling',                          args: { prompt: 'Hm?' },   says: /Paris/ },
      { asked: 'roots',     tool: 'test_input_required_result_list_roots',  args: {},                  says: /^Roots: file:\/\/\/work$/ },
      { asked: 'form form', tool: 'test_input_required_result_multi_round', args: {},                  says: /^both rounds are done$/ },
    ])('asked for $asked: $tool', async ({ asked, tool, args, says }) => {
      expect(String(textOf(await client.call(own(tool), args)))).toMatch(says)
      expect(client.asked.join(' ')).toBe(asked)
    })

    test('a prompt asks too', async () => {
      const prompt = await client.prompt(own('test_input_required_result_prompt'))
      expect(at(prompt, 'messages.0.content.text')).toBe('Context: C')
    })

    test('progress comes in order', async () => {
      const heard: number[] = []
      const onprogress = ({ progress }: { progress: number }) => void heard.push(progress)
      await client.call(own('test_tool_with_progress'), {}, { onprogress })
      expect(heard).toEqual([0, 50, 100])
    })

    test('a call that is taken back is stopped at its server', async () => {
      const seen = async () =>
        JSON.parse(String(textOf(await client.call(own('seen'))))) as { waiting: number; aborted: number }
      const before = await seen()
      const stop = new AbortController()
      const call = client.call(
        own('wait'),
        {},
        { signal: stop.signal, onprogress: () => stop.abort('enough') },
      )
      await expect(call).rejects.toThrow()
      await until('the server has heard of it', async () => (await seen()).aborted > before.aborted)
    })

    test('what the server logs', async () => {
      await client.wantLogs()
      client.logs.splice(0)
      await client.call(own('test_tool_with_logging'))
      expect(client.logs.map(({ data }) => data)).toEqual([
        'Tool execution started',
        'Tool processing data',
        'Tool execution completed',
      ])
    })

    test.runIf(server !== 'stdio-modern')('a changed list is told', async () => {
      await client.watchTools()
      const before = client.changes
      await client.call(own('test_trigger_tool_change'))
      await until('the change', () => client.changes > before)
    })
  },
)
