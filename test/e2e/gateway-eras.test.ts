import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { manyTools, PLAIN_TOOLS, VERBATIM_RESULT } from '../fixtures/upstream/tools.ts'
import {
  at,
  httpServer,
  jsonRpc,
  modernCaller,
  modernHeaders,
  modernMeta,
  namesIn,
  openLegacy,
  project,
  send,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Answer,
  type Caller,
  type Gate,
  type Json,
  type LegacyCaller,
} from './gateway-harness.ts'

/** Every way in which a server can be of an era. */
const SERVERS = ['sessions', 'sessionless', 'streaming', 'modern', 'stdio', 'stdio-modern'] as const
type ServerName = (typeof SERVERS)[number]
const ERAS = ['legacy', 'modern'] as const
const CELLS = SERVERS.flatMap((server) => ERAS.map((era) => [era, server] as const))

const upstreams = new Map<string, Upstream>()
let gate: Gate

beforeAll(async () => {
  upstreams.set('sessions', await startUpstream({ name: 'sessions', pageSize: 2, emptyCursor: true }))
  upstreams.set('sessionless', await startUpstream({ name: 'sessionless', style: 'sessionless' }))
  upstreams.set('streaming', await startUpstream({ name: 'streaming', answers: 'sse' }))
  upstreams.set('modern', await startUpstream({ name: 'modern', style: 'modern', answers: 'sse' }))
  upstreams.set('many', await startUpstream({ name: 'many', tools: manyTools(1500) }))
  gate = await startGate([
    ...[...upstreams].map(([name, { url }]) => httpServer(name, url)),
    stdioServer('stdio'),
    stdioServer('stdio-modern', ['--modern']),
    project('all', [...SERVERS], { instructions: 'Be kind.' }),
    project('many', ['many', 'sessions']),
  ])
})

afterAll(async () => {
  await gate?.end()
  await Promise.all([...upstreams.values()].map((upstream) => upstream.close()))
})

const isStdio = (server: string) => server.startsWith('stdio')
const upstreamOf = (server: string): Upstream => upstreams.get(server)!
const isModern = (server: string) => server.includes('modern')
const plain = (server: ServerName) => (isStdio(server) ? 'about' : 'echo')
const scheme = (server: ServerName) => (isStdio(server) ? 'stdio' : 'fixture')

async function callerOf(era: (typeof ERAS)[number], access: Access): Promise<Caller> {
  return era === 'legacy' ? openLegacy(access) : modernCaller(access)
}

const isLegacy = (caller: Caller): caller is LegacyCaller => 'session' in caller

/** What a modern client must find in every result, and a legacy one must not. */
function expectEra({ reply }: Answer, era: (typeof ERAS)[number], cacheable = false): void {
  const result = reply['result'] as Json
  expect(result['resultType']).toBe(era === 'modern' ? 'complete' : undefined)
  expect(['ttlMs' in result, 'cacheScope' in result]).toEqual(Array(2).fill(era === 'modern' && cacheable))
}

