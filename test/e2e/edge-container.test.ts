import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { controlRoutes, type ControlApiDeps } from '../../src/control/api/control-api.ts'
import { isPublicRoute } from '../../src/control/api/route.ts'
import type { ApiRecord } from '../../src/control/api/record.ts'
import { PUBLIC_PATHS } from '../../src/main/edge/pass-api.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { startBetween, startEdge, type Between, type Edge } from './edge-harness.ts'
import {
  createToken,
  httpServer,
  modernCaller,
  project,
  startGate,
  until,
  type Access,
  type Gate,
} from './gateway-harness.ts'

/* An edge as it runs in a container: configured by the environment alone, without a home, ended by a signal. */

let gate: Gate
let between: Between
let edge: Edge
let upstream: Upstream
let one: Access

beforeAll(async () => {
  upstream = await startUpstream({ name: 'open', style: 'modern' })
  gate = await startGate([httpServer('open', upstream.url), project('main', ['open'])])
  between = await startBetween(gate.daemon.origin)
  edge = await startEdge(between.url, { keeps: false, env: { CASTELLAN_HOST_NAMES: 'mcp.example.com' } })
  await until('it is ready', async () => (await fetch(`${edge.origin}/readyz`)).ok)
  one = { url: `${edge.origin}/projects/main/mcp`, token: await createToken(gate.daemon, 'main', 'one') }
})

afterAll(async () => {
  await edge?.stop()
  await between?.close()
  await gate?.end()
  await upstream?.close()
})

