import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startUpstream, type Upstream } from '../fixtures/upstream.ts'
import { startBetween, startEdge, type Between, type Edge } from './edge-harness.ts'
import {
  createToken,
  httpServer,
  initializeParams,
  jsonRpc,
  modernCaller,
  namesIn,
  openLegacy,
  project,
  secret,
  send,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Answer,
  type Gate,
  type Json,
  type LegacyCaller,
} from './gateway-harness.ts'
import { castellan } from './system-harness.ts'

/* Who calls an edge, what they see of it, and for how long after their control plane has said so. */

const INTROSPECT = '/api/v1/tokens/introspect'
const SECRET = 'the-key-that-stays-behind'

let gate: Gate
let between: Between
let edge: Edge
let open: Upstream
let guarded: Upstream

beforeAll(async () => {
  open = await startUpstream({ name: 'open', style: 'modern' })
  guarded = await startUpstream({ name: 'guarded', style: 'sessions' })
  const headers = [{ name: 'X-Api-Key', valueFrom: { secretRef: { name: 'keys', key: 'guarded' } } }]
  gate = await startGate([
    secret('keys', { guarded: SECRET }),
    httpServer('open', open.url),
    httpServer('guarded', guarded.url, { headers }),
    stdioServer('kept', [], { instances: 'per-session' }),
    project('main', ['open', 'guarded', 'kept']),
    project('other', ['open']),
  ])
  between = await startBetween(gate.daemon.origin)
  edge = await startEdge(between.url)
})

afterAll(async () => {
  await edge?.stop()
  await between?.close()
  await gate?.end()
  await open?.close()
  await guarded?.close()
})

let tokens = 0

async function caller(
  spec: Json = {},
  name = `caller-${++tokens}`,
): Promise<Access & { readonly name: string }> {
  return { url: at('main'), token: await createToken(gate.daemon, 'main', name, spec), name }
}

const at = (name: string): string => `${edge.origin}/projects/${name}/mcp`
const revoke = (name: string) => gate.daemon.call('DELETE', `/api/v1/tokens/${name}?project=main`)
const call = (access: Access, name: string, args: Json = { text: 'hi' }): Promise<Answer> =>
  modernCaller(access).ask('tools/call', { name, arguments: args })
const knock = (access: Access): Promise<Answer> =>
  send(access, { body: jsonRpc(0, 'initialize', initializeParams('2025-11-25')) })

/** From here on the edge hears at once what becomes of them. */
const isWatched = ({ token }: Access): Promise<unknown> =>
  until('the watch is there', () =>
    between.seen.some(
      ({ path, headers, answer }) =>
        path.includes('watch=true') &&
        headers.authorization === `Bearer ${token}` &&
        answer.includes('"active":true'),
    ),
  )

async function tokenOf(name: string): Promise<{ readonly manifest: Json }> {
  const { kind, metadata } = (await gate.daemon.call('GET', `/api/v1/tokens/${name}?project=main`)) as Json
  const { project } = metadata as Json
  return { manifest: { kind, metadata: { name, project } } }
}