describe.each(['aggregated', 'single'] as const)('%s endpoint', (kind) => {
  describe.each(CELLS)('%s client, server %s', (era, server) => {
    const name = (own: string) => (kind === 'aggregated' ? `${server}__${own}` : own)
    // Several servers have the same URIs, so each is told apart on the endpoint of them all.
    const uri = (own: string) =>
      `${scheme(server)}://${kind === 'aggregated' ? `${server}.castellan/` : ''}${own}`
    const connect = async () =>
      callerOf(era, await gate.access('all', kind === 'single' ? server : undefined))

    test('opening', async () => {
      const access = await gate.access('all', kind === 'single' ? server : undefined)
      const opened =
        era === 'legacy'
          ? (await openLegacy(access)).opened
          : ((await modernCaller(access).ask('server/discover')).reply['result'] as Json)
      expect(Object.keys(opened['capabilities'] as Json)).toEqual(
        expect.arrayContaining(['tools', 'prompts', 'resources', 'completions', 'logging']),
      )
      if (era === 'legacy')
        expect(opened).toMatchObject({ protocolVersion: '2025-11-25', serverInfo: { name: 'castellan' } })
      else
        expect(opened).toMatchObject({
          supportedVersions: ['2026-07-28'],
          resultType: 'complete',
          cacheScope: 'private',
        })
      if (!isStdio(server)) expect(opened['instructions']).toContain(`Instructions of ${server}.`)
      if (kind === 'aggregated') expect(opened['instructions']).toMatch(/^Be kind\./)
    })

    test('tools are listed byte for byte, but for their names', async () => {
      const caller = await connect()
      const answer = await caller.ask('tools/list')
      expectEra(answer, era, true)
      if (isStdio(server)) return expect(namesIn(answer)).toContain(name('about'))
      for (const tool of PLAIN_TOOLS)
        expect(answer.text).toContain(JSON.stringify({ ...tool, name: name(tool.name) }))
      expect((await caller.ask('tools/list', {}, 1)).text).toBe((await caller.ask('tools/list', {}, 1)).text)
    })

    test('a call, there and back', async () => {
      const answer = await (
        await connect()
      ).ask('tools/call', { name: name(plain(server)), arguments: { message: 'hi' } }, 'x')
      expect({ status: answer.status, id: answer.reply['id'] }).toEqual({ status: 200, id: 'x' })
      expectEra(answer, era)
      if (!isStdio(server))
        expect(at(answer.reply, 'result.content')).toEqual([{ type: 'text', text: 'Echo: hi' }])
      else expect(toolJson(answer)).toHaveProperty('instance')
    })

    test('numbers and unknown fields of a result arrive as they left', async () => {
      const { text } = await (await connect()).ask('tools/call', { name: name('verbatim') })
      const kept = isStdio(server) ? VERBATIM_RESULT.replace(/,"structuredContent".*/, '}') : VERBATIM_RESULT
      expect(text).toContain(kept.slice(1))
    })

    if (!isStdio(server))
      test('numbers and unknown fields of arguments arrive as they left', async () => {
        const caller = await connect()
        const given = '{"big":9007199254740993,"huge":1e400,"zero":-0,"text":"\\u0041", "x" : 1.0}'
        const tool = name('fail')
        const meta = JSON.stringify(era === 'modern' ? modernMeta({ 'x/kept': [1.5] }) : { 'x/kept': [1.5] })
        const body = `{"jsonrpc":"2.0","id":18446744073709551617,"method":"tools/call","params":{"name":${JSON.stringify(tool)},"arguments":${given},"_meta":${meta}}}`
        const headers = isLegacy(caller) ? caller.headers : modernHeaders('tools/call', { name: tool })
        const access = await gate.access('all', kind === 'single' ? server : undefined)
        const answer = await send(access, { body, headers })
        const seen = upstreamOf(server).last('tools/call')
        expect(seen?.body).toContain(`"arguments":${given}`)
        expect(at(seen?.message, 'params._meta.x/kept')).toEqual([1.5])
        expect(at(seen?.message, 'params.name')).toBe('fail')
        expect(answer.text).toContain('"id":18446744073709551617')
        // The tool says that it failed: a result, not an error.
        expect(at(answer.reply, 'result.isError')).toBe(true)
      })

    test('prompts, resources, templates, completion', async () => {
      const caller = await connect()
      const prompts = await caller.ask('prompts/list')
      expect(namesIn(prompts, 'prompts')).toContain(name('greet'))
      const prompt = await caller.ask('prompts/get', { name: name('greet'), arguments: { who: 'Ada' } })
      expect(at(prompt.reply, 'result.messages.0.content.text')).toMatch(/^Greet .*Ada/)
      const resources = await caller.ask('resources/list')
      expect(resources.text).toContain(JSON.stringify(uri('note')))
      const read = await caller.ask('resources/read', { uri: uri('note') })
      expect(at(read.reply, 'result.contents.0')).toMatchObject({ uri: uri('note'), text: 'A note.' })
      expectEra(read, era, true)
      const templates = await caller.ask('resources/templates/list')
      expect(templates.text).toContain(uri('notes/{id}'))
      for (const ref of [
        { type: 'ref/prompt', name: name('greet') },
        { type: 'ref/resource', uri: uri('notes/{id}') },
      ]) {
        const done = await caller.ask('completion/complete', { ref, argument: { name: 'who', value: 'o' } })
        expect(at(done.reply, 'result.completion.values')).toEqual(['one', 'two'])
        expectEra(done, era)
      }
    })

    if (!isStdio(server))
      test('an unknown resource has the code of the client', async () => {
        const { status, reply } = await (
          await connect()
        ).ask('resources/read', { uri: 'fixture://nothing' }, 3)
        expect([status, reply['id'], at(reply, 'error.code')]).toEqual([
          200,
          3,
          era === 'legacy' ? -32002 : -32602,
        ])
      })

    if (server !== 'sessions' && server !== 'sessionless')
      test('progress comes with the token of the client', async () => {
        const caller = await connect()
        for (const progressToken of ['mine', 7]) {
          const params = { name: name('slow'), arguments: { ms: 5 }, _meta: { progressToken } }
          const { messages } = await caller.ask('tools/call', params, 'p')
          const progress = messages.filter(({ method }) => method === 'notifications/progress')
          expect(progress.map((one) => one['params'])).toEqual([
            { progressToken, progress: 1, total: 2 },
            { progressToken, progress: 2, total: 2 },
          ])
          expect(messages.at(-1)).toMatchObject({ id: 'p', result: {} })
        }
      })

    if (isStdio(server))
      test('log messages come from the level that was asked for', async () => {
        const caller = await connect()
        const levels = async (meta: Json): Promise<unknown[]> => {
          const params = { name: name('slow'), arguments: { logs: ['debug', 'info', 'error'] }, _meta: meta }
          const { messages } = await caller.ask('tools/call', params)
          return messages
            .filter(({ method }) => method === 'notifications/message')
            .map((one) => at(one, 'params.level'))
        }
        if (isLegacy(caller)) {
          expect((await caller.ask('logging/setLevel', { level: 'info' })).reply['result']).toEqual({})
          expect(await levels({})).toEqual(['info', 'error'])
        } else {
          expect(await levels({})).toEqual([])
          expect(await levels({ 'io.modelcontextprotocol/logLevel': 'info' })).toEqual(['info', 'error'])
        }
      })

    test('a call that is cancelled ends, and its server hears of it', async () => {
      const caller = await connect()
      const hungUp = isStdio(server) ? 0 : upstreamOf(server).hungUp()
      const cancelled = isStdio(server) ? 0 : upstreamOf(server).count('notifications/cancelled')
      const heard = async () =>
        toolJson(await caller.ask('tools/call', { name: name('heard') })) as {
          method: string
          params?: Json
        }[]
      const ms = 20_000 + Math.floor(Math.random() * 10_000)
      const running = caller.begin('tools/call', { name: name('slow'), arguments: { ms } }, 'long')
      await until('the call has arrived', async () =>
        isStdio(server)
          ? (await heard()).some(({ params }) => at(params, 'arguments.ms') === ms)
          : at(upstreamOf(server).last('tools/call')?.message, 'params.arguments.ms') === ms,
      )
      if (isLegacy(caller)) {
        expect((await caller.notify('notifications/cancelled', { requestId: 'long' })).status).toBe(202)
        const { status, headers, messages } = await running.answer
        expect({ status, type: headers['content-type'] }).toEqual({ status: 200, type: 'text/event-stream' })
        expect(messages.filter((message) => 'id' in message)).toEqual([])
      } else running.hangUp()
      await until('the server heard', async () => {
        if (isStdio(server)) {
          const all = await heard()
          const call = all.find(({ params }) => at(params, 'arguments.ms') === ms)
          return call !== undefined && all.at(-2)?.method === 'notifications/cancelled'
        }
        const upstream = upstreamOf(server)
        return isModern(server)
          ? upstream.hungUp() > hungUp
          : upstream.count('notifications/cancelled') > cancelled
      })
      if (!isStdio(server) && !isModern(server)) {
        const call = upstreamOf(server).last('tools/call')?.message.id
        expect(upstreamOf(server).last('notifications/cancelled')?.message.params?.['requestId']).toBe(call)
      }
    })
  })
})

