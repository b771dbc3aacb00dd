import { expect, test } from 'vitest'
import { createScriptedServers, scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { createPool } from '../forward/pool.ts'
import { createCatalog } from './catalog.ts'
import { createLinksSeen } from './links-seen.ts'
import { fits, locateResource } from './resource-table.ts'

// oxfmt-ignore
test.each([
  ['a://b',            'a://b',          true],
  ['a://b',            'a://c',          false],
  ['a://{x}',          'a://anything/at/all', true],
  ['a://{x}',          'b://x',          false],
  ['a://{x}/end',      'a://1/end',      true],
  ['a://{x}/end',      'a://1/other',    false],
  ['a://{x}/m/{y}',    'a://1/m/2',      true],
  ['a://{x}/m/{y}',    'a://1/2',        false],
  ['a://{x}/m/{y}/z',  'a://m/z',        false],
  ['a{x}a',            'a',              false],
  ['{+path}',          'whatever',       true],
  ['a://{x}{?q}',      'a://1?q=2',      true],
])('%s and %s: %s', (template, uri, expected) => {
  expect(fits(template, uri)).toBe(expected)
})

test('who lists it comes first, then whose template fits, then who has resources at all; the project breaks ties', async () => {
  const servers = createScriptedServers()
  const events = { changed() {}, notified() {}, asked() {}, withdrawn() {}, reopened() {}, lost() {} }
  const pool = createPool({
    dial: servers.dial,
    nowMs: () => 0,
    tickMs: () => 0,
    isCurrent: () => true,
    events,
  })
  const catalog = createCatalog({
    pool,
    us: { name: 'c', version: '0' },
    tickMs: () => 0,
    onChange() {},
    onDropped() {},
  })
  const offer = (name: string, resources: string[], templates: string[]) => {
    servers.script(name).lists = {
      'resources/list': [resources.map((uri) => ({ uri }))],
      'resources/templates/list': [templates.map((uriTemplate) => ({ uriTemplate }))],
    }
    return scriptedView(name, { instances: 'shared' })
  }
  const views = [
    offer('none', [], []),
    offer('other', ['b://1'], []),
    offer('fits', [], ['a://{x}']),
    offer('lists', ['a://1'], []),
    offer('lists-too', ['a://1'], []),
  ]
  servers.script('away').down = { kind: 'unreachable', message: 'away' }
  views.push(scriptedView('away', { instances: 'shared' }))
  const scope = { principal: 'token:a', session: undefined }
  const links = createLinksSeen()
  const locate = async (uri: string, among = views, toldApart = among.length > 1) => {
    const located = await locateResource({ catalog, links, toldApart }, among, scope, uri)
    return [located.uri, ...located.servers.map(({ name }) => name)]
  }
  expect(await locate('a://1')).toEqual(['a://1', 'lists', 'lists-too', 'fits', 'other'])
  expect(await locate('a://{x}')).toEqual(['a://{x}', 'fits', 'other', 'lists', 'lists-too'])
  expect(await locate('c://1')).toEqual(['c://1', 'other', 'fits', 'lists', 'lists-too'])
  links.saw('lists-too', 'c://1')
  links.saw('none', 'c://1')
  expect(await locate('c://1')).toEqual(['c://1', 'none', 'lists-too', 'other', 'fits', 'lists'])
  // What names its server goes there and nowhere else, unless somebody has just that URI.
  expect(await locate('a://lists-too.castellan/1')).toEqual(['a://1', 'lists-too'])
  expect(await locate('a://nobody.castellan/1')).toEqual([
    'a://nobody.castellan/1',
    'fits',
    'other',
    'lists',
    'lists-too',
  ])
  expect(await locate('a://lists-too.castellan/1', views.slice(0, 1))).toEqual([
    'a://lists-too.castellan/1',
    'none',
  ])
  await pool.close()
})
