import { afterAll, beforeAll, expect, test } from 'vitest'
import { startStand, type Caller, type Stand } from './access-stand.ts'
import { ATTACHED, mayCall, mayUse, SERVERS } from './access-world.ts'
import {
  at,
  endpoint,
  modernCaller,
  namesIn,
  openLegacy,
  send,
  until,
  type Answer,
  type Caller as McpCaller,
  type Json,
} from './gateway-harness.ts'

/* The same people and rights as access-matrix.test.ts, over MCP: endpoints, lists, calls, prompts, resources. */

let stand: Stand

beforeAll(async () => {
  stand = await startStand()
}, 60_000)
afterAll(() => stand?.end())

const TOOLS = ['echo', 'slow', 'fail', 'verbatim']
const PROJECTS = Object.keys(ATTACHED)
const ENDPOINTS = PROJECTS.flatMap((project) => [
  { project, server: undefined },
  ...SERVERS.map((server) => ({ project, server })),
])

/** Tools that the caller may call in a project, by their names there. */
const toolsFor = ({ subject }: Caller, project: string): readonly string[] =>
  (ATTACHED[project] ?? [])
    .flatMap((server) => TOOLS.map((tool) => `${server}__${tool}`))
    .filter((name) => mayCall(subject, project, name))

/** A server all of whose tools may be called, as one whole: its prompts and resources too. */
const serversFor = (caller: Caller, project: string): readonly string[] =>
  (ATTACHED[project] ?? []).filter((server) => mayUse(caller.subject, project, server))

/** 403 to tokens, whatever there is; to people what they may not use is not there. */
const refusalOf = ({ subject }: Caller): number => (subject.token === undefined ? 404 : 403)

const client = ({ credential }: Caller, project: string, server?: string): McpCaller =>
  modernCaller({ url: endpoint(stand.gate.daemon, project, server), token: credential })

const everyCaller = async (look: (caller: Caller) => Promise<readonly string[]>): Promise<void> => {
  const found = await Promise.all(stand.callers.map(look))
  expect(found.flat().slice(0, 20)).toEqual([])
}

const isTool = (name: string, server: string | undefined): boolean =>
  server === undefined || name.startsWith(`${server}__`)

test('endpoints open for whoever may use anything behind them, and list just that', () =>
  everyCaller(async (caller) => {
    const found: string[] = []
    for (const { project, server } of ENDPOINTS) {
      const tools = toolsFor(caller, project)
      const wanted = tools.filter((name) => isTool(name, server))
      const answer = await client(caller, project, server).ask('tools/list')
      // Whoever may use something of the project learns of its servers only which they may use.
      const status = wanted.length > 0 ? 200 : tools.length > 0 ? 404 : refusalOf(caller)
      const bare = server === undefined ? wanted : wanted.map((name) => name.slice(server.length + 2))
      const got = answer.status === 200 ? namesIn(answer) : []
      if (answer.status !== status || JSON.stringify(got) !== JSON.stringify(bare))
        found.push(
          `${caller.subject.label}: ${project}/${server ?? ''}: ${answer.status} ${got.join()}, not ${status} ${bare.join()}`,
        )
    }
    return found
  }))

const isRefused = ({ reply }: Answer): boolean => at(reply, 'error') !== undefined

