import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { scriptedView } from '../../../../test/fixtures/scripted-servers.ts'
import { compileAccess, FULL_ACCESS, type ProjectAccess } from '../../../access/project-access.ts'
import { Project } from '../../../kinds/project.ts'
import type { ProjectView, ServerView, SnapshotSource } from '../../snapshot.ts'
import { createBus, type Listener } from './bus.ts'
import { ALL_LISTS, LIST_BIT, listChange } from './change.ts'

const ONE = scriptedView('one')
const TWO = scriptedView('two')

/** Who may not use all of a project, by principal. */
const ACCESS: Readonly<Record<string, ProjectAccess | undefined>> = {
  'token:of-one': compileAccess([{ servers: ['one'], tools: [] }]),
  'token:of-a-tool': compileAccess([{ servers: [], tools: ['one__get'] }]),
}

const projectOf = (name: string, servers: readonly ServerView[]): ProjectView => ({
  uid: `prj_${name}`,
  name,
  spec: Project.spec.parse({ servers: servers.map((server) => server.name) }),
  servers,
})

function setUp() {
  const projects = new Map([
    ['both', projectOf('both', [ONE, TWO])],
    ['first', projectOf('first', [ONE])],
  ])
  const snapshot: SnapshotSource = {
    current: () => ({
      revision: 1,
      project: (name) => projects.get(name),
      projects: () => projects.values(),
      server: () => undefined,
    }),
    viewer: () => '',
    secretValue: () => undefined,
  }
  const heard: string[] = []
  const bus = createBus(snapshot, ({ principal }) => ACCESS[principal] ?? FULL_ACCESS)
  function listener(name: string, about: Partial<Listener> = {}): Listener {
    const made: Listener = {
      principal: 'token:a',
      session: undefined,
      project: 'both',
      server: undefined,
      listsChanged: (lists) => heard.push(`${name} ${lists}`),
      updated: (uri) => heard.push(`${name} ${uri}`),
      ...about,
    }
    bus.join(made)
    return made
  }
  return { bus, heard, listener, projects }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const moment = (): Promise<unknown> => vi.advanceTimersByTimeAsync(50)

describe('who hears of a list', () => {
  // oxfmt-ignore
  test.each([
    ['everybody whose endpoint has the server', ONE, '',            ['all', 'first', 'only one', 'b', 's1']],
    ['and nobody else',                         TWO, '',            ['all', 'b', 's1']],
    ['a principal',                             ONE, 'token:b',     ['b']],
    ['a session',                               ONE, 'session:s1',  ['s1']],
    ['nobody',                                  ONE, 'session:s2',  []],
  ])('%s', async (_, server, sharer, expected) => {
    const { bus, heard, listener } = setUp()
    listener('all')
    listener('first', { project: 'first' })
    listener('only one', { server: 'one' })
    listener('b', { principal: 'token:b' })
    listener('s1', { session: 's1' })
    bus.listsChanged(server, LIST_BIT.tools, sharer)
    await moment()
    expect(heard.map((line) => line.replace(/ \d+$/, '')).toSorted()).toEqual(expected.toSorted())
  })
})

test('several changes within a moment are one, and each kind of it is told', async () => {
  const { bus, heard, listener } = setUp()
  listener('x')
  bus.listsChanged(ONE, LIST_BIT.tools, '')
  bus.listsChanged(TWO, LIST_BIT.tools, '')
  bus.listsChanged(TWO, LIST_BIT.prompts, '')
  expect(heard).toEqual([])
  await moment()
  expect(heard).toEqual([`x ${LIST_BIT.tools | LIST_BIT.prompts}`])
})

test('a change of a resource is told to those who hear of it then, once', async () => {
  const { bus, heard, listener } = setUp()
  const [stays, goes, comes] = [listener('stays'), listener('goes'), listener('comes')]
  const subscribers = new Set([stays, goes])
  bus.updated('a:1', { listeners: subscribers, server: 'one' }, listChange('resources'))
  bus.updated('a:1', { listeners: subscribers, server: 'one' }, listChange('resources'))
  subscribers.delete(goes)
  subscribers.add(comes)
  await moment()
  expect(heard).toEqual(['stays a:1', 'comes a:1'])
})

test('who has left hears nothing, not even of what was on its way, and leaves nothing behind', async () => {
  const { bus, heard, listener } = setUp()
  const gone = listener('gone')
  bus.listsChanged(ONE, ALL_LISTS, '')
  bus.leave(gone)
  bus.leave(gone)
  await moment()
  expect([heard, bus.isHeard(ONE)]).toEqual([[], false])
})

test('of a server that the caller may not use nothing is told; of some of its tools, that the tools changed', async () => {
  const { bus, heard, listener } = setUp()
  const listeners = new Set(
    ['of-one', 'of-a-tool'].map((name) => listener(name, { principal: `token:${name}` })),
  )
  for (const server of [ONE, TWO]) {
    bus.listsChanged(server, ALL_LISTS, '')
    bus.serverChanged(server.name)
    bus.updated(
      `${server.name}:1`,
      { listeners: new Set(listeners), server: server.name },
      listChange('resources'),
    )
    await moment()
  }
  expect(heard).toEqual([`of-one ${ALL_LISTS}`, `of-a-tool ${LIST_BIT.tools}`, 'of-one one:1'])
})

test('a project that changes is told to all who listen on it, a server to the projects that name it', async () => {
  const { bus, heard, listener, projects } = setUp()
  listener('all')
  listener('first', { project: 'first' })
  bus.projectChanged('first')
  await moment()
  // A server that does not exist is named all the same.
  projects.set('both', { ...projectOf('both', [ONE, TWO]), servers: [ONE] })
  bus.serverChanged('two')
  await moment()
  expect(heard).toEqual([`first ${ALL_LISTS}`, `all ${ALL_LISTS}`])
  expect([bus.isHeard(ONE), bus.isHeard(TWO)]).toEqual([true, false])
})