describe('merged lists', () => {
  test('are in the order of the project and paged, and each page ends in a cursor but for the last', async () => {
    for (const era of ERAS) {
      const caller = await callerOf(era, await gate.access('many'))
      const names: string[] = []
      let cursor: unknown
      let pages = 0
      do {
        const answer = await caller.ask('tools/list', cursor === undefined ? {} : { cursor })
        names.push(...namesIn(answer))
        cursor = at(answer.reply, 'result.nextCursor')
        pages += 1
      } while (cursor !== undefined)
      expect(pages).toBe(2)
      expect(names).toEqual([
        ...manyTools(1500).map((tool) => `many__${tool.name}`),
        ...PLAIN_TOOLS.map((tool) => `sessions__${tool.name}`),
      ])
    }
  })

  test('a server that says its list has changed is asked again, and clients hear of it', async () => {
    for (const server of ['streaming', 'modern'] as const) {
      const upstream = upstreamOf(server)
      const client = await openLegacy(await gate.access('all'))
      const stream = await client.listen()
      await client.ask('tools/list')
      await until('the gateway listens', () => upstream.listeners() > 0)
      upstream.setTools([...PLAIN_TOOLS, { name: 'added', inputSchema: { type: 'object' } }])
      upstream.notify('notifications/tools/list_changed')
      await until('list_changed', () =>
        stream.messages.some(({ method }) => method === 'notifications/tools/list_changed'),
      )
      expect(namesIn(await client.ask('tools/list'))).toContain(`${server}__added`)
      stream.hangUp()
    }
  })

  test('the same holds for a stdio server', async () => {
    const client = await openLegacy(await gate.access('all'))
    const stream = await client.listen()
    const before = namesIn(await client.ask('tools/list')).length
    await client.ask('tools/call', { name: 'stdio__grow' })
    await until('list_changed', () =>
      stream.messages.some(({ method }) => method === 'notifications/tools/list_changed'),
    )
    expect(namesIn(await client.ask('tools/list')).length).toBe(before + 1)
    stream.hangUp()
  })
})

test.each(['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'])(
  'a client of %s gets its own revision',
  async (version) => {
    const client = await openLegacy(await gate.access('all'), version)
    expect(client.opened['protocolVersion']).toBe(version)
    const { reply } = await client.ask('tools/call', { name: 'modern__echo', arguments: { message: 'hi' } })
    expect(at(reply, 'result.content.0.text')).toBe('Echo: hi')
  },
)

test('a client of a revision nobody knows gets the newest legacy one', async () => {
  const body = jsonRpc(1, 'initialize', {
    protocolVersion: '1999-01-01',
    capabilities: {},
    clientInfo: { name: 'x', version: '1' },
  })
  const { reply } = await send(await gate.access('all'), { body })
  expect(at(reply, 'result.protocolVersion')).toBe('2025-11-25')
})
