import { expect, test } from 'vitest'
import { err, ok } from '../../../lib/result.ts'
import { errorMessage, resultMessage } from '../../../protocol/json-rpc.ts'
import { readMessage, stringAt, type Message } from '../../../protocol/message.ts'
import { LegacyWatches } from './legacy-watches.ts'
import type { UpstreamFailure } from '../upstream.ts'

const AWAY: UpstreamFailure = { kind: 'unreachable', message: 'it is away' }

function read(text: string): Message {
  const message = readMessage(Buffer.from(text), 'upstream')
  if (!message.ok) throw new Error(message.error)
  return message.value
}

const AGREED = read(resultMessage('"0"', '{}'))
const REFUSED = read(errorMessage('"0"', { code: -32_002, message: 'no such resource', data: {} }))

/** A server that is told what to answer; `gate` holds its answers back. */
function setUp() {
  const server = { answer: AGREED as Message | UpstreamFailure, gate: undefined as Promise<void> | undefined }
  const asked: string[] = []
  let most = 0
  let open = 0
  const watches = new LegacyWatches(async ({ method, message }) => {
    asked.push(`${method.slice('resources/'.length)} ${stringAt(message, 'params/uri')}`)
    most = Math.max(most, ++open)
    await server.gate
    open--
    return 'kind' in server.answer ? err(server.answer) : ok(server.answer)
  })
  return { watches, server, asked, most: () => most }
}

test('each resource is asked for once, however often it is watched', async () => {
  const { watches, asked } = setUp()
  expect(await Promise.all([watches.watch('a:1'), watches.watch('a:1'), watches.watch('a:2')])).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  await watches.watch('a:1')
  expect([asked, watches.size]).toEqual([['subscribe a:1', 'subscribe a:2'], 2])
})

test('what is wanted no more while it is asked for is given back after the answer, in this order', async () => {
  const { watches, server, asked } = setUp()
  const gate = Promise.withResolvers<void>()
  server.gate = gate.promise
  const watching = watches.watch('a:1')
  watches.unwatch('a:1')
  expect(asked).toEqual(['subscribe a:1'])
  gate.resolve()
  await watching
  expect([asked, watches.size]).toEqual([['subscribe a:1', 'unsubscribe a:1'], 0])
})

test('a refusal is passed on and forgotten: the next time the server is asked again', async () => {
  const { watches, server } = setUp()
  server.answer = REFUSED
  expect(await watches.watch('a:1')).toEqual({ reply: REFUSED })
  server.answer = AWAY
  expect(await watches.watch('a:1')).toEqual({ failure: AWAY })
  expect(watches.size).toBe(0)
  server.answer = AGREED
  expect(await watches.watch('a:1')).toBeUndefined()
})

test('a server that has forgotten is asked for all of it again; while it is away nothing is given up', async () => {
  const { watches, server, asked } = setUp()
  await Promise.all([watches.watch('a:1'), watches.watch('a:2')])
  server.answer = AWAY
  await watches.again()
  expect(watches.size).toBe(2)
  server.answer = AGREED
  asked.length = 0
  await watches.again()
  expect(asked).toEqual(['subscribe a:1', 'subscribe a:2'])
})

test('a thousand resources are asked for a few at a time', async () => {
  const { watches, asked, most } = setUp()
  await Promise.all(Array.from({ length: 1000 }, (_, i) => watches.watch(`a:${i}`)))
  expect(asked).toHaveLength(1000)
  expect(most()).toBeLessThanOrEqual(16)
})
