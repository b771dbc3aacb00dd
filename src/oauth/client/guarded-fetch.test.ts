import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createFetcher, type Fetcher } from './guarded-fetch.ts'

const servers: Server[] = []
const fetchers: Fetcher[] = []
afterEach(async () => {
  await Promise.all(fetchers.splice(0).map((fetcher) => fetcher.close()))
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function fetcher(loopback: boolean, hosts: readonly string[] = []): Fetcher {
  const made = createFetcher({ loopback, hosts: new Set(hosts) })
  fetchers.push(made)
  return made
}

const get = (from: Fetcher, url: string, timeoutMs = 2000): Promise<Response> =>
  from.send(url, { method: 'GET', headers: {} }, timeoutMs)

test('loopback is for servers that are there themselves, by number and by name', async () => {
  let asked = 0
  const port = await serve((_, response) => response.end(`{"asked":${++asked}}`))
  const answer = await get(fetcher(true), `http://127.0.0.1:${port}/`)
  expect(await answer.json()).toEqual({ asked: 1 })
  expect((await get(fetcher(true), `http://localhost:${port}/`)).status).toBe(200)
  const strict = fetcher(false)
  for (const url of [`http://127.0.0.1:${port}/`, `http://localhost:${port}/`])
    await expect(get(strict, url)).rejects.toThrow('not https')
  await expect(get(strict, `https://127.0.0.1:${port}/`)).rejects.toThrow('not public')
  await expect(get(strict, `https://localhost:${port}/`)).rejects.toThrow('not public')
  expect(asked).toBe(2)
})

test('private addresses, also to those on loopback; hosts that an operator named are asked', async () => {
  for (const url of ['https://10.0.0.1/', 'https://[fd00::1]/', 'https://[::ffff:169.254.169.254]/'])
    await expect(get(fetcher(true), url)).rejects.toThrow('not public')
  // Nothing listens there: that it was tried is what counts.
  await expect(get(fetcher(false, ['127.0.0.1']), 'https://127.0.0.1:1/')).rejects.toThrow(
    'cannot be reached',
  )
})

test.each(['ftp://127.0.0.1/', 'file:///etc/passwd', 'http://u:p@127.0.0.1/', 'nothing at all'])(
  '%s is no address to ask',
  async (url) => {
    await expect(get(fetcher(true), url)).rejects.toThrow(/not https|not a valid one/)
  },
)

test('a redirect is an answer, not a way', async () => {
  let asked = 0
  const port = await serve((_, response) => {
    asked++
    response.writeHead(302, { location: '/next' }).end()
  })
  expect((await get(fetcher(true), `http://127.0.0.1:${port}/`)).status).toBe(302)
  expect(asked).toBe(1)
})

test('too much, too late, cut off', async () => {
  const port = await serve((request, response) => {
    if (request.url === '/huge') response.end(Buffer.alloc(2 * 1024 * 1024))
    else if (request.url === '/drip') response.write('x')
    else response.destroy()
  })
  const from = fetcher(true)
  await expect(get(from, `http://127.0.0.1:${port}/huge`)).rejects.toThrow('larger than 1 MiB')
  await expect(get(from, `http://127.0.0.1:${port}/drip`, 100)).rejects.toThrow('in time')
  await expect(get(from, `http://127.0.0.1:${port}/cut`)).rejects.toThrow('cannot be reached')
})
