import { expect, test } from 'vitest'
import type { Segment } from '../../audit/entry.ts'
import { readMessage, type Message } from '../../protocol/message.ts'
import { createExchange, type Exchange } from '../exchange.ts'
import { createAnswerBatch } from './answer-batch.ts'
import type { Outlet } from './outlet.ts'

const message = (text: object): Message => {
  const read = readMessage(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...text })), 'client')
  if (!read.ok) throw new TypeError(read.error)
  return read.value
}
const request = (id: number): Message => message({ id, method: 'ping' })
const notice = message({ method: 'notifications/initialized' })

/** Where the answer of the batch goes, as lines. */
function outletOf(said: string[], streaming = false): Outlet {
  return {
    streaming,
    mayTakeLong() {},
    event: (bytes: Buffer | string) => said.push(`event ${bytes.toString()}`),
    answer: (status: number, parts: readonly unknown[]) => said.push(`answer ${status} ${parts.join('')}`),
    empty: (status: number) => said.push(`empty ${status}`),
    cancelled: () => said.push('cancelled'),
  } as unknown as Outlet
}

async function answered(
  messages: readonly Message[],
  run: (element: Exchange) => Promise<void>,
  { version = '2025-03-26', streaming = false } = {},
) {
  const said: string[] = []
  const x = createExchange({
    request: { method: 'POST' },
    target: { project: 'p' },
    out: outletOf(said, streaming),
  } as never)
  x.session = { protocolVersion: version } as never
  x.batch = messages
  const refusal = await createAnswerBatch(run)(x)
  await new Promise(setImmediate)
  return refusal === undefined ? said : [refusal.code]
}

const reply = async (x: Exchange): Promise<void> => {
  if (x.message?.shape === 'request') x.out.answer(200, ['{"id":', Buffer.from(`${x.message.idText}}`)])
  else x.out.empty(202)
}

test('answers are one array, in which notifications leave nothing', async () => {
  expect(await answered([request(1), notice, request(2)], reply)).toEqual(['answer 200 [{"id":1},{"id":2}]'])
})

test('without a request there is nothing to answer', async () => {
  expect(await answered([notice, message({ id: 1, result: {} })], reply)).toEqual(['empty 202'])
})

test('once one of them says something on the way, each answer is an event of its own', async () => {
  const said = await answered([request(1), request(2), request(3)], async (x) => {
    if (x.message?.idText === '2') x.out.event('{"progress":1}')
    await reply(x)
  })
  expect(said).toEqual(['event {"id":1}', 'event {"progress":1}', 'event {"id":2}', 'answer 200 {"id":3}'])
})

test('an answer that became a stream because it took long holds no array', async () => {
  expect(await answered([request(1), request(2)], reply, { streaming: true })).toEqual([
    'event {"id":1}',
    'answer 200 {"id":2}',
  ])
})

test('what was cancelled is missing; if that is all there was, the stream ends', async () => {
  const cancels = async (x: Exchange): Promise<void> => {
    if (x.message?.idText === '1') x.out.cancelled()
    else await reply(x)
  }
  expect(await answered([request(1), request(2)], cancels)).toEqual(['answer 200 [{"id":2}]'])
  expect(await answered([request(1)], cancels)).toEqual(['cancelled'])
})

test('an answer waits for the record of its own message', async () => {
  let durable: ((yes: boolean) => void) | undefined
  const segment: Segment = {
    committed: false,
    durable: new Promise((resolve) => (durable = resolve)),
  }
  const running = answered([request(1), request(2)], async (x) => {
    if (x.message?.idText === '1') {
      x.out.after(segment)
      x.out.event('1 goes on')
    }
    await reply(x)
  })
  expect(await running).toEqual([])
  const said = await running
  durable?.(true)
  await new Promise(setImmediate)
  expect(said).toEqual(['event {"id":2}', 'event 1 goes on', 'answer 200 {"id":1}'])
})

test.each(['2025-11-25', '2025-06-18', '2024-11-05'])('%s has no batches', async (version) => {
  expect(await answered([request(1)], reply, { version })).toEqual(['not_jsonrpc'])
})
