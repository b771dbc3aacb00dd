import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createScriptedServers, scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { createPool, type Scope } from '../forward/pool.ts'
import { createCatalog, type Catalog, type ServerList } from './catalog.ts'

const NOBODY: Scope = { principal: 'token:a', session: undefined }
const AWAY = { kind: 'unreachable', message: 'nothing listens at its address' } as const

function setUp() {
  const servers = createScriptedServers()
  const time = { nowMs: 0 }
  const announced: string[] = []
  const tickMs = (): number => time.nowMs
  const catalog: Catalog = createCatalog({
    pool: createPool({
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
    }),
    us: { name: 'castellan', version: '0' },
    tickMs,
    onChange: (server, kind) => announced.push(`${server.name} ${kind}`),
    onDropped: (server, tools) => announced.push(`${server.name} drops ${JSON.stringify(tools)}`),
  })
  const offer = (...names: string[]): void => {
    servers.script('srv').lists['tools/list'] = [
      names.map((name) => ({ name, inputSchema: { type: 'object' } })),
    ]
  }
  const asked = (): number => servers.count('srv', 'tools/list')
  return { servers, catalog, time, announced, offer, asked }
}

const keys = (list: ServerList | undefined): string[] | undefined => list?.items.map(({ key }) => key)
/** Until everything that needs no timer has happened. */
const settled = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const SRV = scriptedView('srv', { instances: 'shared' })

test('the first caller waits, callers beside it wait for the same answer, later ones do not wait', async () => {
  const { catalog, offer, asked } = setUp()
  offer('echo')
  expect(catalog.peek(SRV, NOBODY, 'tools')).toBeUndefined()
  const [one, two] = await Promise.all([
    catalog.load(SRV, NOBODY, 'tools'),
    catalog.load(SRV, NOBODY, 'tools'),
  ])
  expect(keys(one)).toEqual(['echo'])
  expect(two).toBe(one)
  expect(catalog.peek(SRV, NOBODY, 'tools')).toBe(one)
  expect(asked()).toBe(1)
})

test('a server that never answers delays the first call by ten seconds and no other; its list comes when it comes', async () => {
  const { servers, catalog, offer } = setUp()
  offer('echo')
  const gate = Promise.withResolvers<void>()
  servers.script('srv').gate = gate.promise
  const first = catalog.load(SRV, NOBODY, 'tools')
  await vi.advanceTimersByTimeAsync(10_000)
  expect(await first).toMatchObject({ items: [], failure: { kind: 'timeout' } })
  expect(await catalog.load(SRV, NOBODY, 'tools')).toMatchObject({ items: [], failure: { kind: 'timeout' } })
  gate.resolve()
  await settled()
  expect(keys(catalog.peek(SRV, NOBODY, 'tools'))).toEqual(['echo'])
})

test('a list is asked for again when it is due, in the background; who asks meanwhile gets the old one', async () => {
  const { catalog, time, offer, asked, announced } = setUp()
  offer('old')
  await catalog.load(SRV, NOBODY, 'tools')
  offer('new')
  time.nowMs = 59_999
  catalog.peek(SRV, NOBODY, 'tools')
  expect(asked()).toBe(1)
  time.nowMs = 60_000
  expect(keys(catalog.peek(SRV, NOBODY, 'tools'))).toEqual(['old'])
  await settled()
  expect(keys(catalog.peek(SRV, NOBODY, 'tools'))).toEqual(['new'])
  expect(announced).toEqual(['srv tools'])
})

test('a server that announces changes is left alone for half an hour', async () => {
  const { servers, catalog, time, offer, asked } = setUp()
  servers.script('srv').capabilities = { tools: { listChanged: true } }
  offer('echo')
  await catalog.load(SRV, NOBODY, 'tools')
  time.nowMs = 30 * 60_000 - 1
  catalog.peek(SRV, NOBODY, 'tools')
  await settled()
  expect(asked()).toBe(1)
  time.nowMs += 1
  catalog.peek(SRV, NOBODY, 'tools')
  await settled()
  expect(asked()).toBe(2)
})

test('what was known is kept when the server fails, with the failure beside it, and its return is no change', async () => {
  const { servers, catalog, time, offer, announced } = setUp()
  offer('echo')
  const before = await catalog.load(SRV, NOBODY, 'tools')
  const version = catalog.version
  servers.connections('srv')[0]?.lose()
  servers.script('srv').down = AWAY
  time.nowMs = 60_000
  catalog.peek(SRV, NOBODY, 'tools')
  await settled()
  const stale = catalog.peek(SRV, NOBODY, 'tools')
  expect([keys(stale), stale?.failure]).toEqual([['echo'], AWAY])
  servers.script('srv').down = undefined
  time.nowMs = 120_000
  catalog.peek(SRV, NOBODY, 'tools')
  await settled()
  const back = catalog.peek(SRV, NOBODY, 'tools')
  expect(back?.failure).toBeUndefined()
  expect(back?.items).toBe(before.items)
  expect([announced, catalog.version]).toEqual([[], version])
})

