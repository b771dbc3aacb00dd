import { createServer, request, type ClientRequest, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readBody, type BodyProblem } from './read-body.ts'

const BOUND = 1000
let server: Server
let came: PromiseWithResolvers<{ incoming: IncomingMessage; body: Promise<Buffer | BodyProblem> }>

beforeEach(async () => {
  came = Promise.withResolvers()
  server = createServer((incoming, response) => {
    const body = readBody(incoming, BOUND, (read) => read)
    came.resolve({ incoming, body })
    void body.then(() => response.destroyed || response.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

function post(headers: Record<string, string | number> = {}): ClientRequest {
  const { port } = server.address() as AddressInfo
  const sending = request({ port, host: '127.0.0.1', method: 'POST', headers })
  sending.on('error', () => {})
  sending.on('response', (response) => response.resume())
  return sending
}

const read = async (): Promise<string> => {
  const body = await (await came.promise).body
  return typeof body === 'string' ? body : `${body.length} bytes`
}

test('a body in one piece', async () => {
  post({ 'content-length': 5 }).end('hello')
  expect(String(await (await came.promise).body)).toBe('hello')
})

test('a body in many pieces, its length not told', async () => {
  const sending = post()
  for (const part of ['a', 'é', '😀']) {
    sending.write(part)
    await new Promise(setImmediate)
  }
  sending.end()
  expect(String(await (await came.promise).body)).toBe('aé😀')
})

test('no body is an empty one', async () => {
  post().end()
  expect(await read()).toBe('0 bytes')
})

// oxfmt-ignore
test.each([
  ['as long as the bound, told',       { 'content-length': BOUND },     BOUND,     `${BOUND} bytes`],
  ['as long as the bound, not told',   {},                              BOUND,     `${BOUND} bytes`],
  ['one byte longer, told',            { 'content-length': BOUND + 1 }, BOUND + 1, 'too-large'],
  ['one byte longer, not told',        {},                              BOUND + 1, 'too-large'],
  ['much longer, not told',            {},                              1_000_000, 'too-large'],
] as const)('a body %s', async (_, headers, length, expected) => {
  post(headers).end(Buffer.alloc(length))
  expect(await read()).toBe(expected)
})

test('what is told to be too large is not read at all', async () => {
  post({ 'content-length': 10_000_000 }).flushHeaders()
  expect(await read()).toBe('too-large')
  expect((await came.promise).incoming.readableFlowing).toBeNull()
})

test('a body that goes on without end is not read on, and its connection stays usable for the answer', async () => {
  const sending = post()
  const answered = new Promise((resolve) => sending.once('response', resolve))
  sending.write(Buffer.alloc(BOUND + 1))
  expect(await read()).toBe('too-large')
  expect((await came.promise).incoming.isPaused()).toBe(true)
  await answered
  sending.destroy()
})

test('a client that leaves in the middle leaves no body', async () => {
  const sending = post({ 'content-length': 100 })
  sending.write('half')
  await came.promise
  sending.destroy()
  expect(await read()).toBe('aborted')
})
