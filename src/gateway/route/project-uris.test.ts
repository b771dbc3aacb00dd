import { describe, expect, test } from 'vitest'
import { createScriptedServers, scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { Project } from '../../kinds/project.ts'
import { createPool } from '../forward/pool.ts'
import type { ServerView } from '../snapshot.ts'
import { createCatalog, type Catalog } from './catalog.ts'
import { createProjectCompiler } from './compiled-project.ts'
import { createUriTable, type ProjectUris } from './project-uris.ts'

interface Has {
  readonly uris?: readonly string[]
  readonly templates?: readonly string[]
  /** The page of its one tool. */
  readonly page?: string
}

const SCOPE = { principal: 'token:a', session: 's' }

function setUp(servers: Readonly<Record<string, Has>>) {
  const scripted = createScriptedServers()
  const pool = createPool({
    isCurrent: () => true,
    dial: scripted.dial,
    nowMs: () => 0,
    tickMs: () => 0,
    events: {
      changed: (server, _, what) =>
        catalog.changed(server, what === 'resources' ? ['resources', 'templates'] : [what]),
      notified() {},
      asked() {},
      withdrawn() {},
      reopened() {},
      lost() {},
    },
  })
  const us = { name: 'castellan', version: '0' }
  const catalog: Catalog = createCatalog({ pool, us, tickMs: () => 0, onChange() {}, onDropped() {} })
  const offer = (name: string, { uris = [], templates = [], page }: Has): void => {
    scripted.script(name).lists = {
      'resources/list': [uris.map((uri) => ({ uri, name: uri }))],
      'resources/templates/list': [templates.map((uriTemplate) => ({ uriTemplate, name: uriTemplate }))],
      'tools/list': [page === undefined ? [] : [{ name: 't', _meta: { ui: { resourceUri: page } } }]],
    }
  }
  for (const [name, has] of Object.entries(servers)) offer(name, has)
  const views: ServerView[] = Object.keys(servers).map((name) => scriptedView(name, { instances: 'shared' }))
  const spec = Project.spec.parse({ servers: Object.keys(servers) })
  const project = createProjectCompiler()({ uid: 'prj_p', name: 'p', spec, servers: views })
  const table = createUriTable({ catalog })
  return {
    offer,
    views,
    catalog,
    known: () => table.known(project, SCOPE),
    load: () => table.load(project, SCOPE),
  }
}

const called = (uris: ProjectUris | undefined, server: string, uri: string): string =>
  uris?.of(server)?.expose(uri) ?? uri

describe('what collides is called after its server, the rest as it is', () => {
  // oxfmt-ignore
  test.each<[string, Record<string, Has>, string, string]>([
    ['the same URI',                  { one: { uris: ['ui://x'] }, two: { uris: ['ui://x'] } },              'one ui://x', 'ui://one.castellan/x'],
    ['in the order of the project',   { one: { uris: ['ui://x'] }, two: { uris: ['ui://x'] } },              'two ui://x', 'ui://two.castellan/x'],
    ['another URI beside it',         { one: { uris: ['ui://x', 'ui://y'] }, two: { uris: ['ui://x'] } },    'one ui://y', 'ui://y'],
    ['a third server',                { one: { uris: ['ui://x'] }, two: { uris: ['ui://x'] }, three: { uris: ['ui://z'] } }, 'three ui://z', 'ui://z'],
    ['what clients fetch themselves', { one: { uris: ['https://a/x'] }, two: { uris: ['https://a/x'] } },    'one https://a/x', 'https://a/x'],
    ['pages of tools',                { one: { page: 'ui://x' }, two: { page: 'ui://x' } },                  'two ui://x', 'ui://two.castellan/x'],
    ['a page and a listed URI',       { one: { page: 'ui://x' }, two: { uris: ['ui://x'] } },                'one ui://x', 'ui://one.castellan/x'],
    ['a template that fits another\'s', { one: { uris: ['a://x/1'] }, two: { templates: ['a://x/{id}'] } },  'two a://x/7', 'a://two.castellan/x/7'],
    ['the URI that it fits',          { one: { uris: ['a://x/1'] }, two: { templates: ['a://x/{id}'] } },    'one a://x/1', 'a://x/1'],
    ['equal templates',               { one: { templates: ['a://{a}'] }, two: { templates: ['a://{b}'] } },  'one a://3', 'a://one.castellan/3'],
    ['templates of web addresses',    { one: { uris: ['https://a/1'] }, two: { templates: ['https://a/{b}'] } }, 'two https://a/2', 'https://a/2'],
    ['a template and its own URIs',   { one: { uris: ['a://1'], templates: ['a://{b}'] }, two: { uris: ['b://1'] } }, 'one a://2', 'a://2'],
  ])('%s', async (_, servers, whose, expected) => {
    const [server = '', uri = ''] = whose.split(' ')
    expect(called(await setUp(servers).load(), server, uri)).toBe(expected)
  })
})

test('templates change in front only, and only those that collide', async () => {
  const { load } = setUp({
    one: { templates: ['a://{x}', 'b://{x}'] },
    two: { templates: ['a://{y}', 'a://{y}/more'] },
  })
  const uris = await load()
  const templates = (server: string, ...all: string[]) =>
    all.map((one) => uris?.of(server)?.exposeTemplate(one))
  expect(templates('one', 'a://{x}', 'b://{x}')).toEqual(['a://one.castellan/{x}', 'b://{x}'])
  expect(templates('two', 'a://{y}', 'a://{y}/more')).toEqual(['a://two.castellan/{y}', 'a://{y}/more'])
})

test('nothing is looked up where at most one server has resources, or there is one server only', async () => {
  expect(await setUp({ one: { uris: ['ui://x'] }, two: {} }).load()).toBeUndefined()
  expect(await setUp({ one: { uris: ['ui://x'] } }).load()).toBeUndefined()
})

test('what is known follows the lists, and is one object for as long as nothing collides anew', async () => {
  const { offer, views, catalog, known, load } = setUp({
    one: { uris: ['ui://x'] },
    two: { uris: ['ui://x'] },
  })
  expect(known()).toBeUndefined()
  const first = await load()
  expect(known()).toBe(first)
  offer('one', { uris: ['ui://x', 'ui://y'] })
  await catalog.reload(views[0] as ServerView, SCOPE, 'resources', true)
  expect(known()).toBe(first)
  offer('one', { uris: ['ui://y'] })
  await catalog.reload(views[0] as ServerView, SCOPE, 'resources', true)
  expect(known()).not.toBe(first)
  expect(called(known(), 'two', 'ui://x')).toBe('ui://x')
})