test('a failure is believed for fifteen seconds', async () => {
  const { servers, catalog, time, offer } = setUp()
  offer('echo')
  servers.script('srv').down = AWAY
  expect(await catalog.load(SRV, NOBODY, 'tools')).toMatchObject({ items: [], failure: AWAY })
  servers.script('srv').down = undefined
  time.nowMs = 14_999
  catalog.peek(SRV, NOBODY, 'tools')
  await settled()
  expect(keys(catalog.peek(SRV, NOBODY, 'tools'))).toEqual([])
  time.nowMs = 15_000
  catalog.peek(SRV, NOBODY, 'tools')
  await settled()
  expect(keys(catalog.peek(SRV, NOBODY, 'tools'))).toEqual(['echo'])
})

test('list_changed has the list fetched at once and is announced, once the list is there', async () => {
  const { servers, catalog, offer, announced } = setUp()
  offer('old')
  await catalog.load(SRV, NOBODY, 'tools')
  offer('new')
  servers.connections('srv')[0]?.events.changed('tools')
  await settled()
  expect([announced, keys(catalog.peek(SRV, NOBODY, 'tools'))]).toEqual([['srv tools'], ['new']])
})

test('what a server says is announced also when nothing of what we see has changed, or nobody has asked yet', async () => {
  const { servers, catalog, offer, announced } = setUp()
  offer('same')
  await catalog.load(SRV, NOBODY, 'tools')
  servers.connections('srv')[0]?.events.changed('tools')
  await settled()
  expect(announced).toEqual(['srv tools'])
  servers.connections('srv')[0]?.events.changed('prompts')
  expect(announced).toEqual(['srv tools', 'srv prompts'])
})

test('list_changed that comes while the list is fetched is not forgotten for half an hour', async () => {
  const { servers, catalog, time, offer } = setUp()
  servers.script('srv').capabilities = { tools: { listChanged: true } }
  offer('old')
  await catalog.load(SRV, NOBODY, 'tools')
  const gate = Promise.withResolvers<void>()
  servers.script('srv').gate = gate.promise
  servers.connections('srv')[0]?.events.changed('tools')
  await settled()
  offer('new')
  servers.connections('srv')[0]?.events.changed('tools')
  gate.resolve()
  await settled()
  expect(keys(catalog.peek(SRV, NOBODY, 'tools'))).toEqual(['old'])
  time.nowMs += 5000
  catalog.peek(SRV, NOBODY, 'tools')
  await settled()
  expect(keys(catalog.peek(SRV, NOBODY, 'tools'))).toEqual(['new'])
})

test('a name that is not in the list has it fetched anew, but not more often than every five seconds', async () => {
  const { catalog, time, offer, asked } = setUp()
  offer('a')
  await catalog.load(SRV, NOBODY, 'tools')
  offer('a', 'b')
  expect(keys(await catalog.reload(SRV, NOBODY, 'tools'))).toEqual(['a'])
  time.nowMs = 5000
  expect(keys(await catalog.reload(SRV, NOBODY, 'tools'))).toEqual(['a', 'b'])
  await catalog.reload(SRV, NOBODY, 'tools')
  expect(asked()).toBe(2)
})

test('pages are put together; what has no usable name, and what comes twice, is left out', async () => {
  const { servers, catalog } = setUp()
  servers.script('srv').lists['tools/list'] = [
    [{ name: 'a', n: 1 }, { name: 7 }, {}],
    [],
    [{ name: 'b' }, { name: 'a', n: 2 }, { name: '' }],
  ]
  const list = await catalog.load(SRV, NOBODY, 'tools')
  expect(list.items.map(({ text }) => JSON.parse(text.toString()) as unknown)).toEqual([
    { name: 'a', n: 1 },
    { name: 'b' },
  ])
})

test('a server without the capability is not asked', async () => {
  const { servers, catalog, asked } = setUp()
  servers.script('srv').capabilities = { prompts: {} }
  expect(keys(await catalog.load(SRV, NOBODY, 'tools'))).toEqual([])
  expect(asked()).toBe(0)
})

test('names that clients would fold into one all get a digest, in whatever order they come', async () => {
  const names = async (...order: string[]): Promise<string[]> => {
    const { catalog, offer } = setUp()
    offer(...order)
    return [...(await catalog.load(SRV, NOBODY, 'tools')).exposed.keys()].toSorted()
  }
  const first = await names('a-b', 'a_b', 'a.b', 'c')
  expect(first).toEqual([
    expect.stringMatching(/^srv__a-b_[0-9a-f]{8}$/),
    expect.stringMatching(/^srv__a\.b_[0-9a-f]{8}$/),
    expect.stringMatching(/^srv__a_b_[0-9a-f]{8}$/),
    'srv__c',
  ])
  expect(await names('c', 'a.b', 'a_b', 'a-b')).toEqual(first)
})