interface Sent {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

const api = (path: string, token?: string, { headers = {}, ...init }: Sent = {}): Promise<Response> =>
  fetch(`${edge.origin}/api/v1${path}`, {
    ...init,
    headers: token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` },
  })

test('it tells everybody where its control plane is, and nothing else of itself', async () => {
  const about = (await (await fetch(`${edge.origin}/edge-info`)).json()) as object
  expect(about).toEqual({ role: 'gateway', control: between.url, version: expect.any(String) })
})

test('without a record of its own it sends everything through the control plane, which records it', async () => {
  between.fresh()
  const { reply } = await modernCaller(one).ask('tools/call', {
    name: 'open__echo',
    arguments: { text: 'hi' },
  })
  expect(reply).toHaveProperty('result')
  expect(between.fresh().map(({ path }) => path)).toContain('/projects/main/servers/open/mcp')
})

test('its log is JSON, a line for each event, without the tokens of callers', () => {
  const lines = edge.log().trimEnd().split('\n')
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toContain(
    'castellan serves as an edge gateway',
  )
  expect(edge.log()).not.toContain(one.token)
})

describe('the control API through it', () => {
  test('is answered as the control plane answers', async () => {
    for (const path of [
      '/projects',
      '/projects/main?output=yaml',
      '/projects/nowhere',
      '/audit',
      '/nothing',
    ]) {
      const [here, there] = await Promise.all([
        api(path, one.token),
        fetch(`${gate.daemon.origin}/api/v1${path}`, { headers: { authorization: `Bearer ${one.token}` } }),
      ])
      expect([here.status, here.headers.get('content-type')]).toEqual([
        there.status,
        there.headers.get('content-type'),
      ])
      expect(await here.text()).toBe(await there.text())
    }
  })

  test('goes with the credential that came, and whom its holder acts as; of the connection nothing does', async () => {
    between.fresh()
    await api('/projects?output=name', one.token, {
      method: 'POST',
      headers: { 'x-castellan-as': 'User:ada', 'content-type': 'application/json' },
      body: '{"kind":"Project"}',
    })
    const seen = between.fresh().find(({ method }) => method === 'POST')
    expect(seen).toMatchObject({ path: '/api/v1/projects?output=name', body: '{"kind":"Project"}' })
    expect(seen?.headers).toMatchObject({
      authorization: `Bearer ${one.token}`,
      'x-castellan-as': 'User:ada',
      host: new URL(between.url).host,
    })
  })

  test.each(['', 'Bearer', 'Bearer '])('without a credential (%j) nothing is sent', async (authorization) => {
    between.fresh()
    const response = await api('/projects', undefined, { headers: { authorization } })
    expect([response.status, response.headers.has('www-authenticate')]).toEqual([401, true])
    expect(between.fresh().filter(({ path }) => path.startsWith('/api/'))).toEqual([])
  })

  test('what is there to get a credential passes without one', async () => {
    expect(await (await api('/tokens/introspect')).json()).toEqual({ active: false })
    const routes = controlRoutes({ version: { version: '0.0.0' } } as ControlApiDeps, {} as ApiRecord)
    const open = routes.filter(isPublicRoute).map(({ path }) => path.replaceAll(/\{\w+\}/g, 'x'))
    expect(open.length).toBeGreaterThan(0)
    const isPublic = (path: string): boolean => PUBLIC_PATHS.some((known) => known.test(path))
    expect(open.filter((path) => !isPublic(path))).toEqual([])
    const others = routes
      .filter((route) => !isPublicRoute(route))
      .map(({ path }) => path.replaceAll(/\{\w+\}/g, 'x'))
    expect(others.filter(isPublic)).toEqual([])
  })

  test('a stream comes as it is said, and is left when its client leaves', async () => {
    const leave = new AbortController()
    const response = await api('/tokens/introspect?watch=true', one.token, { signal: leave.signal })
    const reader = response.body!.getReader()
    expect(Buffer.from((await reader.read()).value ?? '').toString()).toContain('"active":true')
    expect(Buffer.from((await reader.read()).value ?? '').toString()).toBe(': \n\n')
    leave.abort()
  })

  test('a control plane that is away is said so', async () => {
    between.set('cut')
    const response = await api('/projects', one.token)
    expect([response.status, await response.text()]).toEqual([
      503,
      expect.stringContaining('the control plane does not answer'),
    ])
    between.set('well')
  })
})

test.each([
  ['localhost', 200],
  ['mcp.example.com', 200],
  ['evil.example.com', 403],
])('a request for the host %s: %i', async (host, status) => {
  const answered = await new Promise<number | undefined>((resolve, reject) => {
    const sending = httpRequest(`${edge.origin}/healthz`, { headers: { host } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sending.once('error', reject).end()
  })
  expect(answered).toBe(status)
})

test('it is ready once its control plane was reached, and says that it ends before it does', async () => {
  const late = await startBetween(gate.daemon.origin)
  late.set('cut')
  const other = await startEdge(late.url, { keeps: false, env: { CASTELLAN_DRAIN_SECONDS: '1' } })
  const ready = async (): Promise<number> => (await fetch(`${other.origin}/readyz`)).status
  expect([(await fetch(`${other.origin}/healthz`)).status, await ready()]).toEqual([200, 503])
  late.set('well')
  await until('it is ready', async () => (await ready()) === 200)
  const access = { url: one.url.replace(edge.origin, other.origin), token: one.token }
  const stopped = other.stop()
  await until('it is not ready', async () => (await ready()) === 503)
  expect((await modernCaller(access).ask('tools/list')).status).toBe(200)
  await stopped
  await sleep(0)
  await late.close()
})

// oxfmt-ignore
test.each([
  [{ CASTELLAN_CONTROL_URL: 'not an address' },                        /not an http or https address/],
  [{ CASTELLAN_CONTROL_URL: 'https://me:secret@example.com' },         /needs no credential/],
  [{ CASTELLAN_DATABASE: 'postgres://db/castellan' },                  /--database means nothing for it/],
  [{ CASTELLAN_MASTER_KEY: 'x' },                                      /a master key means nothing for it/],
  [{ CASTELLAN_TOKEN_POSITIVE_TTL_MS: '60000' },                       /shorter, not longer/],
  [{ CASTELLAN_TOKEN_NEGATIVE_TTL_MS: '-1' },                          /up to 5000/],
  [{ CASTELLAN_ROLE: 'edge' },                                         /use one of: all, gateway/],
])('%j does not start', async (env, says) => {
  const given = { ...env } as Record<string, string>
  await expect(startEdge(given['CASTELLAN_CONTROL_URL'] ?? between.url, { keeps: false, env: given })).rejects.toThrow(says)
})
