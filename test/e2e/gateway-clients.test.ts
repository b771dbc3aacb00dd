import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from '@modelcontextprotocol/client'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ListToolsResultSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import {
  commandServer,
  httpServer,
  project,
  startGate,
  until,
  type Access,
  type Gate,
  type Json,
} from './gateway-harness.ts'

/** The official clients and servers, as their users have them. */

const program = (name: string) =>
  new URL(`../../node_modules/@modelcontextprotocol/server-${name}/dist/index.js`, import.meta.url).pathname

let gate: Gate
let folder: string
const references: ReferenceServer[] = []
const servers: Record<string, { readonly args: readonly string[]; readonly more: Json }> = {}

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'castellan-files-')))
  await writeFile(join(folder, 'note.txt'), 'A note in a file.')
  const mounts = [{ path: folder, access: 'write' }]
  servers['everything'] = { args: [program('everything')], more: {} }
  servers['memory'] = {
    args: [program('memory')],
    more: { mounts, env: [{ name: 'MEMORY_FILE_PATH', value: join(folder, 'memory.jsonl') }] },
  }
  servers['filesystem'] = { args: [program('filesystem'), folder], more: { mounts } }
  for (const legacy of [true, false]) references.push(await startReferenceServer({ legacy, modern: !legacy }))
  const [legacy, modern] = references
  gate = await startGate([
    ...Object.entries(servers).map(([name, { args, more }]) =>
      commandServer(name, process.execPath, args, more),
    ),
    httpServer('reference-legacy', legacy!.url),
    httpServer('reference-modern', modern!.url),
    project('main', ['everything', 'memory', 'filesystem', 'reference-legacy', 'reference-modern']),
  ])
})

afterAll(async () => {
  await gate?.end()
  await Promise.all(references.map((reference) => reference.close()))
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

interface CallOptions {
  readonly signal?: AbortSignal
  readonly onprogress?: (progress: { progress: number }) => void
}

/** What the tests use of a client, whichever it is. */
interface RealClient {
  readonly client: Client1 | Client2
  readonly call: (name: string, args: Json, options?: CallOptions) => Promise<Json>
  /** What the client complained of besides failed requests. */
  readonly complaints: string[]
  close(): Promise<void>
}

type Connect = (access: Access) => Promise<RealClient>

const ABOUT = { name: 'real-client', version: '1' }
const bearer = ({ token }: Access) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } })

const connectV1: Connect = async (access) => {
  const client = new Client1(ABOUT)
  const complaints: string[] = []
  Object.assign(client, { onerror: (error: Error) => complaints.push(error.message) })
  await client.connect(new Http1(new URL(access.url), bearer(access)))
  return {
    client,
    complaints,
    call: async (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    close: () => client.close(),
  }
}

const connectV2 =
  (mode: 'legacy' | 'auto'): Connect =>
  async (access) => {
    const client = new Client2(ABOUT, { versionNegotiation: { mode } })
    const complaints: string[] = []
    Object.assign(client, { onerror: (error: Error) => complaints.push(error.message) })
    await client.connect(new Http2(new URL(access.url), bearer(access)))
    return {
      client,
      complaints,
      call: async (name, args, options) => client.callTool({ name, arguments: args }, options),
      close: () => client.close(),
    }
  }

const CLIENTS: readonly (readonly [name: string, connect: Connect, revision: string])[] = [
  ['SDK 1', connectV1, '2025-11-25'],
  ['client 2, legacy', connectV2('legacy'), '2025-11-25'],
  ['client 2, modern', connectV2('auto'), '2026-07-28'],
]

const textOf = (result: Json): string =>
  (result['content'] as { text?: string }[]).map(({ text }) => text ?? '').join('\n')

/** What a server lists when it is asked without a gateway. */
async function listedDirectly(name: string): Promise<readonly Json[]> {
  const { args, more } = servers[name]!
  const env = Object.fromEntries(
    ((more['env'] ?? []) as { name: string; value: string }[]).map((one) => [one.name, one.value]),
  )
  // What a server is told on a copy that its callers share; some list further tools to those who can be asked.
  const capabilities = { sampling: { tools: {}, context: {} }, elicitation: { form: {}, url: {} } }
  const client = new Client1(ABOUT, { capabilities })
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [...args], env, stderr: 'ignore' }),
  )
  const { tools } = await client.request({ method: 'tools/list' }, ListToolsResultSchema)
  await client.close()
  return tools
}

/** Tasks of 2025-11-25 are not there for modern clients, and a tool that is nothing else is called as one for everybody. */
function throughGateway(tool: Json, server: string, revision: string): Json {
  const { execution, ...rest } = tool
  const name = `${server}__${String(tool['name'])}`
  const isTaskOnly = (execution as Json | undefined)?.['taskSupport'] === 'required'
  return isTaskOnly || revision === '2026-07-28' ? { ...rest, name } : { ...tool, name }
}

