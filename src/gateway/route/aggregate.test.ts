import { FULL_ACCESS } from '../../access/project-access.ts'
import { expect, test } from 'vitest'
import { createScriptedServers, scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { Project } from '../../kinds/project.ts'
import type { BootEpoch } from '../../lib/id.ts'
import { createPool } from '../forward/pool.ts'
import type { ServerView } from '../snapshot.ts'
import {
  createAggregator,
  decodeCursor,
  encodeCursor,
  type ListQuery,
  type RenderedList,
} from './aggregate.ts'
import { createCatalog, type Catalog } from './catalog.ts'
import { createProjectCompiler, type CompiledProject } from './compiled-project.ts'
import { createUriTable } from './project-uris.ts'

const EPOCH = 'boot' as BootEpoch
const ONE = scriptedView('one', { instances: 'shared' })
const TWO = scriptedView('two', { instances: 'shared' })
const METHODS = {
  tools: 'tools/list',
  prompts: 'prompts/list',
  resources: 'resources/list',
  templates: 'resources/templates/list',
} as const

function setUp() {
  const servers = createScriptedServers()
  const time = { nowMs: 0 }
  const tickMs = (): number => time.nowMs
  const pool = createPool({
    isCurrent: () => true,
    dial: servers.dial,
    nowMs: () => 0,
    tickMs,
    events: {
      changed: (server, _, what) => catalog.changed(server, [what]),
      notified() {},
      asked() {},
      withdrawn() {},
      reopened() {},
      lost() {},
    },
  })
  const us = { name: 'castellan', version: '0' }
  const catalog: Catalog = createCatalog({ pool, us, tickMs, onChange() {}, onDropped() {} })
  const aggregator = createAggregator({
    catalog,
    uris: createUriTable({ catalog }),
    pool,
    tickMs,
    epoch: EPOCH,
    serverInfo: JSON.stringify(us),
  })
  const offer = (server: string, kind: keyof typeof METHODS, items: readonly object[]): void => {
    servers.script(server).lists[METHODS[kind]] = [items]
  }
  return { servers, time, offer, list: (query: ListQuery) => aggregator.list(query) }
}

function project(servers: readonly ServerView[], spec: object = {}): CompiledProject {
  const parsed = Project.spec.parse({ servers: servers.map(({ name }) => name), ...spec })
  return createProjectCompiler()({ uid: 'prj_p', name: 'p', spec: parsed, servers })
}

const query = (over: Partial<ListQuery> = {}): ListQuery => ({
  project: project([ONE, TWO]),
  access: FULL_ACCESS,
  server: undefined,
  scope: { principal: 'token:a', session: 's' },
  kind: 'tools',
  era: 'legacy',
  ...over,
})

const parsed = (list: RenderedList, page = 0) =>
  JSON.parse(list.pages[page]?.toString() ?? '') as Record<string, unknown> & { nextCursor?: string }
const tool = (name: string, more: object = {}): object => ({ name, inputSchema: { type: 'object' }, ...more })

test('tools of all servers in the order of the project, prefixed, and otherwise as they came', async () => {
  const { offer, list } = setUp()
  offer('one', 'tools', [tool('b', { title: 'B', icons: [{ src: 'x' }], _meta: { k: 1 } }), tool('a')])
  offer('two', 'tools', [tool('a')])
  expect(parsed(await list(query()))).toEqual({
    tools: [
      tool('one__b', { title: 'B', icons: [{ src: 'x' }], _meta: { k: 1 } }),
      tool('one__a'),
      tool('two__a'),
    ],
  })
  const turned = await list(query({ project: project([TWO, ONE]) }))
  expect((parsed(turned)['tools'] as { name: string }[]).map(({ name }) => name)).toEqual([
    'two__a',
    'one__b',
    'one__a',
  ])
})

test('a modern client is told type, time to live and who answers; a legacy one is not', async () => {
  const { offer, list } = setUp()
  offer('one', 'tools', [tool('a')])
  const { tools, ...rest } = parsed(await list(query({ era: 'modern' })))
  expect(tools).toHaveLength(1)
  expect(rest).toEqual({
    resultType: 'complete',
    ttlMs: 10_000,
    cacheScope: 'private',
    _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'castellan', version: '0' } },
  })
})

test('one server by itself keeps its names, and the rules of the project hold all the same', async () => {
  const { offer, list } = setUp()
  offer('one', 'tools', [tool('keep'), tool('drop')])
  const own = project([ONE, TWO], { tools: { deny: ['one__drop'] } })
  expect(parsed(await list(query({ project: own, server: ONE })))).toEqual({ tools: [tool('keep')] })
  expect(parsed(await list(query({ project: own })))).toEqual({ tools: [tool('one__keep')] })
})

// oxfmt-ignore
test.each([
  ['prompts',   [{ name: 'p' }],                    { prompts: [{ name: 'one__p' }] }],
  ['resources', [{ uri: 'file:///a', name: 'n' }],  { resources: [{ uri: 'file:///a', name: 'n' }] }],
  ['templates', [{ uriTemplate: 'a://{b}' }],       { resourceTemplates: [{ uriTemplate: 'a://{b}' }] }],
] as const)('%s', async (kind, items, expected) => {
  const { offer, list } = setUp()
  offer('one', kind, items)
  expect(parsed(await list(query({ kind })))).toEqual(expected)
})