describe('what the edge sends', () => {
  test('nothing but with the credential of the caller it is for, and no secret comes back', async () => {
    between.fresh()
    const legacy = await caller()
    const modern = await caller()
    const session = await openLegacy(legacy)
    expect(namesIn(await session.ask('tools/list'))).toContain('guarded__echo')
    for (const tool of ['open__echo', 'guarded__echo']) {
      expect((await session.ask('tools/call', { name: tool, arguments: { text: 'a' } })).status).toBe(200)
      expect((await call(modern, tool)).status).toBe(200)
    }
    const seen = between.fresh().filter(({ path }) => path !== '/healthz')
    const known = new Set([legacy, modern].map(({ token }) => `Bearer ${token}`))
    expect(seen.length).toBeGreaterThan(8)
    expect(seen.filter(({ headers }) => !known.has(headers.authorization ?? ''))).toEqual([])
    expect(guarded.last('tools/call')?.headers['x-api-key']).toBe(SECRET)
    expect(between.seen.filter(({ answer, body }) => (answer + body).includes(SECRET))).toEqual([])
    // What needs no secret never went there, and the credential of the caller went nowhere else.
    expect(seen.filter(({ path }) => path.includes('/servers/open/'))).toEqual([])
    expect(open.seen.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
  })

  test('two tokens of one project each see their own, whoever came first', async () => {
    const wide = await caller()
    const narrow = await caller({
      bindings: ['guarded__echo', 'open__fail'].map((name) => ({ role: 'run', resource: 'tools', name })),
    })
    const seen = await Promise.all(
      [wide, narrow, wide, narrow].map(async (access) =>
        namesIn(await modernCaller(access).ask('tools/list')),
      ),
    )
    expect(seen[0]).toContain('open__echo')
    expect(seen[2]).toEqual(seen[0])
    expect(seen[1]).toEqual(['open__fail', 'guarded__echo'])
    expect(seen[3]).toEqual(seen[1])
    const answers = await Promise.all(
      [narrow, wide, narrow].map((access, i) => call(access, i === 2 ? 'guarded__echo' : 'open__echo')),
    )
    expect(answers.map(({ reply }) => 'result' in reply)).toEqual([false, true, true])
    between.fresh()
    const mixed = [wide, narrow, narrow, wide, narrow, wide]
    await Promise.all(
      mixed.map((access) => call(access, 'guarded__echo', { text: `said-by-${access.name}` })),
    )
    const sentAs = between
      .fresh()
      .filter(({ body }) => body.includes('said-by-'))
      .map(({ body, headers }) => [/said-by-([\w-]+)/.exec(body)?.[1], headers.authorization])
    expect(sentAs).toHaveLength(mixed.length)
    for (const [name, authorization] of sentAs)
      expect(authorization).toBe(`Bearer ${mixed.find((access) => access.name === name)?.token}`)
    // Where a server is, is told to those who may use all of it.
    const [project] = between.seen
      .filter(
        ({ path, headers }) => path.endsWith('/edge') && headers.authorization === `Bearer ${narrow.token}`,
      )
      .map(({ answer }) => answer)
    expect(project).not.toContain(new URL(open.url).host)
  })

  test('each session of a client is one at the control plane as well: what a server keeps for it is its own', async () => {
    const one = await caller()
    const instanceOf = async (session: LegacyCaller): Promise<unknown> => {
      const answer = await session.ask('tools/call', { name: 'kept__about', arguments: {} })
      return (toolJson(answer) as Json)['instance']
    }
    const [first, second] = [await openLegacy(one), await openLegacy(one)]
    const kept = await instanceOf(first)
    expect(await instanceOf(second)).not.toBe(kept)
    expect(await instanceOf(first)).toBe(kept)
  })

  test('the control plane has each of them on its record', async () => {
    const one = await caller()
    await call(one, 'guarded__echo')
    const query = `/api/v1/audit?token=${one.name}&output=json`
    const found = await until('the record', async () => {
      const { items } = (await gate.daemon.call('GET', query)) as { items: Json[] }
      return items.find(({ target }) => target === 'echo' || target === 'guarded__echo')
    })
    expect(found['tokenName'] ?? found['token']).toBe(one.name)
  })

  test("what the edge reaches by itself is on its own, which verifies; it keeps nothing that is anybody else's", async () => {
    const one = await caller()
    await call(one, 'open__echo')
    const said = await castellan(['audit', 'verify', '--home', edge.home!])
    expect([said.status, said.stdout]).toEqual([0, expect.stringMatching(/[1-9]\d* entries/)])
    const kept = readdirSync(edge.home!).filter((name) => !/-(?:wal|shm|journal)$/.test(name))
    expect(
      kept.filter((name) => !/^(?:audit[.-]|daemon\.|logs$|master\.key$|state\.db$)/.test(name)),
    ).toEqual([])
    for (const name of kept.filter((name) => name !== 'logs' && !name.endsWith('.lock')))
      if (statSync(join(edge.home!, name)).isFile())
        expect(readFileSync(join(edge.home!, name), 'latin1')).not.toContain(one.token)
  })

  test('a project that is not theirs is refused in the same words, whether there is one or not', async () => {
    const one = await caller()
    const answers = await Promise.all(
      ['other', 'nowhere'].map((name) => knock({ url: at(name), token: one.token })),
    )
    expect(answers.map(({ status }) => status)).toEqual([403, 403])
    expect(answers[0]!.text).toBe(answers[1]!.text)
    const there = await knock({ url: `${gate.daemon.origin}/projects/other/mcp`, token: one.token })
    expect(there.text).toBe(answers[0]!.text)
  })
})

describe('a person who is signed in', () => {
  const PASSWORD = 'correct horse battery staple'
  const signIn = async (user: string): Promise<string> => {
    const response = await fetch(`${edge.origin}/api/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, password: PASSWORD }),
    })
    return ((await response.json()) as { credential: string }).credential
  }

  test('uses the projects that they have a right to, until they sign out', async () => {
    const bindings = [{ role: 'run', resource: 'projects', name: 'other' }]
    await gate.daemon.apply([
      { kind: 'User', metadata: { name: 'ada' }, spec: {} },
      {
        kind: 'RoleBinding',
        metadata: { name: 'ada-other' },
        spec: { subjects: [{ kind: 'User', name: 'ada' }], bindings },
      },
    ])
    await gate.daemon.call('POST', '/api/v1/users/ada/password', { password: PASSWORD })
    const [first, second] = [await signIn('ada'), await signIn('ada')]
    const inOther = (token: string): Access => ({ url: at('other'), token })
    for (const token of [first, second]) expect((await call(inOther(token), 'open__echo')).status).toBe(200)
    const others = await Promise.all(
      ['main', 'nowhere'].map((name) => knock({ url: at(name), token: first })),
    )
    expect(others.map(({ status }) => status)).toEqual([404, 404])
    expect(others[0]?.text).toBe(others[1]?.text)
    await fetch(`${edge.origin}/api/v1/auth/logout`, {
      method: 'POST',
      headers: { authorization: `Bearer ${first}` },
    })
    await until(
      'that sign-in has ended',
      async () => (await call(inOther(first), 'open__echo')).status === 401,
    )
    expect((await call(inOther(second), 'open__echo')).status).toBe(200)
  })
})

test('the administrator of the host is one at their own daemon only', async () => {
  between.fresh()
  const { status } = await knock({ url: at('main'), token: `csa_${'A'.repeat(43)}` })
  expect([
    status,
    between.fresh().filter(({ path }) => path !== '/healthz' && !path.includes('watch')),
  ]).toEqual([401, []])
})

describe('a token that is revoked', () => {
  test('is refused at once, while the edge hears of it', async () => {
    between.set('well')
    const one = await caller()
    expect((await call(one, 'open__echo')).status).toBe(200)
    await isWatched(one)
    let over = false
    const stream = await (await openLegacy(one)).listen()
    void stream.answer.catch(() => undefined).then(() => (over = true))
    await revoke(one.name)
    // The answer to the revocation and the news of it travel on two connections.
    await until('it is refused', async () => (await call(one, 'open__echo')).status === 401, 1000)
    await until('its stream ends', () => over, 2000)
  })

  test('is refused within 5 s, while the edge hears of nothing', async () => {
    between.set('no-streams')
    const one = await caller()
    const stop = performance.now() + 3000
    while (performance.now() < stop) expect((await call(one, 'open__echo')).status).toBe(200)
    await revoke(one.name)
    const revoked = performance.now()
    let last = revoked
    // Used all the time, so that no pause could be what ends it.
    await until('it is refused', async () => {
      const { status } = await call(one, 'open__echo')
      if (status === 200) last = performance.now()
      return status === 401
    })
    expect(last - revoked).toBeLessThan(5000)
    between.set('well')
  })

  test('is refused by the control plane too, whatever the edge still thinks', async () => {
    between.set('no-streams')
    const one = await caller()
    expect((await call(one, 'guarded__echo')).status).toBe(200)
    await revoke(one.name)
    const calls = guarded.count('tools/call')
    expect((await call(one, 'guarded__echo')).reply).toHaveProperty('error')
    expect((await call(one, 'guarded__echo')).status).toBe(401)
    expect(guarded.count('tools/call')).toBe(calls)
    between.set('well')
  })

  test('what a token may do changes while it is in use', async () => {
    const one = await caller()
    expect(namesIn(await modernCaller(one).ask('tools/list'))).toContain('open__echo')
    await isWatched(one)
    const { manifest } = await tokenOf(one.name)
    await gate.daemon.apply([
      { ...manifest, spec: { bindings: [{ role: 'run', resource: 'servers', name: 'guarded' }] } },
    ])
    await until('it sees less', async () => {
      const names = namesIn(await modernCaller(one).ask('tools/list'))
      return names.includes('guarded__echo') && !names.some((name) => name.startsWith('open__'))
    })
    expect((await call(one, 'open__echo')).reply).toHaveProperty('error')
  })
})

describe('a control plane that is away', () => {
  afterEach(async () => {
    between.set('well')
    await until('it is ready', async () => (await fetch(`${edge.origin}/readyz`)).ok)
  })

  test('callers who are known are served for as long as they are, everybody else is told to try again', async () => {
    const known = await caller()
    const unknown = await caller()
    expect((await call(known, 'open__echo')).status).toBe(200)
    await isWatched(known)
    between.set('cut')
    const cut = performance.now()
    const refused = await knock(unknown)
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1'])
    expect(refused.text).toContain('the control plane does not answer')
    let last = cut
    let served = 0
    await until('they are not known any more', async () => {
      const { status } = await call(known, 'open__echo')
      if (status === 200) [last, served] = [performance.now(), served + 1]
      return status === 503
    })
    expect(served).toBeGreaterThan(10)
    expect(last - cut).toBeLessThan(5500)
    between.set('well')
    await until('they are served again', async () => (await call(known, 'open__echo')).status === 200)
    await until('so is who was not known', async () => (await knock(unknown)).status === 200)
    // What had been lost with the control plane comes back with it, without a pause of its own.
    await until('through it too', async () => 'result' in (await call(known, 'guarded__echo')).reply, 3000)
  })

  test('is asked again by every request: that it was away is kept by nobody', async () => {
    const one = await caller()
    between.set('cut')
    expect((await knock(one)).status).toBe(503)
    between.set('well')
    expect((await knock(one)).status).toBe(200)
  })

  test('that is slow costs the first request that time, once for all who wait', async () => {
    const one = await caller()
    between.slowBy(400)
    between.fresh()
    const all = await Promise.all(Array.from({ length: 20 }, () => knock(one)))
    between.slowBy(0)
    expect(all.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    const asked = between
      .fresh()
      .filter(({ path, headers }) => path === INTROSPECT && headers.authorization === `Bearer ${one.token}`)
    expect(asked).toHaveLength(1)
  })
})