test('what the Server does not offer is in no list', async () => {
  const { catalog, offer } = setUp()
  const server = scriptedView('srv', { instances: 'shared', tools: { deny: ['rm*'] } })
  offer('ls', 'rm', 'rmdir')
  expect(keys(await catalog.load(server, NOBODY, 'tools'))).toEqual(['ls'])
})

test('copies that are not shared have lists of their own', async () => {
  const { servers, catalog, offer } = setUp()
  const server = scriptedView('srv', { instances: 'per-principal' })
  offer('for-a')
  await catalog.load(server, { principal: 'token:a', session: 's1' }, 'tools')
  offer('for-b')
  await catalog.load(server, { principal: 'token:b', session: 's2' }, 'tools')
  const seen = (principal: string) => keys(catalog.seen(server, { principal, session: 'other' }, 'tools'))
  expect([seen('token:a'), seen('token:b'), seen('token:c')]).toEqual([['for-a'], ['for-b'], undefined])
  expect(servers.connections('srv').map(({ sharer }) => sharer)).toEqual(['token:a', 'token:b'])
})

test('a server that was changed or removed is forgotten, and caches notice', async () => {
  const { catalog, offer } = setUp()
  offer('echo')
  await catalog.load(SRV, NOBODY, 'tools')
  const version = catalog.version
  catalog.reconcile(() => SRV)
  expect(catalog.version).toBe(version)
  catalog.reconcile(() => undefined)
  expect(catalog.version).toBeGreaterThan(version)
  expect(catalog.seen(SRV, NOBODY, 'tools')).toBeUndefined()
})

test('a modern HTTP server loses the tools whose header annotations break a rule, and keeps the others', async () => {
  const { servers, catalog, announced } = setUp()
  const annotated = (type: string): object => ({
    type: 'object',
    properties: { city: { type, 'x-mcp-header': 'City' } },
  })
  const good = { name: 'good', inputSchema: annotated('string') }
  servers.script('srv').lists['tools/list'] = [[{ name: 'bad', inputSchema: annotated('number') }, good]]
  servers.script('srv').era = 'modern'
  const list = await catalog.load(scriptedView('srv'), NOBODY, 'tools')
  expect(keys(list)).toEqual(['good'])
  expect(list.items[0]?.params).toEqual([{ header: 'mcp-param-city', path: ['city'] }])
  expect(announced).toEqual([
    'srv drops [{"name":"bad","reason":"x-mcp-header is for strings, integers and booleans"}]',
  ])
  // Others make no headers of arguments, so there is nothing to get wrong.
  const overPipe = await catalog.load({ ...SRV, uid: 'srv_pipe' }, NOBODY, 'tools')
  expect(keys(overPipe)).toEqual(['bad', 'good'])
})

test('a list is kept as long as its server says, within bounds', async () => {
  const { servers, catalog, time, asked } = setUp()
  const script = servers.script('srv')
  script.era = 'modern'
  const checked = async (ttlMs: number, untilMs: number): Promise<void> => {
    script.hints = { ttlMs, cacheScope: 'public' }
    const server = { ...scriptedView('srv'), uid: `srv_${ttlMs}` }
    time.nowMs = 0
    const list = await catalog.load(server, NOBODY, 'tools')
    expect(list.hints).toEqual({ ttlMs: Math.max(0, ttlMs), isPublic: true })
    const before = asked()
    time.nowMs = untilMs - 1
    catalog.peek(server, NOBODY, 'tools')
    expect(asked()).toBe(before)
    time.nowMs = untilMs
    catalog.peek(server, NOBODY, 'tools')
    await settled()
    expect(asked()).toBe(before + 1)
  }
  await checked(20_000, 20_000)
  await checked(0, 5000)
  await checked(-1, 5000)
  await checked(24 * 3600_000, 30 * 60_000)
})

test('a list that changes while it is read is read again, once', async () => {
  const { servers, catalog } = setUp()
  const script = servers.script('srv')
  script.lists['tools/list'] = [[{ name: 'a' }], [{ name: 'b' }]]
  script.badCursors = 1
  expect(keys(await catalog.load(SRV, NOBODY, 'tools'))).toEqual(['a', 'b'])
  script.badCursors = 2
  const again = await catalog.load({ ...SRV, uid: 'srv_other' }, NOBODY, 'tools')
  expect(again.failure).toMatchObject({ kind: 'invalid' })
})