describe.each(CLIENTS)('%s', (_name, connect, revision) => {
  async function withClient(use: (real: RealClient) => Promise<void>, server?: string): Promise<void> {
    const real = await connect(await gate.access('main', server))
    try {
      await use(real)
      expect(real.complaints).toEqual([])
    } finally {
      await real.close()
    }
  }

  test('speaks its newest revision', async () => {
    await withClient(async ({ client }) => {
      const { protocolVersion } = client.transport as { protocolVersion?: string }
      expect(protocolVersion).toBe(revision)
      expect(client.getServerVersion()?.name).toBe('castellan')
      expect(Object.keys(client.getServerCapabilities() ?? {})).toEqual(
        expect.arrayContaining(['tools', 'prompts', 'resources', 'completions', 'logging']),
      )
    })
  })

  test.each(['everything', 'memory', 'filesystem'])(
    'the tools of %s are what they are without a gateway',
    async (server) => {
      const direct = await listedDirectly(server)
      expect(direct.length).toBeGreaterThan(8)
      await withClient(async ({ client }) => {
        const { tools } = await client.listTools()
        const own = tools.filter(({ name }) => name.startsWith(`${server}__`)) as readonly Json[]
        const expected = direct.map((tool) => throughGateway(tool, server, revision))
        expect(own).toEqual(expected)
      })
    },
  )

  test('calls tools of every server', async () => {
    await withClient(async ({ call }) => {
      expect(textOf(await call('everything__echo', { message: 'hi' }))).toBe('Echo: hi')
      expect(textOf(await call('everything__get-sum', { a: 2, b: 3 }))).toContain('5')
      expect(
        (await call('everything__get-structured-content', { location: 'New York' }))['structuredContent'],
      ).toHaveProperty('temperature')
      expect(textOf(await call('filesystem__read_text_file', { path: join(folder, 'note.txt') }))).toBe(
        'A note in a file.',
      )
      expect(await call('filesystem__read_text_file', { path: '/etc/passwd' })).toMatchObject({
        isError: true,
      })
      for (const server of ['reference-legacy', 'reference-modern'])
        expect(textOf(await call(`${server}__test_simple_text`, {}))).toMatch(/simple text/)
    })
  })

  test('what one client stores in a shared server, another reads', async () => {
    const name = `entity-${Math.random()}`
    await withClient(async ({ call }) => {
      const entities = [{ name, entityType: 'test', observations: ['made by a test'] }]
      await call('memory__create_entities', { entities })
    })
    await withClient(async ({ call }) => {
      expect(textOf(await call('memory__read_graph', {}))).toContain(name)
    })
  })

  test('prompts, resources, templates, completion', async () => {
    await withClient(async ({ client }) => {
      const { prompts } = await client.listPrompts()
      expect(prompts.map(({ name }) => name)).toContain('everything__args-prompt')
      const prompt = await client.getPrompt({ name: 'everything__args-prompt', arguments: { city: 'Oslo' } })
      expect(JSON.stringify(prompt.messages)).toContain('Oslo')
      const { resources } = await client.listResources()
      const uri = resources.find((one) => one.uri.startsWith('demo://'))?.uri ?? ''
      expect((await client.readResource({ uri })).contents[0]?.uri).toBe(uri)
      const { resourceTemplates } = await client.listResourceTemplates()
      expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toContain(
        'demo://resource/dynamic/text/{resourceId}',
      )
      const dynamic = await client.readResource({ uri: 'demo://resource/dynamic/text/7' })
      expect(dynamic.contents[0]?.uri).toBe('demo://resource/dynamic/text/7')
      const { completion } = await client.complete({
        ref: { type: 'ref/prompt', name: 'everything__completable-prompt' },
        argument: { name: 'department', value: 'E' },
      })
      expect(completion.values).toEqual(['Engineering'])
    })
  })

  test('hears of progress', async () => {
    await withClient(async ({ call }) => {
      const seen: number[] = []
      const args = { duration: 0.2, steps: 4 }
      const result = await call('everything__trigger-long-running-operation', args, {
        onprogress: ({ progress }) => seen.push(progress),
      })
      expect(textOf(result)).toMatch(/completed/)
      expect(seen).toEqual([1, 2, 3, 4])
    })
  })

  test('cancels a call, and goes on', async () => {
    await withClient(async ({ call }) => {
      const stop = new AbortController()
      const started = Promise.withResolvers<void>()
      const running = call(
        'everything__trigger-long-running-operation',
        { duration: 30, steps: 300 },
        {
          signal: stop.signal,
          onprogress: () => started.resolve(),
        },
      )
      running.catch(() => undefined)
      await started.promise
      stop.abort()
      await expect(running).rejects.toThrow()
      expect(textOf(await call('everything__echo', { message: 'on' }))).toBe('Echo: on')
    })
  })

  test('names are unprefixed on the endpoint of one server', async () => {
    await withClient(async ({ client, call }) => {
      const { tools } = await client.listTools()
      expect(tools.map(({ name }) => name)).toContain('echo')
      expect(textOf(await call('echo', { message: 'hi' }))).toBe('Echo: hi')
    }, 'everything')
  })

  test('an unknown tool is an error that says where to look', async () => {
    await withClient(async ({ call }) => {
      await expect(call('everything__nothing', {})).rejects.toThrow(
        /there is nothing by that name here: tools\/list/,
      )
    })
  })
})

test.each(CLIENTS.slice(0, 2))(
  '%s goes on after a restart of the daemon, with its stream and its session',
  async (_name, connect) => {
    const real = await connect(await gate.access('main'))
    let changes = 0
    const count = () => {
      changes += 1
    }
    if (real.client instanceof Client2)
      real.client.setNotificationHandler('notifications/tools/list_changed', count)
    else real.client.setNotificationHandler(ToolListChangedNotificationSchema, count)
    const { sessionId } = real.client.transport as { sessionId?: string }
    await real.call('everything__echo', { message: 'before' })
    await gate.restart('SIGKILL')
    expect(textOf(await real.call('everything__echo', { message: 'after' }))).toBe('Echo: after')
    expect((real.client.transport as { sessionId?: string }).sessionId).toBe(sessionId)
    await until('the stream was opened again and lists were announced', () => changes > 0)
    await real.close()
  },
)
