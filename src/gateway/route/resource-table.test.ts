import { expect, test } from 'vitest'
import { createScriptedServers, scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { createPool } from '../forward/pool.ts'
import { createCatalog } from './catalog.ts'
import { fits, serversWithResource } from './resource-table.ts'

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
  const pool = createPool({ dial: servers.dial, tickMs: () => 0, isCurrent: () => true, events })
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
  const found = await serversWithResource(catalog, views, scope, 'a://1')
  expect(found.map(({ name }) => name)).toEqual(['lists', 'lists-too', 'fits', 'other'])
  expect(await serversWithResource(catalog, views.slice(0, 1), scope, 'a://1')).toHaveLength(1)
  await pool.close()
})
