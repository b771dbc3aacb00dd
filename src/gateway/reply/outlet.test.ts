import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Segment } from '../../audit/entry.ts'
import type { BootEpoch } from '../../lib/id.ts'
import type { Session } from '../classify/session.ts'
import { createEventLogs } from './events/event-logs.ts'
import { cutWhenStalled, openEventConnection } from './events/event-stream.ts'
import { createOutlet, type Outlet } from './outlet.ts'

let server: Server
let use: (out: Outlet, response: ServerResponse) => void

beforeEach(async () => {
  server = createServer((_, response) => use(createOutlet(response, 20), response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

/** Asks the server; the head comes when it comes, the body is what has arrived when it ends. */
async function ask(how: typeof use): Promise<{ head: IncomingMessage; body: string }> {
  use = how
  const { port } = server.address() as AddressInfo
  const head = await new Promise<IncomingMessage>((resolve) => get({ port, host: '127.0.0.1' }, resolve))
  let body = ''
  for await (const chunk of head.setEncoding('utf8')) body += String(chunk)
  return { head, body }
}

function openSegment() {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const segment: Segment = { committed: false, durable: promise }
  return { segment, commit: resolve }
}

/** Whatever the loop still has to do with sockets. */
const loop = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
}

// oxfmt-ignore
test.each([
  ['a text',               ['{"a":"é"}'],                             '{"a":"é"}'],
  ['bytes',                [Buffer.from('{"a":"é😀"}')],              '{"a":"é😀"}'],
  ['many bytes',           [Buffer.from(`"${'é'.repeat(40_000)}"`)],  `"${'é'.repeat(40_000)}"`],
  ['a mixture',            ['{"é":', Buffer.from('"ü"'), '}'],        '{"é":"ü"}'],
])('an answer of %s is one JSON body, its length told', async (_, parts, expected) => {
  const { head, body } = await ask((out) => out.answer(200, parts, { 'x-own': '1' }))
  expect([head.statusCode, body]).toEqual([200, expected])
  expect(head.headers).toMatchObject({
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(expected)),
    'x-own': '1',
  })
})

test('a notification turns the answer into a stream of events, in order', async () => {
  const { head, body } = await ask((out) => {
    out.event('{"n":1}')
    out.event(Buffer.from('{"n":2}'))
    out.answer(200, ['{"re', 'sult":3}'])
  })
  expect(head.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
  expect(body).toBe(
    ['{"n":1}', '{"n":2}', '{"result":3}'].map((data) => `event: message\ndata: ${data}\n\n`).join(''),
  )
})

test('nothing leaves before the segment is durable; then everything does, in order', async () => {
  const { segment, commit } = openSegment()
  const came = Promise.withResolvers<ServerResponse>()
  const asked = ask((out, response) => {
    out.after(segment)
    out.event('1')
    out.event('2')
    setImmediate(() => {
      out.answer(200, ['3'])
      came.resolve(response)
    })
  })
  const response = await came.promise
  await loop()
  expect([response.headersSent, response.socket?.bytesWritten]).toEqual([false, 0])
  commit(true)
  expect((await asked).body.match(/\d/g)).toEqual(['1', '2', '3'])
})

test('an answer to what was forwarded is delivered, also when the record could not be written', async () => {
  const { segment, commit } = openSegment()
  const asked = ask((out) => {
    out.after(segment)
    out.answer(200, ['{}'])
    commit(false)
  })
  expect((await asked).body).toBe('{}')
})

test('a refusal waits as well', async () => {
  const { segment, commit } = openSegment()
  const came = Promise.withResolvers<ServerResponse>()
  const asked = ask((out, response) => {
    out.after(segment)
    out.answer(503, ['{}'])
    came.resolve(response)
  })
  const response = await came.promise
  await loop()
  expect(response.headersSent).toBe(false)
  commit(true)
  expect((await asked).head.statusCode).toBe(503)
})

test('what is durable already, or is not recorded, does not wait', async () => {
  for (const segment of [undefined, { committed: true, durable: new Promise<boolean>(() => {}) }]) {
    let sent: boolean | undefined
    await ask((out, response) => {
      out.after(segment)
      out.answer(200, ['{}'])
      sent = response.headersSent
    })
    expect(sent).toBe(true)
  }
})

test('no body for what needs no answer', async () => {
  const { head, body } = await ask((out) => out.empty(202))
  expect([head.statusCode, head.headers['content-length'], body]).toEqual([202, '0', ''])
})

test('a cancelled call ends as a stream without an answer', async () => {
  for (const events of [[], ['1']]) {
    const { head, body } = await ask((out) => {
      for (const event of events) out.event(event)
      out.cancelled()
    })
    expect([head.statusCode, head.headers['content-type']]).toEqual([200, 'text/event-stream'])
    expect(body.match(/\d/g) ?? []).toEqual(events)
  }
})

test('only the first answer counts', async () => {
  const { body } = await ask((out) => {
    out.answer(200, ['1'])
    out.answer(500, ['2'])
    out.empty(202)
    out.cancelled()
  })
  expect(body).toBe('1')
})

test('a client that leaves is noticed once, and what comes for it later is dropped', async () => {
  const left = Promise.withResolvers<Outlet>()
  let count = 0
  use = (out) => {
    out.onGone(() => {
      count++
      left.resolve(out)
    })
    out.event('1')
  }
  const { port } = server.address() as AddressInfo
  const request = get({ port, host: '127.0.0.1' }, (head) => head.once('data', () => request.destroy()))
  request.on('error', () => {})
  const out = await left.promise
  expect(out.gone).toBe(true)
  out.event('2')
  out.answer(200, ['3'])
  out.onGone(() => count++)
  expect(count).toBe(2)
})

test('a client that has its answer is not said to be gone', async () => {
  let outlet: Outlet | undefined
  await ask((out) => {
    outlet = out
    out.answer(200, ['{}'])
  })
  await loop()
  server.closeAllConnections()
  await loop()
  expect(outlet?.gone).toBe(false)
})

test('a call that takes long begins its stream, keeps it alive, and still ends with the answer', async () => {
  const { head, body } = await ask((out) => {
    out.mayTakeLong()
    setTimeout(() => out.answer(200, ['{"late":1}']), 100)
  })
  expect(head.headers['content-type']).toBe('text/event-stream')
  expect(body).toMatch(/^(?:: keep-alive\n\n)+event: message\ndata: \{"late":1\}\n\n$/)
})

test('silence does not begin a stream before the record is durable', async () => {
  const { segment, commit } = openSegment()
  let begun = true
  await ask((out, response) => {
    out.after(segment)
    out.mayTakeLong()
    setTimeout(() => {
      begun = response.headersSent
      commit(true)
      out.answer(200, ['{}'])
    }, 60)
  })
  expect(begun).toBe(false)
})

test('a client that does not read its stream is cut off', async () => {
  const { body } = await ask((out, response) => {
    const much = `"${'x'.repeat(1024 * 1024)}"`
    for (let i = 0; i < 64; i++) out.event(much)
    setTimeout(() => expect(response.destroyed).toBe(true), 10)
  }).catch(() => ({ body: '' }))
  expect(body).toBe('')
})

const LEGACY = { id: 's', protocolVersion: '2025-06-18' } as Session
const keepLogs = () =>
  createEventLogs(
    'epoch' as BootEpoch,
    () => 0,
    () => {},
  )

test('the stream of a session outlives its connection; a JSON answer does not', async () => {
  const logs = keepLogs()
  const dropped = Promise.withResolvers<Outlet>()
  use = (out, response) => {
    out.resumable(logs, LEGACY, '7')
    out.event('1')
    response.once('close', () => dropped.resolve(out))
  }
  const { port } = server.address() as AddressInfo
  const request = get({ port, host: '127.0.0.1' }, (head) => head.once('data', () => request.destroy()))
  request.on('error', () => {})
  const out = await dropped.promise
  expect(out.gone).toBe(false)
  out.event('2')
  out.answer(200, ['3'])
  const { body } = await ask((_, response) => {
    const log = logs.find(LEGACY, { epoch: 'epoch', stream: '1', n: 1, request: '7' })
    log?.attach(openEventConnection(response), 1)
  })
  expect(body.match(/(?<=data: )\d/g)).toEqual(['2', '3'])
  await ask((answered) => {
    answered.resumable(logs, LEGACY, '8')
    answered.answer(200, ['{}'])
  })
  expect(logs.size().sessions).toBe(1)
  logs.close()
})

test('a sender is told to hold back, and when to go on: drained, or the client gone', async () => {
  for (const how of ['reads', 'leaves']) {
    const told = Promise.withResolvers<boolean[]>()
    use = (out) => {
      const went: boolean[] = []
      // More than the kernel takes for a client that does not read.
      for (let i = 0; i < 7; i++) went.push(out.event(`"${'x'.repeat(1024 * 1024)}"`))
      out.onDrain(() => {
        told.resolve(went)
        out.answer(200, ['{}'])
      })
    }
    const { port } = server.address() as AddressInfo
    const request = get({ port, host: '127.0.0.1' }, (head) => {
      setTimeout(() => (how === 'reads' ? head.resume() : request.destroy()), 20)
    })
    request.on('error', () => {})
    expect(await told.promise).toContain(false)
  }
})

test('a client that takes nothing of a large answer is cut off after a while, and one that reads is not', async () => {
  for (const reads of [false, true]) {
    const closed = Promise.withResolvers<boolean>()
    use = (_, response) => {
      response.once('close', () => closed.resolve(response.writableFinished))
      response.writeHead(200)
      response.end('x'.repeat(32 * 1024 * 1024))
      cutWhenStalled(response, 100)
    }
    const { port } = server.address() as AddressInfo
    const request = get({ port, host: '127.0.0.1' }, (head) => {
      if (reads) head.resume()
    })
    request.on('error', () => {})
    expect(await closed.promise).toBe(reads)
    request.destroy()
  }
})
