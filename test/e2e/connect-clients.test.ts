import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BIN } from '../fixtures/daemon.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import { connectPiped, type AskedClient, type ClientName } from './asks-clients.ts'
import { at, httpServer, project, startGate, until, type Gate, type Json } from './gateway-harness.ts'

/* The official clients of both eras, with nothing but a pipe, in front of servers of both eras. */

const CLIENTS: readonly ClientName[] = ['v1', 'v2-legacy', 'v2-modern']
const SERVERS = ['legacy', 'modern'] as const

const references: ReferenceServer[] = []
let gate: Gate

beforeAll(async () => {
  for (const legacy of [true, false]) references.push(await startReferenceServer({ legacy, modern: !legacy }))
  const [legacy, modern] = references
  gate = await startGate([
    httpServer('legacy', legacy!.url),
    httpServer('modern', modern!.url),
    project('main', [...SERVERS]),
  ])
})

afterAll(async () => {
  await gate?.end()
  await Promise.all(references.map((reference) => reference.close()))
})

async function open(name: ClientName, ...more: string[]): Promise<AskedClient> {
  const { token } = await gate.access('main')
  const args = [BIN, 'connect', 'main', '--url', gate.daemon.origin, ...more]
  return connectPiped(name, { command: process.execPath, args, env: { CASTELLAN_TOKEN: token } })
}

const textOf = (result: Json): unknown => at(result, 'content.0.text')

describe.each(CLIENTS)('%s client', (name) => {
  let client: AskedClient

  beforeAll(async () => {
    client = await open(name)
  })
  afterAll(() => client?.close())
  beforeEach(() => void client.asked.splice(0))

  describe.each(SERVERS)('%s server', (server) => {
    const own = (tool: string) => `${server}__${tool}`

    // oxfmt-ignore
    test.each([
      { asked: 'form',      tool: 'test_input_required_result_elicitation', says: /^Hello, Ada!$/ },
      { asked: 'url',       tool: 'ask_url',                                says: /^The page: accept$/ },
      { asked: 'sampling',  tool: 'test_input_required_result_sampling',    says: /Paris/ },
      { asked: 'roots',     tool: 'test_input_required_result_list_roots',  says: /^Roots: file:\/\/\/work$/ },
      { asked: 'form form', tool: 'test_input_required_result_multi_round', says: /^both rounds are done$/ },
    ])('asked for $asked: $tool', async ({ asked, tool, says }) => {
      expect(String(textOf(await client.call(own(tool))))).toMatch(says)
      expect(client.asked.join(' ')).toBe(asked)
    })

    test('arguments that travel in headers as well, before and after the list of tools was seen', async () => {
      for (let i = 0; i < 2; i++) {
        const args = { region: 'Zürich', priority: i, query: 'x' }
        expect(textOf(await client.call(own('test_custom_headers'), args))).toBe('done')
      }
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
        JSON.parse(String(textOf(await client.call(own('seen'))))) as { aborted: number }
      const before = await seen()
      const stop = new AbortController()
      const onprogress = () => stop.abort('enough')
      await expect(client.call(own('wait'), {}, { signal: stop.signal, onprogress })).rejects.toThrow()
      await until('the server has heard of it', async () => (await seen()).aborted > before.aborted)
    })

    test('what the server logs', async () => {
      await client.wantLogs()
      client.logs.splice(0)
      await client.call(own('test_tool_with_logging'))
      expect(client.logs.map(({ data }) => data)).toContain('Tool execution completed')
    })

    test('a changed list is told', async () => {
      await client.watchTools()
      const before = client.changes
      await client.call(own('test_trigger_tool_change'))
      await until('the change', () => client.changes > before)
    })
  })

  test('one server alone has its own names', async () => {
    const single = await open(name, '--server', 'modern')
    expect(textOf(await single.call('test_simple_text'))).toContain('simple text')
    await single.close()
  })
})
