import { describe, expect, test } from 'vitest'
import { isUid } from '../../src/lib/id.ts'
import { recordUses } from '../../src/store/token-use.ts'
import { EVERYTHING, withControl, type Control } from './control-harness.ts'

const TOKEN = {
  apiVersion: 'castellan/v1',
  kind: 'Token',
  metadata: { name: 'bot', project: 'demo' },
  spec: { ttl: '1h' },
}

describe('who may', () => {
  test('without the admin credential nothing is answered, and the answer is always the same', () =>
    withControl(async ({ call, entries }) => {
      const headers = [
        '',
        'Bearer ',
        'Bearer ${X}',
        `Bearer csa_${'A'.repeat(43)}`,
        `Bearer cst_${'A'.repeat(43)}`,
        'Basic YTpi',
      ]
      const answers = []
      for (const authorization of headers)
        answers.push(await call('GET', '/api/v1/servers', undefined, { authorization }))
      answers.push(await call('GET', '/api/v1/nothing/here/at/all', undefined, { authorization: 'Bearer x' }))
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
      expect(answers[0]?.status).toBe(401)
      const reasons = entries.map((entry) => (entry.type === 'refusals' ? entry.reason : entry.type))
      expect(reasons).toEqual([
        'no-credential',
        'unset-variable',
        'unset-variable',
        'unknown',
        'unknown',
        'malformed',
        'malformed',
      ])
    }))

  test('a project token may read and change nothing here, and the refusal is on the record', () =>
    withControl(async ({ call, entries }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      const { secret } = (await call('POST', '/api/v1/tokens', TOKEN)).json
      entries.length = 0
      const authorization = `Bearer ${String(secret)}`
      for (const [method, path] of [
        ['GET', 'servers'],
        ['GET', 'audit'],
        ['DELETE', 'tokens/bot'],
        ['POST', 'shutdown'],
      ] as const) {
        expect((await call(method, `/api/v1/${path}`, undefined, { authorization })).status).toBe(403)
      }
      expect(
        entries.map((entry) => entry.type === 'intent' && [entry.event, entry.decision, entry.reason]),
      ).toEqual([
        ['view servers', 'deny', 'no-right'],
        ['view audit', 'deny', 'no-right'],
        ['delete tokens', 'deny', 'no-right'],
        ['run shutdown', 'deny', 'no-right'],
      ])
    }))
})

