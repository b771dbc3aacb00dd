import { afterAll, beforeAll, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import {
  at,
  createToken,
  endpoint,
  httpServer,
  modernCaller,
  namesIn,
  openLegacy,
  project,
  send,
  startGate,
  until,
  type Access,
  type Gate,
  type Json,
  type Running,
} from './gateway-harness.ts'

/* Rights that end while something is open, and what is said unasked to those who may use a part of a project. */

let gate: Gate
let alpha: Upstream
let beta: Upstream

beforeAll(async () => {
  ;[alpha, beta] = await Promise.all([startUpstream({ name: 'alpha' }), startUpstream({ name: 'beta' })])
  gate = await startGate([
    httpServer('alpha', alpha.url),
    httpServer('beta', beta.url),
    project('demo', ['alpha', 'beta']),
    ...['ada', 'ben', 'cy'].map((name) => ({ kind: 'User', metadata: { name }, spec: {} })),
    ...['ada', 'ben', 'cy'].map((name) =>
      given(`of.${name}`, { kind: 'User', name }, [{ role: 'run', resource: 'projects', name: 'demo' }]),
    ),
  ])
})

afterAll(async () => {
  await gate?.end()
  await alpha?.close()
  await beta?.close()
})

const given = (name: string, subject: Json, bindings: readonly Json[]): Json => ({
  kind: 'RoleBinding',
  metadata: { name },
  spec: { subjects: [subject], bindings },
})

const RUN = [{ role: 'run', resource: 'projects', name: 'demo' }]

async function tokenOf(user: string, name: string, bindings: readonly Json[] = RUN): Promise<Access> {
  const token = await createToken(gate.daemon, 'demo', name, {
    owner: { kind: 'User', name: user },
    bindings,
  })
  return { url: endpoint(gate.daemon, 'demo'), token }
}

const call = async (access: Access): Promise<number> =>
  (await modernCaller(access).ask('tools/call', { name: 'alpha__echo', arguments: { message: 'x' } })).status

const rest = async ({ token }: Access): Promise<number> =>
  (await send({ url: `${gate.daemon.origin}/api/v1/auth/me`, token }, { method: 'GET' })).status

const setUser = (name: string, spec: Json): Promise<void> =>
  gate.daemon.apply([{ kind: 'User', metadata: { name }, spec }])

const listen = (access: Access): Running =>
  modernCaller(access).begin('subscriptions/listen', {
    notifications: { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true },
  })

const heard = (stream: Running, method: string): boolean =>
  stream.messages.some((message) => message['method'] === method)

test('a token ends with its owner, at once and everywhere, and no other of that name revives it', async () => {
  const access = await tokenOf('ada', 'of-ada')
  const warm = await openLegacy(access)
  const [stream, modern] = [await warm.listen(), listen(access)]
  await until('it listens', () => heard(modern, 'notifications/subscriptions/acknowledged'))
  expect([await call(access), await rest(access)]).toEqual([200, 200])
  await gate.daemon.call('DELETE', '/api/v1/users/ada')
  expect([await call(access), await rest(access), (await warm.ask('tools/list')).status]).toEqual([
    401, 401, 401,
  ])
  await Promise.all([stream.answer, modern.answer])
  await setUser('ada', {})
  expect([await call(access), await rest(access)]).toEqual([401, 401])
})

test('an owner who is disabled takes their tokens with them, and brings them back', async () => {
  const access = await tokenOf('ben', 'of-ben')
  expect(await call(access)).toBe(200)
  await setUser('ben', { disabled: true })
  expect([await call(access), await rest(access)]).toEqual([401, 401])
  await setUser('ben', {})
  expect([await call(access), await rest(access)]).toEqual([200, 200])
})

test('D6, a warm session ends with the token, revoked or deleted', async () => {
  for (const end of ['revoke', 'delete']) {
    const name = `warm-${end}`
    const access = await tokenOf('cy', name)
    const warm = await openLegacy(access)
    expect((await warm.ask('tools/list')).status).toBe(200)
    if (end === 'delete') await gate.daemon.call('DELETE', `/api/v1/tokens/${name}?project=demo`)
    else {
      const spec = { owner: { kind: 'User', name: 'cy' }, bindings: RUN, revoked: true }
      await gate.daemon.apply([{ kind: 'Token', metadata: { name, project: 'demo' }, spec }])
    }
    expect((await warm.ask('tools/list')).status).toBe(401)
  }
})

test('who is signed out is gone, with what they had open, once the last of their sign-ins is', async () => {
  const password = 'correct horse battery'
  await gate.daemon.call('POST', '/api/v1/users/cy/password', { password })
  const signIn = async (): Promise<Access> => {
    const given = { user: 'cy', password }
    const { credential } = (await gate.daemon.call('POST', '/api/v1/auth/login', given)) as {
      credential: string
    }
    return { url: endpoint(gate.daemon, 'demo'), token: credential }
  }
  const [one, other] = [await signIn(), await signIn()]
  const open = [await (await openLegacy(one)).listen(), listen(one)]
  const signOut = ({ token }: Access) => send({ url: `${gate.daemon.origin}/api/v1/auth/logout`, token }, {})
  expect((await signOut(other)).status).toBe(200)
  expect([await call(one), await call(other)]).toEqual([200, 401])
  expect((await signOut(one)).status).toBe(200)
  expect(await call(one)).toBe(401)
  await Promise.all(open.map((stream) => stream.answer))
})

test('a right that the owner loses, the token loses with the next call, and streams end', async () => {
  const access = await tokenOf('cy', 'of-cy')
  const warm = await openLegacy(access)
  const [stream, modern] = [await warm.listen(), listen(access)]
  await until('it listens', () => heard(modern, 'notifications/subscriptions/acknowledged'))
  await gate.daemon.apply([
    given('of.cy', { kind: 'User', name: 'cy' }, [{ role: 'view', resource: 'servers' }]),
  ])
  expect([await call(access), await rest(access)]).toEqual([403, 200])
  await Promise.all([stream.answer, modern.answer])
  await gate.daemon.apply([given('of.cy', { kind: 'User', name: 'cy' }, RUN)])
  expect(await call(access)).toBe(200)
})

test('D4, two tokens that take turns on one project see each what is theirs', async () => {
  const tool = (name: string) => [{ role: 'run', resource: 'tools', name }]
  const [one, other] = [
    await tokenOf('ben', 'one', tool('alpha__*')),
    await tokenOf('ben', 'other', tool('*__echo')),
  ]
  for (let turn = 0; turn < 3; turn++) {
    const [ones, others] = await Promise.all(
      [one, other].map((access) => modernCaller(access).ask('tools/list')),
    )
    expect(ones && namesIn(ones)).toEqual(['alpha__echo', 'alpha__slow', 'alpha__fail', 'alpha__verbatim'])
    expect(others && namesIn(others)).toEqual(['alpha__echo', 'beta__echo'])
  }
})

test('what changes at a server is told to those who may use it, and of the rest nothing', async () => {
  const whole = [{ role: 'run', resource: 'servers', name: 'alpha' }]
  const access = await tokenOf('ben', 'of-alpha', whole)
  const legacy = await (await openLegacy(access)).listen()
  const modern = listen(access)
  const all = listen(await gate.access('demo'))
  for (const stream of [modern, all])
    await until('it listens', () => heard(stream, 'notifications/subscriptions/acknowledged'))
  await until('the servers are listened to', () => alpha.listeners() > 0 && beta.listeners() > 0)
  const before = [legacy, modern].map(({ messages }) => messages.length)
  beta.notify('notifications/prompts/list_changed')
  await until('who may use all of it hears of it', () => heard(all, 'notifications/prompts/list_changed'))
  alpha.notify('notifications/tools/list_changed')
  for (const stream of [legacy, modern])
    await until('alpha is heard', () => heard(stream, 'notifications/tools/list_changed'))
  // Told in the order in which they happened: had it been told of beta, it would have been before.
  expect([legacy, modern].map((stream) => heard(stream, 'notifications/prompts/list_changed'))).toEqual([
    false,
    false,
  ])
  expect([legacy, modern].map(({ messages }, i) => messages.length - (before[i] ?? 0))).toEqual([1, 1])
  for (const stream of [legacy, modern, all]) stream.hangUp()
})

test('who may use one server subscribes to its resources and to no others', async () => {
  const access = await tokenOf('ben', 'reads-alpha', [{ role: 'run', resource: 'servers', name: 'alpha' }])
  const listed = await modernCaller(await gate.access('demo')).ask('resources/list')
  const uris = (at(listed.reply, 'result.resources') as { uri: string }[]).map(({ uri }) => uri)
  expect(uris.length).toBe(2)
  const stream = modernCaller(access).begin('subscriptions/listen', {
    notifications: { resourceSubscriptions: uris },
  })
  await until('it listens', () => heard(stream, 'notifications/subscriptions/acknowledged'))
  const legacy = await openLegacy(access)
  for (const uri of uris) await legacy.ask('resources/subscribe', { uri })
  // A server is asked for whatever it might have; one that the caller may not use is not asked at all.
  expect([alpha.count('resources/subscribe') > 0, beta.count('resources/subscribe')]).toEqual([true, 0])
  const stays = await legacy.listen()
  beta.notify('notifications/resources/updated', { uri: 'fixture://note' })
  alpha.notify('notifications/resources/updated', { uri: 'fixture://note' })
  for (const one of [stream, stays]) {
    await until('alpha is heard', () => heard(one, 'notifications/resources/updated'))
    const updates = one.messages.filter(({ method }) => method === 'notifications/resources/updated')
    expect(updates.map((message) => at(message, 'params.uri'))).toEqual(['fixture://alpha.castellan/note'])
    one.hangUp()
  }
})
