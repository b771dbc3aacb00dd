import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { BootEpoch } from '../../../lib/id.ts'
import { errorMessage, notificationMessage, resultMessage } from '../../../protocol/json-rpc.ts'
import { readMessage, type Message } from '../../../protocol/message.ts'
import { decline } from '../upstream.ts'
import { ModernFeed, type ListenSink } from './modern-feed.ts'
import { createWireIds } from '../wire-id.ts'

interface Opened {
  readonly wireId: string
  readonly filter: Readonly<Record<string, unknown>>
  readonly to: ListenSink
  closed: boolean
}

function read(text: string): Message {
  const message = readMessage(Buffer.from(text), 'upstream')
  if (!message.ok) throw new Error(message.error)
  return message.value
}

const ALL = {
  tools: { listChanged: true },
  prompts: {},
  resources: { listChanged: true, subscribe: true },
}

function setUp(capabilities: object = ALL) {
  const opened: Opened[] = []
  const heard: string[] = []
  const feed = new ModernFeed({
    capabilities,
    us: { name: 'us', version: '1' },
    ids: createWireIds('epoch' as BootEpoch),
    tickMs: () => Date.now(),
    port: {
      open(wireId, body, to) {
        const { params } = JSON.parse(body) as { params: { notifications: Record<string, unknown> } }
        const listen: Opened = { wireId, filter: params.notifications, to, closed: false }
        opened.push(listen)
        return { close: () => void (listen.closed = true) }
      },
    },
    events: {
      changed: (what) => heard.push(what),
      notified: (message) =>
        heard.push((JSON.parse(message.bytes.toString()) as { params: { uri: string } }).params.uri),
      asked: decline,
      withdrawn() {},
      lost() {},
    },
  })
  const acknowledge = (listen: Opened | undefined, honoured = listen?.filter): void =>
    listen?.to.message(
      read(notificationMessage('notifications/subscriptions/acknowledged', { notifications: honoured })),
    )
  const say = (listen: Opened | undefined, method: string, params?: object): void =>
    listen?.to.message(read(notificationMessage(method, params)))
  return { feed, opened, heard, acknowledge, say, last: () => opened.at(-1) }
}

const UPDATED = 'notifications/resources/updated'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('it listens for the lists that the server announces, and reports what is acknowledged', async () => {
  const { feed, opened, heard, acknowledge, say } = setUp()
  feed.start()
  expect(opened.map(({ filter }) => filter)).toEqual([{ toolsListChanged: true, resourcesListChanged: true }])
  acknowledge(opened[0], { toolsListChanged: true })
  expect(await feed.reports()).toEqual({ tools: true, prompts: false, resources: false, updates: true })
  say(opened[0], 'notifications/tools/list_changed')
  expect(heard).toEqual(['tools'])
})

test('a server that announces nothing is not listened to until a resource is wanted', async () => {
  const { feed, opened, acknowledge } = setUp({ resources: { subscribe: true } })
  feed.start()
  expect(opened).toEqual([])
  const watching = feed.watch('a:1')
  await vi.advanceTimersByTimeAsync(0)
  acknowledge(opened[0])
  expect([await watching, opened[0]?.filter]).toEqual([undefined, { resourceSubscriptions: ['a:1'] }])
  feed.unwatch('a:1')
  await vi.advanceTimersByTimeAsync(1000)
  expect([opened.length, opened[0]?.closed]).toEqual([1, true])
})

