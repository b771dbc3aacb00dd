import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHostCheck } from './allowed-hosts.ts'
import { crossOrigin } from './cross-origin.ts'

const server = createServer((request, response) => {
  if (!crossOrigin(request, response, createHostCheck([]))) response.end('answer')
})
let url = ''

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
afterAll(() => server.close())

test('a preflight of an allowed origin is answered', async () => {
  const response = await fetch(url, { method: 'OPTIONS', headers: { origin: 'http://localhost:6274' } })
  expect(response.status).toBe(204)
  expect(response.headers.get('access-control-allow-origin')).toBe('http://localhost:6274')
  expect(response.headers.get('access-control-allow-headers')).toContain('mcp-session-id')
})

test('a preflight of another origin is refused and allows nothing', async () => {
  const response = await fetch(url, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } })
  expect(response.status).toBe(403)
  expect(response.headers.get('access-control-allow-origin')).toBeNull()
})

test('an answer to an allowed origin says which headers the page may read', async () => {
  const response = await fetch(url, { headers: { origin: 'http://127.0.0.1:5173' } })
  expect(await response.text()).toBe('answer')
  expect(response.headers.get('access-control-expose-headers')).toContain('mcp-session-id')
})

test('an answer to another origin stays with the browser', async () => {
  const response = await fetch(url, { headers: { origin: 'https://evil.example' } })
  expect(response.headers.get('access-control-allow-origin')).toBeNull()
})
