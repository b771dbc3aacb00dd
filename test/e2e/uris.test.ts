import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAppFactory, PAGE } from '../fixtures/app-server.ts'
import { startReferenceServer, type ReferenceServer } from '../fixtures/reference-server.ts'
import {
  at,
  httpServer,
  modernCaller,
  openLegacy,
  project,
  resumeLegacy,
  startGate,
  until,
  type Answer,
  type Caller,
  type Gate,
  type Json,
} from './gateway-harness.ts'

/**
 * Two servers with the same URIs, one of each era, built with the official SDK. On the endpoint of their project each is
 * called after its server, wherever it stands; on the endpoint of one server nothing is called otherwise.
 */

const NAMES = ['old', 'new'] as const
let gate: Gate
const servers: ReferenceServer[] = []
const clients: Record<string, Caller> = {}

beforeAll(async () => {
  for (const name of NAMES)
    servers.push(
      await startReferenceServer({
        legacy: name === 'old',
        modern: name === 'new',
        create: createAppFactory(name),
      }),
    )
  gate = await startGate([
    ...NAMES.map((name, i) => httpServer(name, servers[i]?.url ?? '')),
    project('p', NAMES),
  ])
  const access = await gate.access('p')
  clients['legacy'] = await openLegacy(access)
  clients['modern'] = modernCaller(access)
})
afterAll(async () => {
  await gate?.end()
  await Promise.all(servers.map((server) => server.close()))
})

const urisIn = ({ reply }: Answer, list: 'resources' | 'resourceTemplates'): unknown =>
  (at(reply, `result.${list}`) as Json[]).map((one) => one['uri'] ?? one['uriTemplate'])

const pageOf = (name: string): string => `ui://${name}.castellan/app/main.html`

describe.each(['legacy', 'modern'])('a %s client', (era) => {
  const ask: Caller['ask'] = (...about) => (clients[era] as Caller).ask(...about)

  test('is shown each by a URI of its own, and what does not collide as it is', async () => {
    expect(urisIn(await ask('resources/list'), 'resources')).toEqual([
      pageOf('old'),
      'own://old',
      pageOf('new'),
      'own://new',
    ])
    expect(urisIn(await ask('resources/templates/list'), 'resourceTemplates')).toEqual([
      'note://old.castellan/{id}',
      'note://new.castellan/{id}',
    ])
  })

  test.each(NAMES)('reads the page of a tool of %s by the URI that the tool names', async (name) => {
    const { reply } = await ask('tools/list')
    const tool = (at(reply, 'result.tools') as Json[]).find((one) => one['name'] === `${name}__show`)
    expect(at(tool, '_meta.ui')).toEqual({ resourceUri: pageOf(name), visibility: ['model'] })
    expect(at(tool, '_meta')).toHaveProperty(['ui/resourceUri'], pageOf(name))
    const read = await ask('resources/read', { uri: pageOf(name) })
    expect(at(read.reply, 'result.contents.0')).toMatchObject({ uri: pageOf(name), text: `${name} ${PAGE}` })
  })

  test.each(NAMES)('follows what a tool and a prompt of %s name', async (name) => {
    const { reply } = await ask('tools/call', { name: `${name}__show`, arguments: {} })
    const parts = at(reply, 'result.content') as Json[]
    expect(parts.map((part) => part['uri'] ?? at(part, 'resource.uri') ?? part['text'])).toEqual([
      pageOf(name),
      `own://${name}`,
      `note://${name}.castellan/7`,
      pageOf(name),
      PAGE,
    ])
    const prompt = await ask('prompts/get', { name: `${name}__look` })
    expect(at(prompt.reply, 'result.messages.0.content.resource.uri')).toBe(pageOf(name))
    for (const uri of [`own://${name}`, `note://${name}.castellan/7`]) {
      const read = await ask('resources/read', { uri })
      expect(at(read.reply, 'result.contents.0.uri')).toBe(uri)
      expect(at(read.reply, 'result.contents.0.text')).toMatch(new RegExp(`^${name} `))
    }
  })

  test.each(NAMES)('completes a template of %s', async (name) => {
    const ref = { type: 'ref/resource', uri: `note://${name}.castellan/{id}` }
    const { reply } = await ask('completion/complete', { ref, argument: { name: 'id', value: 'a' } })
    expect(at(reply, 'result.completion.values')).toEqual([`a-${name}`])
  })

  test('may still say what both call it, and gets the first', async () => {
    const { reply } = await ask('resources/read', { uri: PAGE })
    expect(at(reply, 'result.contents.0')).toMatchObject({ text: `old ${PAGE}` })
  })

  test('learns nothing of what is nobody’s', async () => {
    for (const uri of ['ui://nobody.castellan/app/main.html', 'ui://old.castellan/other'])
      expect(at((await ask('resources/read', { uri })).reply, 'error.code')).toBe(
        era === 'legacy' ? -32_002 : -32_602,
      )
  })

  test('sees the endpoint of one server as the server is', async () => {
    const access = await gate.access('p', 'new')
    const alone = era === 'legacy' ? await openLegacy(access) : modernCaller(access)
    expect(urisIn(await alone.ask('resources/list'), 'resources')).toEqual([PAGE, 'own://new'])
    expect(at((await alone.ask('resources/read', { uri: PAGE })).reply, 'result.contents.0.uri')).toBe(PAGE)
    const shown = await alone.ask('tools/call', { name: 'show', arguments: {} })
    expect(at(shown.reply, 'result.content.0.uri')).toBe(PAGE)
  })
})

const updates = (messages: readonly Json[]): unknown[] =>
  messages
    .filter((one) => one['method'] === 'notifications/resources/updated')
    .map((one) => at(one, 'params.uri'))

test('changes are told under the URI that was subscribed to, to clients of both eras', async () => {
  const legacy = await openLegacy(await gate.access('p'))
  const stream = await legacy.listen()
  expect(at((await legacy.ask('resources/subscribe', { uri: pageOf('old') })).reply, 'result')).toEqual({})
  await until('the legacy client hears of it', () => updates(stream.messages).length > 0)
  expect(updates(stream.messages)).toEqual([pageOf('old')])
  expect(at((await legacy.ask('resources/unsubscribe', { uri: pageOf('old') })).reply, 'result')).toEqual({})

  const listen = modernCaller(await gate.access('p')).begin('subscriptions/listen', {
    notifications: { resourceSubscriptions: [pageOf('old')] },
  })
  await until('the modern client hears of it', () => updates(listen.messages).length > 0)
  expect(at(listen.messages[0], 'params.notifications')).toEqual({ resourceSubscriptions: [pageOf('old')] })
  expect(updates(listen.messages)).toEqual([pageOf('old')])
  listen.hangUp()
  stream.hangUp()
})

test('what a client was told still leads there after kill -9', async () => {
  const before = await openLegacy(await gate.access('p'))
  expect(at((await before.ask('resources/subscribe', { uri: pageOf('old') })).reply, 'result')).toEqual({})
  await gate.restart('SIGKILL')
  const again = resumeLegacy(await gate.access('p'), before.session)
  // The server tells everyone who subscribes at once, so an update says that the subscription was made again.
  const stream = await again.listen()
  await until('the client hears of it', () => updates(stream.messages).includes(pageOf('old')))
  stream.hangUp()
  for (const name of NAMES) {
    const { reply } = await again.ask('resources/read', { uri: pageOf(name) })
    expect(at(reply, 'result.contents.0')).toMatchObject({ uri: pageOf(name), text: `${name} ${PAGE}` })
  }
})