test('what is wanted at once travels in one listen, which takes over when it is acknowledged', async () => {
  const { feed, opened, heard, acknowledge, say, last } = setUp()
  feed.start()
  acknowledge(opened[0])
  const watching = Promise.all(['a:1', 'a:2', 'a:3'].map((uri) => feed.watch(uri)))
  await vi.advanceTimersByTimeAsync(0)
  expect([opened.length, last()?.filter['resourceSubscriptions']]).toEqual([2, ['a:1', 'a:2', 'a:3']])
  say(opened[0], 'notifications/tools/list_changed')
  expect([opened[0]?.closed, heard]).toEqual([false, ['tools']])
  acknowledge(last(), { ...last()?.filter, resourceSubscriptions: ['a:1', 'a:2'] })
  expect(await watching).toEqual([undefined, undefined, {}])
  expect(opened.map(({ closed }) => closed)).toEqual([true, false])
  say(opened[0], 'notifications/tools/list_changed')
  say(last(), UPDATED, { uri: 'a:2' })
  expect([heard, feed.watched]).toEqual([['tools', 'a:2'], 2])
})

test('a stream that breaks is opened again, with longer pauses, and tells what may have been missed', async () => {
  const { feed, opened, heard, acknowledge, last } = setUp()
  feed.start()
  const watching = feed.watch('a:1')
  acknowledge(opened[0])
  await vi.advanceTimersByTimeAsync(0)
  acknowledge(last())
  await watching
  expect(heard).toEqual([])
  last()?.to.over('broken')
  await vi.advanceTimersByTimeAsync(1000)
  last()?.to.over('broken')
  await vi.advanceTimersByTimeAsync(1999)
  expect(opened).toHaveLength(3)
  await vi.advanceTimersByTimeAsync(1)
  expect(opened).toHaveLength(4)
  acknowledge(last())
  expect(heard).toEqual(['tools', 'resources', 'a:1'])
})

test.each([
  [
    'the server ends the listen',
    (listen: Opened) => listen.to.message(read(resultMessage(listen.wireId, '{}'))),
  ],
  [
    'it takes it back',
    (listen: Opened) => listen.to.message(read(notificationMessage('notifications/cancelled'))),
  ],
  ['it never acknowledges', () => void vi.advanceTimersByTime(10_000)],
])('%s: it is opened again', async (_, ends) => {
  const { feed, opened } = setUp()
  feed.start()
  ends(opened[0]!)
  await vi.advanceTimersByTimeAsync(1000)
  expect(opened).toHaveLength(2)
})

test('a server without the method reports nothing, and is asked again much later', async () => {
  const { feed, opened } = setUp()
  feed.start()
  const { wireId, to } = opened[0]!
  const watching = feed.watch('a:1')
  to.message(read(errorMessage(wireId, { code: -32_601, message: 'no such method', data: {} })))
  expect(await feed.reports()).toEqual({ tools: false, prompts: false, resources: false, updates: false })
  expect([await watching, await feed.watch('a:2'), feed.watched]).toEqual([{}, {}, 0])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(opened).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(14 * 60_000)
  expect(opened).toHaveLength(2)
})

test('a filter that the server refuses costs those who wanted it, not those who were heard before', async () => {
  const { feed, opened, acknowledge, last, say, heard } = setUp()
  feed.start()
  acknowledge(opened[0])
  const watching = feed.watch('a:1')
  await vi.advanceTimersByTimeAsync(0)
  const refusal = read(errorMessage(last()!.wireId, { code: -32_602, message: 'too many', data: {} }))
  last()?.to.message(refusal)
  expect(await watching).toEqual({ reply: refusal })
  say(opened[0], 'notifications/tools/list_changed')
  expect([opened[0]?.closed, heard, feed.watched]).toEqual([false, ['tools'], 0])
})

test('what is stopped says nothing more and refuses what waits', async () => {
  const { feed, opened, acknowledge, say, heard } = setUp()
  feed.start()
  acknowledge(opened[0])
  const watching = feed.watch('a:1')
  feed.stop()
  expect(await watching).toMatchObject({ failure: { kind: 'unreachable' } })
  say(opened[0], 'notifications/tools/list_changed')
  await vi.advanceTimersByTimeAsync(60_000)
  expect([opened.length, opened[0]?.closed, heard]).toEqual([1, true, []])
})