test('a refusal is a problem whose type leads to what it means, with no credential at all', () =>
  withControl(async ({ call }) => {
    const refused = await call('GET', '/api/v1/servers/nope')
    expect([refused.status, refused.type]).toEqual([404, 'application/problem+json'])
    expect(refused.json).toEqual({
      type: '/api/v1/faults/not_found',
      title: 'there is nothing by that name here',
      status: 404,
      detail: 'castellan get servers lists those that there are',
      code: 'not_found',
      hint: 'castellan get servers lists those that there are',
    })
    const page = await call('GET', String(refused.json['type']), undefined, { authorization: '' })
    expect([page.status, page.type]).toEqual([200, 'text/markdown; charset=utf-8'])
    expect(page.text).toMatch(/^## not_found\n/)
    expect((await call('GET', '/api/v1/faults/nope', undefined, { authorization: '' })).status).toBe(404)
  }))

test('a method that an address does not take is told with those that it takes, to who is known', () =>
  withControl(async ({ call }) => {
    for (const [method, path, allow] of [
      ['PUT', 'servers', 'GET, POST'],
      ['POST', 'servers/a', 'DELETE, GET, PATCH, PUT'],
      ['GET', 'auth/oidc/start', 'POST'],
    ] as const) {
      const answer = await call(method, `/api/v1/${path}`)
      expect([answer.status, answer.json.code, answer.headers.get('allow')]).toEqual([
        405,
        'method_not_allowed',
        allow,
      ])
    }
    expect((await call('PUT', '/api/v1/sevrers')).status).toBe(404)
    const unknown = await call('PUT', '/api/v1/servers', undefined, { authorization: '' })
    expect([unknown.status, unknown.headers.get('allow')]).toEqual([401, null])
  }))

describe('tokens', () => {
  test('the secret is shown once; use, expiry and revocation show and act', () =>
    withControl(async ({ call, clock, snapshot, store }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      const made = await call('POST', '/api/v1/tokens', TOKEN)
      expect(made.status).toBe(201)
      expect(made.json['secret']).toMatch(/^cst_[A-Za-z0-9_-]{43}$/)
      const uid = (made.json['metadata'] as { uid: string }).uid
      await recordUses(store.state, [{ uid, used_at_ms: clock.ms + 5000 }])
      const read = await call('GET', '/api/v1/tokens/bot')
      expect(read.text).not.toContain(made.json['secret'])
      expect(read.json['status']).toMatchObject({
        state: 'active',
        lastUsedAt: '2026-01-02T03:04:10.000Z',
        expiresAt: '2026-01-02T04:04:05.000Z',
      })
      clock.ms += 3_600_000
      expect((await call('GET', '/api/v1/tokens/bot')).json['status']).toMatchObject({ state: 'expired' })
      await call('PATCH', '/api/v1/tokens/bot', { spec: { revoked: true } })
      expect((await call('GET', `/api/v1/tokens/${uid}`)).json['status']).toMatchObject({ state: 'revoked' })
      expect([...snapshot.state().credentials.values()]).toContainEqual(
        expect.objectContaining({ name: 'bot', revoked: true }),
      )
      const back = await call('PATCH', '/api/v1/tokens/bot', { spec: { revoked: false } })
      expect(back.json.problems).toEqual(['spec.revoked: cannot be taken back; make a new Token instead'])
      const later = await call('PATCH', '/api/v1/tokens/bot', { spec: { ttl: 'never' } })
      expect(later.json.problems).toEqual([
        'spec.ttl: is fixed when a Token is created; make a new Token instead',
      ])
    }))

  test('a name that two projects have needs the project', () =>
    withControl(async ({ call }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      await call('POST', '/api/v1/projects', {
        apiVersion: 'castellan/v1',
        kind: 'Project',
        metadata: { name: 'two' },
        spec: {},
      })
      await call('POST', '/api/v1/tokens?project=two', { ...TOKEN, metadata: { name: 'laptop' } })
      expect((await call('GET', '/api/v1/tokens/laptop')).status).toBe(400)
      expect((await call('GET', '/api/v1/tokens/laptop?project=two')).json['metadata']).toMatchObject({
        project: 'two',
      })
      expect((await call('GET', '/api/v1/tokens?project=two')).json.items).toHaveLength(1)
      expect((await call('GET', '/api/v1/names/tok?project=two')).text).toBe('laptop\n')
    }))
})

describe('one resource', () => {
  test('create, replace, patch and delete', () =>
    withControl(async ({ call }) => {
      const server = {
        apiVersion: 'castellan/v1',
        kind: 'Server',
        metadata: { name: 'a' },
        spec: { transport: 'stdio', command: 'x' },
      }
      expect((await call('POST', '/api/v1/srv', server)).status).toBe(201)
      const twice = await call('POST', '/api/v1/servers', server)
      expect([twice.status, twice.json.code]).toEqual([409, 'conflict'])
      const put = await call('PUT', '/api/v1/servers/a', {
        ...server,
        spec: { transport: 'stdio', command: 'y' },
      })
      expect(put.json['metadata']).toMatchObject({ generation: 2 })
      const patched = await call('PATCH', '/api/v1/Server/a', { metadata: { labels: { x: 'y' } } })
      expect(patched.json).toMatchObject({
        metadata: { generation: 2, labels: { x: 'y' } },
        spec: { command: 'y' },
      })
      expect((await call('PUT', '/api/v1/servers/b', server)).status).toBe(404)
      const renamed = await call('PUT', '/api/v1/servers/a', { ...server, metadata: { name: 'b' } })
      expect(renamed.json.problems).toEqual([
        'metadata.name: must be the name in the address; a name cannot be changed',
      ])
      const wrong = await call('POST', '/api/v1/projects', server)
      expect(wrong.json.problems).toEqual(['kind: must be Project at this address'])
      expect((await call('DELETE', '/api/v1/servers/a')).json).toEqual({
        kind: 'Server',
        name: 'a',
        action: 'deleted',
      })
      expect((await call('GET', '/api/v1/servers/a')).status).toBe(404)
    }))

  test('many at once with one name: one is made', () =>
    withControl(async ({ call }) => {
      const project = { apiVersion: 'castellan/v1', kind: 'Project', metadata: { name: 'p' }, spec: {} }
      const all = await Promise.all(
        Array.from({ length: 10 }, () => call('POST', '/api/v1/projects', project)),
      )
      expect(all.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, ...Array(9).fill(409)])
    }))

  test('describe says who uses it, by name', () =>
    withControl(async ({ call }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      const { text, type } = await call('GET', '/api/v1/servers/remote?output=describe')
      expect(type).toMatch(/^text\/plain/)
      expect(text).toMatch(/Used by: +Project\/demo/)
      expect(text.split(/\s+/).filter(isUid)).toEqual([])
    }))
})