test('calls, prompts and resources go through for the same servers; refused reads as missing', () =>
  everyCaller(async (caller) => {
    const found: string[] = []
    for (const project of PROJECTS) {
      const tools = toolsFor(caller, project)
      if (tools.length === 0) continue
      const whole = serversFor(caller, project)
      const mcp = client(caller, project)
      const check = (what: string, answer: Answer, isAllowed: boolean, missing: Answer): void => {
        const same = isAllowed || answer.text === missing.text
        if (isRefused(answer) === isAllowed || !same)
          found.push(`${caller.subject.label}: ${project} ${what}: ${answer.text} (missing: ${missing.text})`)
      }
      for (const server of SERVERS) {
        const isWhole = whole.includes(server)
        const call = (name: string) => mcp.ask('tools/call', { name, arguments: {} }, 1)
        for (const tool of ['echo', 'verbatim'])
          check(
            tool,
            await call(`${server}__${tool}`),
            tools.includes(`${server}__${tool}`),
            await call('no__such'),
          )
        const get = (name: string) => mcp.ask('prompts/get', { name, arguments: { who: 'x' } }, 1)
        check(`prompt of ${server}`, await get(`${server}__greet`), isWhole, await get('no__greet'))
      }
      const prompts = await mcp.ask('prompts/list')
      const wanted = whole.map((server) => `${server}__greet`)
      if (namesIn(prompts, 'prompts').join() !== wanted.join())
        found.push(`${caller.subject.label}: prompts of ${project}: ${prompts.text}`)
      const resources = (at((await mcp.ask('resources/list')).reply, 'result.resources') ?? []) as {
        uri: string
      }[]
      if (resources.length !== whole.length)
        found.push(`${caller.subject.label}: resources of ${project}: ${JSON.stringify(resources)}`)
      for (const { uri } of resources)
        if (isRefused(await mcp.ask('resources/read', { uri }))) found.push(`${caller.subject.label}: ${uri}`)
      if (whole.length > 0) continue
      const read = (uri: string) => mcp.ask('resources/read', { uri }, 1)
      check('resource', await read('fixture://note'), false, await read('fixture://other'))
    }
    return found
  }))

test('who connects hears the words of those servers only that they may use', () =>
  everyCaller(async (caller) => {
    const found: string[] = []
    for (const project of PROJECTS) {
      const tools = toolsFor(caller, project)
      const url = endpoint(stand.gate.daemon, project)
      if (tools.length === 0) continue
      const { opened } = await openLegacy({ url, token: caller.credential })
      const discovered = await client(caller, project).ask('server/discover')
      for (const said of [JSON.stringify(opened['instructions'] ?? ''), discovered.text])
        for (const server of SERVERS)
          if (said.includes(`Instructions of ${server}.`) !== tools.some((name) => isTool(name, server)))
            found.push(`${caller.subject.label}: ${project}: ${server}: ${said}`)
    }
    return found
  }))

test('a project that is there and one that is not are the same to whoever may use neither', async () => {
  for (const caller of stand.callers) {
    const refused = PROJECTS.filter((project) => toolsFor(caller, project).length === 0)
    for (const project of refused.filter((name) => name !== caller.subject.token?.project)) {
      const there = await client(caller, project).ask('tools/list')
      const missing = await client(caller, 'nowhere').ask('tools/list')
      expect([caller.subject.label, there.status, there.text]).toEqual([
        caller.subject.label,
        missing.status,
        missing.text,
      ])
      const deep = await client(caller, project, 'alpha').ask('tools/list')
      const nowhere = await client(caller, 'nowhere', 'alpha').ask('tools/list')
      expect([deep.status, deep.text]).toEqual([nowhere.status, nowhere.text])
    }
  }
})

test('a denial over MCP is on the record, with the person, the token and what was denied', async () => {
  const few = stand.callers.find(({ subject }) => subject.label === 'few')
  if (few === undefined) throw new TypeError('there is no such caller')
  await client(few, 'demo').ask('tools/call', { name: 'beta__echo', arguments: {} })
  await send({ url: endpoint(stand.gate.daemon, 'other'), token: few.credential }, { body: '{}' })
  const by = (project: string, event: string): Json => ({
    decision: 'deny',
    user: 'admin',
    token: 'few',
    project,
    event,
  })
  // The index for queries is filled a moment later.
  await until('both denials are found', async () => {
    const { items } = (await stand.gate.daemon.call(
      'GET',
      '/api/v1/audit?token=few&decision=deny&limit=1000',
    )) as { items: Json[] }
    const has = (wanted: Json): boolean =>
      items.some((item) => Object.entries(wanted).every(([key, value]) => item[key] === value))
    return (
      has(Object.assign(by('demo', 'tools/call'), { reason: 'not_found: no right on beta' })) &&
      has(by('other', 'unclassified'))
    )
  })
})