test('a web address that two servers list is listed once, as the first one has it', async () => {
  const { offer, list } = setUp()
  offer('one', 'resources', [{ uri: 'https://a/x', name: 'first' }])
  offer('two', 'resources', [
    { uri: 'https://a/x', name: 'second' },
    { uri: 'a://y', name: 'y' },
  ])
  expect(parsed(await list(query({ kind: 'resources' })))['resources']).toEqual([
    { uri: 'https://a/x', name: 'first' },
    { uri: 'a://y', name: 'y' },
  ])
})

test('another URI that two servers list is each server’s own, in every list; on the endpoint of one it is what it was', async () => {
  const { offer, list } = setUp()
  const page = (uri: string) => ({ _meta: { ui: { resourceUri: uri }, 'ui/resourceUri': uri } })
  for (const name of ['one', 'two']) {
    offer(name, 'resources', [{ uri: 'ui://x', name }])
    offer(name, 'templates', [{ uriTemplate: 'a://{x}', name }])
    offer(name, 'tools', [tool('t', page('ui://x'))])
  }
  const together = project([ONE, TWO])
  const of = async (kind: keyof typeof METHODS, server?: ServerView) =>
    Object.values(parsed(await list(query({ project: together, kind, server }))))[0]
  expect(await of('tools')).toEqual([
    tool('one__t', page('ui://one.castellan/x')),
    tool('two__t', page('ui://two.castellan/x')),
  ])
  expect(await of('resources')).toEqual([
    { uri: 'ui://one.castellan/x', name: 'one' },
    { uri: 'ui://two.castellan/x', name: 'two' },
  ])
  expect(await of('templates')).toEqual([
    { uriTemplate: 'a://one.castellan/{x}', name: 'one' },
    { uriTemplate: 'a://two.castellan/{x}', name: 'two' },
  ])
  expect(await of('tools', TWO)).toEqual([tool('t', page('ui://x'))])
  expect(await of('resources', TWO)).toEqual([{ uri: 'ui://x', name: 'two' }])
})

test('a server that is away costs its own tools and nobody else’s', async () => {
  const { servers, offer, list } = setUp()
  servers.script('one').down = { kind: 'unreachable', message: 'away' }
  offer('two', 'tools', [tool('a')])
  expect(parsed(await list(query()))).toEqual({ tools: [tool('two__a')] })
})

test('a long list comes in pages of a thousand, each cursor good for this rendering only', async () => {
  const { servers, offer, list } = setUp()
  offer(
    'one',
    'tools',
    Array.from({ length: 2500 }, (_, i) => tool(`t${i}`)),
  )
  const rendered = await list(query())
  expect(rendered.pages.map((_, i) => (parsed(rendered, i)['tools'] as object[]).length)).toEqual([
    1000, 1000, 500,
  ])
  const cursors = rendered.pages.map((_, i) => parsed(rendered, i).nextCursor)
  expect(cursors.map((cursor) => (cursor === undefined ? undefined : decodeCursor(cursor)))).toEqual([
    { page: 1, stamp: rendered.stamp },
    { page: 2, stamp: rendered.stamp },
    undefined,
  ])
  offer('one', 'tools', [tool('other')])
  servers.connections('one')[0]?.events.changed('tools')
  await new Promise(setImmediate)
  expect((await list(query({ project: project([ONE, TWO]) }))).stamp).not.toBe(rendered.stamp)
})

test('a warm list is the same buffer; one whose servers have not changed is not rendered anew', async () => {
  const { time, offer, list } = setUp()
  offer('one', 'tools', [tool('a')])
  const asked = query()
  const first = await list(asked)
  expect(await list(asked)).toBe(first)
  time.nowMs = 6000
  expect(await list(asked)).toBe(first)
})

test('callers share a list unless a server keeps copies for each', async () => {
  const { offer, list } = setUp()
  offer('one', 'tools', [tool('a')])
  const shared = query()
  const other = { principal: 'token:b', session: 't' }
  expect(await list({ ...shared, scope: other })).toBe(await list(shared))
  const own = query({ project: project([scriptedView('one', { instances: 'per-principal' })]) })
  expect(await list({ ...own, scope: other })).not.toBe(await list(own))
})

test('no servers, no tools', async () => {
  const { list } = setUp()
  expect(parsed(await list(query({ project: project([]) })))).toEqual({ tools: [] })
})

// oxfmt-ignore
test.each([
  ['nothing',              ''],
  ['no base64',            '***'],
  ['a negative page',      Buffer.from('-1:boot.1').toString('base64url')],
  ['a page without stamp', Buffer.from('1').toString('base64url')],
  ['a huge page',          Buffer.from('9999999:boot.1').toString('base64url')],
  ['something after it',   Buffer.from('1:boot.1\n').toString('base64url')],
])('a cursor that is %s is none of ours', (_, text) => {
  expect(decodeCursor(text)).toBeUndefined()
})

test('a cursor survives the way there and back', () => {
  const cursor = { page: 12, stamp: 'Ab-_12.z' }
  expect(decodeCursor(encodeCursor(cursor))).toEqual(cursor)
})
