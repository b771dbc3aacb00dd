import type { LookupAddress } from 'node:dns'
import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { endless, startStranger, type Stranger } from '../../../test/fixtures/stranger.ts'
import { createFetcher, type Fetcher, type Resolve } from './guarded-fetch.ts'

let stranger: Stranger
const fetchers: Fetcher[] = []
const servers: Server[] = []
beforeAll(async () => {
  stranger = await startStranger()
})
afterEach(async () => {
  await Promise.all(fetchers.splice(0).map((fetcher) => fetcher.close()))
  for (const server of servers.splice(0)) server.close()
})
afterAll(() => stranger.close())

function fetcher(loopback: boolean, resolve?: Resolve): Fetcher {
  const made = createFetcher({ loopback, hosts: new Set() }, resolve)
  fetchers.push(made)
  return made
}

const get = (from: Fetcher, url: string, timeoutMs = 2000): Promise<Response> =>
  from.send(url, { method: 'GET', headers: {} }, timeoutMs)

// oxfmt-ignore
test.each([
  'https://10.0.0.1/', 'https://172.16.0.1/', 'https://192.168.0.1/', 'https://169.254.169.254/latest/meta-data/',
  'https://100.64.0.1/', 'https://0.0.0.0/', 'https://0/', 'https://127.0.0.1/', 'https://127.1/', 'https://[::1]/',
  'https://[::]/', 'https://[::ffff:127.0.0.1]/', 'https://[::ffff:a9fe:a9fe]/', 'https://[::10.0.0.1]/',
  'https://[fd00:ec2::254]/', 'https://[fe80::1]/', 'https://[64:ff9b::a9fe:a9fe]/', 'https://[2002:a00:1::]/',
  // Whole numbers, octal and hexadecimal ones, dots of other scripts: `URL` writes them all as they are meant.
  'https://2130706433/', 'https://0x7f000001/', 'https://017700000001/', 'https://0177.0.0.1/', 'https://0x7f.1/',
  'https://2852039166/', 'https://0xa9.0xfe.0xa9.0xfe/', 'https://169。254。169。254/', 'https://①⓪.0.0.1/',
  'https://127.0.0.1./', 'https://localhost/', 'https://LOCALHOST/',
])('%s is not asked', async (url) => {
  await expect(get(fetcher(false), url)).rejects.toThrow('not public')
})

const answering =
  (...answers: readonly (readonly LookupAddress[])[]): Resolve =>
  (_hostname, _options, done) =>
    done(null, [...(answers[asked++] ?? answers.at(-1) ?? [])])
let asked = 0

// oxfmt-ignore
test.each<readonly [string, readonly LookupAddress[]]>([
  ['a private address', [{ address: '10.0.0.1', family: 4 }]],
  ['a public and a private one', [{ address: '93.184.215.14', family: 4 }, { address: '169.254.169.254', family: 4 }]],
  ['loopback in IPv6', [{ address: '::1', family: 6 }]],
  ['a mapped one', [{ address: '::ffff:127.0.0.1', family: 6 }]],
  ['none at all', []],
])('a name that stands for %s is not asked', async (_, addresses) => {
  await expect(get(fetcher(false, answering(addresses)), 'https://innocent.example/')).rejects.toThrow(
    'not public',
  )
})

test('a name is asked for once in a connection: what it stands for later is not gone to', async () => {
  asked = 0
  const listener = createServer()
  servers.push(listener)
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  let reached = 0
  listener.on('connection', (socket) => {
    reached++
    socket.destroy()
  })
  const { port } = listener.address() as AddressInfo
  const resolve = answering([{ address: '127.0.0.1', family: 4 }], [{ address: '10.0.0.1', family: 4 }])
  const from = fetcher(true, resolve)
  const url = `https://rebound.example:${port}/`
  await expect(get(from, url)).rejects.toThrow('cannot be reached')
  expect([asked, reached]).toEqual([1, 1])
  await expect(get(from, url)).rejects.toThrow('not public')
  expect([asked, reached]).toEqual([2, 1])
})

test('of 1 GB one MiB is read, and the connection is cut', async () => {
  const stream = endless(2 ** 30)
  stranger.answer({ '/huge': stream.answer })
  const before = process.memoryUsage().arrayBuffers
  await expect(get(fetcher(true), `${stranger.origin}/huge`, 10_000)).rejects.toThrow('larger than 1 MiB')
  await new Promise((resolve) => setTimeout(resolve, 100))
  // What both kernels and both processes hold in their buffers.
  expect(stream.sent).toBeLessThan(32 * 2 ** 20)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 2 ** 20)
})

test('what is compressed stays so: a bomb is a small page that makes no sense', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20, 0x20))
  stranger.answer({
    '/bomb': (response) =>
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' }).end(bomb),
  })
  const answer = await get(fetcher(true), `${stranger.origin}/bomb`)
  expect((await answer.arrayBuffer()).byteLength).toBe(bomb.length)
})

test('headers without end, and one that is too long', async () => {
  const raw = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = (): void => {
      while (!socket.destroyed && socket.write(`x-${Math.random()}: ${'y'.repeat(500)}\r\n`));
      socket.once('drain', more)
    }
    more()
  })
  servers.push(raw)
  await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve))
  const { port } = raw.address() as AddressInfo
  await expect(get(fetcher(true), `http://127.0.0.1:${port}/`)).rejects.toThrow('more headers than are read')
})

test('a drop now and then: time is over all the same', async () => {
  stranger.answer({
    '/drops': (response) => {
      response.writeHead(200)
      const timer = setInterval(() => response.write(' '), 10)
      response.on('close', () => clearInterval(timer))
    },
  })
  await expect(get(fetcher(true), `${stranger.origin}/drops`, 200)).rejects.toThrow('in time')
})

test('an answer that is not HTTP', async () => {
  const raw = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.end('SSH-2.0-canary\r\n')
  })
  servers.push(raw)
  await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve))
  const { port } = raw.address() as AddressInfo
  await expect(get(fetcher(true), `http://127.0.0.1:${port}/`)).rejects.toThrow(/^it cannot be reached$/)
})