test.each([
  ['a misspelt parameter', 'GET', '/api/v1/servers?ouput=table', undefined, {}, 400, 'did you mean output?'],
  ['an unknown output', 'GET', '/api/v1/servers?output=xml', undefined, {}, 400, undefined],
  [
    'an unknown kind',
    'GET',
    '/api/v1/sevrers',
    undefined,
    {},
    404,
    'did you mean servers? the kinds are users, serviceaccounts, groups, secrets, identityproviders, servers, templates, projects, tokens, rolebindings, signins, instances',
  ],
  [
    'an unknown address',
    'GET',
    '/api/v1/servers/a/b/c',
    undefined,
    {},
    404,
    '/api/v1/openapi.json lists what there is',
  ],
  [
    'a form',
    'POST',
    '/api/v1/servers',
    'a=b',
    { 'content-type': 'application/x-www-form-urlencoded' },
    415,
    'send a manifest as Content-Type: application/yaml or application/json, not compressed',
  ],
  [
    'a compressed body',
    'POST',
    '/api/v1/servers',
    'x',
    { 'content-encoding': 'gzip' },
    415,
    'send a manifest as Content-Type: application/yaml or application/json, not compressed',
  ],
  [
    'a body over 8 MiB',
    'POST',
    '/api/v1/apply',
    'x'.repeat(8 * 1024 * 1024 + 1),
    {},
    413,
    'a body may have 8 MiB; apply the manifests in several parts',
  ],
  [
    'two manifests for one',
    'POST',
    '/api/v1/servers',
    'a: 1\n---\nb: 2',
    {},
    400,
    'send one manifest here; /api/v1/apply takes several',
  ],
  [
    'aliases without end',
    'POST',
    '/api/v1/apply',
    `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
      .split('')
      .map((letter, i) => `${letter}: &${letter} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}`,
    {},
    400,
    undefined,
  ],
  ['nesting without end', 'POST', '/api/v1/apply', '['.repeat(100_000), {}, 400, undefined],
  ['a body that is no text', 'POST', '/api/v1/apply', '\u0000\u0001', {}, 400, undefined],
])('%s', (...[, method, path, body, headers, status, hint]) =>
  withControl(async ({ call }) => {
    const answer = await call(method, path, body, headers)
    expect([answer.status, answer.json.hint], answer.text).toEqual([status, hint ?? answer.json.hint])
    expect(answer.json.code).not.toBe('internal')
  }),
)

describe('the record', () => {
  const act = (entry: Control['entries'][number]) =>
    entry.type === 'intent'
      ? [entry.event, entry.target, entry.project, entry.decision]
      : [entry.type, 'status' in entry ? entry.status : undefined]

  test('each change has an intent before and an outcome after', () =>
    withControl(async ({ call, entries }) => {
      await call('POST', '/api/v1/apply', EVERYTHING)
      expect(entries.map(act)).toEqual([
        ['create secrets', 'keys', undefined, 'allow'],
        ['create servers', 'remote', undefined, 'allow'],
        ['create servers', 'notes', undefined, 'allow'],
        ['create projects', 'demo', undefined, 'allow'],
        ['create tokens', 'laptop', 'demo', 'allow'],
        ...Array.from({ length: 5 }, () => ['outcome', 'ok']),
      ])
      entries.length = 0
      await call('DELETE', '/api/v1/servers/notes')
      expect(entries.map(act)).toEqual([['delete servers', undefined, undefined, 'deny']])
    }))

  test.each([
    ['takes nothing', { accepts: false, durable: true }],
    ['does not reach the disk', { accepts: true, durable: false }],
  ])('while it %s, nothing changes', (_, state) =>
    withControl(async ({ call, disk, snapshot }) => {
      Object.assign(disk, state)
      const answer = await call('POST', '/api/v1/apply', EVERYTHING)
      expect([answer.status, answer.json.code]).toEqual([503, 'unavailable'])
      expect(snapshot.current().revision).toBe(0)
      expect((await call('GET', '/api/v1/servers')).status).toBe(200)
    }),
  )
})

test('the daemon: status, version, logs, audit, shutdown', () =>
  withControl(async ({ call, shutdowns }) => {
    await call('POST', '/api/v1/apply', EVERYTHING)
    const status = await call('GET', '/api/v1/status?output=table')
    expect(status.text).toMatch(/uptime: +1m 5s/)
    expect(status.text).toMatch(/notes +stdio +Pending/)
    expect((await call('GET', '/api/v1/status')).json['servers']).toHaveLength(2)
    expect((await call('GET', '/api/v1/version')).json).toMatchObject({ version: '0.1.0' })
    expect((await call('GET', '/api/v1/logs?tail=2')).text).toBe('one\ntwo\n')
    expect((await call('GET', '/api/v1/servers/notes/logs')).text).toBe('notes\n')
    expect((await call('GET', '/api/v1/servers/nope/logs')).status).toBe(404)
    expect((await call('GET', '/api/v1/audit?since=1h&output=table')).text).toMatch(/^TIME/)
    expect((await call('GET', '/api/v1/audit?since=yesterday')).status).toBe(400)
    expect((await call('POST', '/api/v1/shutdown')).status).toBe(202)
    await new Promise((resolve) => setImmediate(resolve))
    expect(shutdowns.count).toBe(1)
  }))
