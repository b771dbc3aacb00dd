import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { startEdge, type Edge } from './edge-harness.ts'
import { modernCaller, namesIn, until, type Access, type Answer, type Json } from './gateway-harness.ts'

/* A control plane that answers slowly, wrongly, too much, or as another version would. */

type Handle = (request: IncomingMessage, response: ServerResponse) => void

let control: Server
let handle: Handle
let asked: string[] = []
let edge: Edge
let upstream: Upstream

beforeAll(async () => {
  upstream = await startUpstream({ style: 'modern' })
  control = createServer((request, response) => {
    if (request.url !== '/healthz') {
      asked.push(request.url ?? '')
      handle(request, response)
    } else response.end('ok\n')
  })
  await new Promise<void>((resolve) => {
    control.listen(0, '127.0.0.1', resolve)
  })
  edge = await startEdge(`http://127.0.0.1:${(control.address() as AddressInfo).port}`)
})

afterAll(async () => {
  await edge?.stop()
  control?.closeAllConnections()
  await new Promise((resolve) => {
    control.close(resolve)
  })
  await upstream?.close()
})

let tokens = 0
let caller: Access

beforeEach(() => {
  asked = []
  caller = { url: `${edge.origin}/projects/main/mcp`, token: `cst_${String(++tokens).padStart(43, '0')}` }
})

const json =
  (status: number, value: unknown): Handle =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

const good = (more: Json = {}): Json => ({
  active: true,
  kind: 'token',
  token: { uid: `tok_${tokens}`, name: 'one', project: 'main' },
  access: { project: 'main', scopes: ['all'] },
  revision: 'r1',
  ...more,
})

const project = (more: Json = {}): Json => ({
  uid: 'prj_1',
  name: 'main',
  spec: { servers: ['open'] },
  servers: [{ uid: 'srv_1', name: 'open', via: 'direct', spec: { transport: 'http', url: upstream.url } }],
  ...more,
})

/** Says of a credential and of the project what it is told to; has no streams. */
const answering =
  (standing: Json, configuration: Json): Handle =>
  (request, response) => {
    const { url = '' } = request
    if (url.includes('watch=true')) response.writeHead(404).end()
    else json(200, url.endsWith('/edge') ? configuration : standing)(request, response)
  }

const list = (): Promise<Answer> => modernCaller(caller).ask('tools/list')

test('what all these tests change works when nothing is changed', async () => {
  handle = answering(good(), project())
  expect(namesIn(await list())).toContain('open__echo')
})

describe('nothing is concluded from an answer that is none, and it is asked again', () => {
  const page = '<!doctype html><title>Sign in</title>'
  // oxfmt-ignore
  test.each<readonly [string, Handle]>([
    ['a page of a portal',         (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end(page)],
    ['a page that says JSON',      (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(page)],
    ['a redirect to one',          (_, response) => void response.writeHead(302, { location: '/login' }).end()],
    ['a proxy without its server', (_, response) => void response.writeHead(502, { 'content-type': 'text/html' }).end(page)],
    ['a limit',                    json(429, {})],
    ['not found',                  json(404, { error: 'no such route' })],
    ['another kind of answer',     json(200, { ok: true })],
    ['active, and nobody',         json(200, { active: true })],
    ['active as a text',           json(200, good({ active: 'true' }))],
    ['a kind that is not known',   json(200, good({ kind: 'robot' }))],
    ['scopes that are not known',  json(200, good({ access: { project: 'main', scopes: [{ everything: true }] } }))],
    ['no scopes at all',           json(200, good({ access: { project: 'main', scopes: [] } }))],
    ['an end that lies behind',    json(200, good({ expiresInMs: -1 }))],
    ['an array',                   json(200, [])],
    ['nothing',                    (_, response) => void response.destroy()],
    ['half an answer',             (_, response) => { response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' }); response.write('{"active":true,'); setTimeout(() => response.destroy(), 20) }],
  ])('%s', async (_, how) => {
    handle = how
    const refused = await list()
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1'])
    expect(refused.text).not.toContain('Sign in')
    handle = answering(good(), project())
    expect(namesIn(await list())).toContain('open__echo')
  })

  test('an answer without an end', async () => {
    handle = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = (): void => {
        if (!response.destroyed) response.write(' '.repeat(1 << 20), () => setImmediate(more))
      }
      more()
    }
    expect((await list()).status).toBe(503)
    handle = answering(good(), project())
    expect(namesIn(await list())).toContain('open__echo')
  })

  test('silence', async () => {
    handle = () => undefined
    const waiting = list()
    // Somebody else is not held up by it.
    await until('it was asked', () => asked.length > 0)
    expect((await waiting).status).toBe(503)
  })
})

describe('of a project', () => {
  // oxfmt-ignore
  test.each<readonly [string, Json]>([
    ['that is another',              { name: 'other' }],
    ['without servers',              { servers: undefined }],
    ['with a server without a name', { servers: [{ uid: 'srv_1', via: 'control' }] }],
    ['with a name that is a path',   { servers: [{ uid: 'srv_1', name: '../../api', via: 'control' }] }],
    ['with rules that are none',     { spec: { servers: ['open'], tools: { deny: 'everything' } } }],
  ])('%s: it is as if there had been no answer', async (_, change) => {
    handle = answering(good(), project(change))
    expect((await list()).status).toBe(503)
  })
})

describe('a newer control plane', () => {
  test('may say more of everything', async () => {
    handle = answering(
      good({ issuedBy: 'somebody', token: { uid: 'tok_new', name: 'one', project: 'main', colour: 'red' } }),
      project({ region: 'north', spec: { servers: ['open'], quota: { calls: 7 } } }),
    )
    expect(namesIn(await list())).toContain('open__echo')
  })

  test('has servers of a kind that is not known here: they are left to it', async () => {
    const through: string[] = []
    const there = answering(
      good(),
      project({
        servers: [
          { uid: 'srv_2', name: 'open', via: 'direct', spec: { transport: 'quic', url: upstream.url } },
        ],
      }),
    )
    handle = (request, response) => {
      if (request.url?.startsWith('/projects/') !== true) return there(request, response)
      through.push(request.url)
      response.writeHead(404).end()
    }
    await list()
    expect(through).toContain('/projects/main/servers/open/mcp')
  })
})

test('a process that it names is not started here, nor anywhere but behind it', async () => {
  handle = answering(
    good(),
    project({
      servers: [
        { uid: 'srv_3', name: 'open', via: 'direct', spec: { transport: 'stdio', command: '/bin/sh' } },
      ],
    }),
  )
  const before = upstream.seen.length
  await list()
  expect(asked).toContain('/projects/main/servers/open/mcp')
  expect(upstream.seen.length).toBe(before)
})
