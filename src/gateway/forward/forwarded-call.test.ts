import { expect, test } from 'vitest'
import { scriptedView } from '../../../test/fixtures/scripted-servers.ts'
import { readMessage, type Message } from '../../protocol/message.ts'
import { createExchange } from '../exchange.ts'
import { ForwardedCall, type CallDeps } from './forwarded-call.ts'
import type { Lease } from './pool.ts'
import type { Sink, Upstream } from './upstream.ts'

const read = (text: string): Message => {
  const message = readMessage(Buffer.from(text), 'upstream')
  if (!message.ok) throw new TypeError(message.error)
  return message.value
}

/** A call whose client cannot be written to: a bug of ours, or a socket that throws. */
function callThatBreaks(): {
  readonly sink: () => Sink
  readonly ended: Promise<unknown>
  readonly cancelled: () => number
} {
  const boom = (): never => {
    throw new Error('boom')
  }
  const out = { event: boom, answer: boom, mayTakeLong() {}, onGone() {}, cancelled() {} }
  const x = createExchange({ target: { project: 'p', server: undefined }, out } as never)
  x.kind = 'tools/call'
  x.message = read(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":1}}}',
  )
  const route = {
    server: scriptedView('one'),
    others: [],
    key: 't',
    exposed: 't',
    params: undefined,
    edits: [],
    asTask: false,
  }
  x.route = route
  let sink: Sink | undefined
  let cancels = 0
  const upstream = {
    send(_request: unknown, given: Sink) {
      sink = given
      return { cancel: () => void cancels++ }
    },
  } as unknown as Upstream
  const lease = {
    upstream,
    info: { era: 'legacy', capabilities: {} },
    sharer: '',
    heard() {},
  } as unknown as Lease
  const ended = new Promise((resolve) => {
    new ForwardedCall({} as CallDeps, { x, route, lease }, resolve, undefined).start()
  })
  return {
    sink: () => {
      if (sink === undefined) throw new Error('not sent')
      return sink
    },
    ended,
    cancelled: () => cancels,
  }
}

test.each([
  ['an answer', (sink: Sink) => sink.reply(read('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'))],
  [
    'a notification',
    (sink: Sink) =>
      sink.event(
        read('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}'),
      ),
  ],
])('%s that cannot be handled ends its call, and not the connection that heard it', async (_what, say) => {
  const call = callThatBreaks()
  expect(() => say(call.sink())).not.toThrow()
  await expect(call.ended).rejects.toThrow('boom')
  expect(call.cancelled()).toBe(1)
})
