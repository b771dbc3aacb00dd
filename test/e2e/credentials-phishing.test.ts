import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAuthorizationServer, type AuthorizationServer } from '../fixtures/authorization-server.ts'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { httpServer, project, until, type Json } from './gateway-harness.ts'
import { ask, login, type Reply } from './sign-in-harness.ts'

// A daemon that browsers elsewhere reach: who sends an address to somebody else must not end up with their account.

const PUBLIC = 'https://castellan.example.com'
let home: string
let upstream: Upstream
let authorization: AuthorizationServer
let daemon: Daemon
let credential: string

const named = (kind: string, name: string, spec: Json): Json => ({ kind, metadata: { name }, spec })

beforeAll(async () => {
  home = await makeHome()
  upstream = await startUpstream({ style: 'modern' })
  authorization = await startAuthorizationServer({ behind: upstream.url })
  daemon = await startDaemon(home, 0, { env: { CASTELLAN_PUBLIC_URL: PUBLIC } })
  await daemon.apply([
    httpServer('notes', authorization.url, { auth: { grant: 'oauth:notes', whose: 'per-user' } }),
    httpServer('board', authorization.url, { auth: { grant: 'oauth:board' } }),
    project('demo', ['notes', 'board']),
    named('User', 'mal', {}),
    named('RoleBinding', 'mal', {
      subjects: [{ kind: 'User', name: 'mal' }],
      bindings: [
        { role: 'view', resource: 'servers' },
        { role: 'run', resource: '*' },
      ],
    }),
  ])
  await daemon.call('POST', '/api/v1/users/mal/password', { password: PASSWORD })
  const { body } = await login(daemon.origin, 'mal', PASSWORD)
  credential = String(body['credential'])
})
afterAll(async () => {
  await daemon?.stop()
  await authorization?.close()
  await upstream?.close()
  await removeHome(home)
})

const PASSWORD = 'correct horse battery staple'
const asMal = (path: string, body: Json): Promise<Reply> =>
  ask(daemon.origin, ['POST', path], body, credential)

test('a person is led to our page, which knows who is there, and never straight to the authorization server', async () => {
  const { status, body } = await asMal('/api/v1/grants', { name: 'notes', server: 'notes', for: 'me' })
  expect(status).toBe(202)
  const { authorizeUrl, attempt } = body as { authorizeUrl: string; attempt: string }
  expect(authorizeUrl.startsWith(`${PUBLIC}/connect/cco1.`)).toBe(true)
  expect(authorization.count('authorize')).toBe(0)
  // Somebody who may do everything has given it to them meanwhile: whoever waits hears of that.
  const started = (await daemon.call('POST', '/api/v1/grants', {
    name: 'notes',
    server: 'notes',
    for: 'user:mal',
  })) as { authorizeUrl: string }
  const answer = await fetch(started.authorizeUrl, { redirect: 'manual' })
  const back = new URL(answer.headers.get('location') ?? '')
  expect(back.origin).toBe(PUBLIC)
  expect((await fetch(`${daemon.origin}${back.pathname}${back.search}`)).status).toBe(200)
  const stateOf = async (): Promise<unknown> => {
    const url = `${daemon.origin}/api/v1/grants/attempts/${attempt}`
    const reply = await fetch(url, { headers: { authorization: `Bearer ${credential}` } })
    return ((await reply.json()) as Json)['state']
  }
  await until('the attempt has ended', async () => (await stateOf()) === 'done')
})

test('what no page is for takes the right to give grants', async () => {
  for (const about of [
    { name: 'board', server: 'board' },
    { name: 'other', server: 'notes' },
  ])
    expect((await asMal('/api/v1/grants', { ...about, for: 'me' })).status).toBe(403)
})
