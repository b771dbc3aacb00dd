import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OPERATIONS } from '../../src/access/resources.ts'
import { checkRoutes } from '../../src/control/api/control-api.ts'
import { json, type Route } from '../../src/control/api/route.ts'
import { manifestSchema } from '../../src/control/kind-schema.ts'
import { EVERYTHING as ALL_RIGHTS } from '../../src/kinds/binding.ts'
import { KINDS } from '../../src/kinds/registry.ts'
import { makeHome, openControl, EVERYTHING, type Control } from './control-harness.ts'
import { rm } from 'node:fs/promises'

/* Somebody who may do a little tries for more. Ben may do what stands in `WORLD`; nothing that he tries gives him more. */

const WORLD = `
{apiVersion: castellan/v1, kind: User, metadata: {name: ada}, spec: {}}
---
{apiVersion: castellan/v1, kind: User, metadata: {name: ben}, spec: {}}
---
{apiVersion: castellan/v1, kind: Group, metadata: {name: team}, spec: {members: [{kind: User, name: ben}]}}
---
{apiVersion: castellan/v1, kind: Group, metadata: {name: bosses}, spec: {members: [{kind: User, name: ada}]}}
---
{apiVersion: castellan/v1, kind: Server, metadata: {name: hidden}, spec: {transport: stdio, command: hidden-server}}
---
{apiVersion: castellan/v1, kind: Project, metadata: {name: secret}, spec: {servers: [hidden, notes]}}
---
{apiVersion: castellan/v1, kind: Token, metadata: {name: theirs, project: secret}, spec: {}}
---
apiVersion: castellan/v1
kind: RoleBinding
metadata: {name: admins}
spec:
  subjects: [{kind: Group, name: bosses}, {kind: User, name: yet-to-come}, {kind: ServiceAccount, name: robot}]
  bindings: [{role: view, resource: '*'}, {role: create, resource: '*'}, {role: edit, resource: '*'},
    {role: delete, resource: '*'}, {role: run, resource: '*'}, {role: run, action: '*'}]
---
apiVersion: castellan/v1
kind: RoleBinding
metadata: {name: in-advance}
spec:
  subjects: [{kind: Token, name: promised, project: demo}]
  bindings: [{role: delete, resource: '*'}]
---
apiVersion: castellan/v1
kind: RoleBinding
metadata: {name: team}
spec:
  subjects: [{kind: Group, name: team}]
  bindings:
    - {role: create, resource: '*'}
    - {role: edit, resource: rolebindings, name: team}
    - {role: edit, resource: groups, name: team}
    - {role: edit, resource: users, name: ben}
    - {role: edit, resource: serviceaccounts}
    - {role: edit, resource: servers, name: notes}
    - {role: delete, resource: servers, name: notes}
    - {role: edit, resource: '*', project: demo}
    - {role: run, resource: tools, name: 'github__*'}
    - {role: run, resource: projects, name: demo}
`

let home: string
let control: Control

beforeAll(async () => {
  home = await makeHome()
  control = await openControl(home)
  expect((await control.call('POST', '/api/v1/apply', `${EVERYTHING}---${WORLD}`)).status).toBe(200)
})
afterAll(async () => {
  await control?.close()
  await rm(home, { recursive: true, force: true })
})

const BEN = { 'x-castellan-as': 'User:ben' }
const asBen = (method: string, path: string, body?: unknown) => control.call(method, path, body, BEN)

const manifest = (kind: string, name: string, spec: unknown, project?: string) => ({
  apiVersion: 'castellan/v1',
  kind,
  metadata: project === undefined ? { name } : { name, project },
  spec,
})
const toBen = (name: string, ...bindings: readonly object[]) =>
  manifest('RoleBinding', name, { subjects: [{ kind: 'User', name: 'ben' }], bindings })
const token = (bindings: readonly object[] | undefined, more: object = {}, name = 'mine') =>
  manifest('Token', name, Object.assign({ bindings }, more), 'demo')
const tools = (name: string) => ({ role: 'run', resource: 'tools', name })
const list = (...items: readonly object[]) => ({ apiVersion: 'castellan/v1', kind: 'List', items })
const secretIn = { name: 'A', valueFrom: { secretRef: { name: 'keys', key: 'token' } } }

// oxfmt-ignore
const ATTEMPTS: readonly (readonly [what: string, method: string, path: string, body: unknown, status: number])[] = [
  ['a right that he lacks',              'POST',  'rolebindings', toBen('x', { role: 'delete', resource: 'servers' }), 403],
  ['everything, in pieces',              'POST',  'rolebindings', toBen('x', ...ALL_RIGHTS), 403],
  ['all names of what he has one of',    'POST',  'rolebindings', toBen('x', { role: 'edit', resource: 'servers', name: '*' }), 403],
  ['a glob that fits more',              'POST',  'rolebindings', toBen('x', { role: 'edit', resource: 'servers', name: 'note?' }), 403],
  ['all projects of what he has in one', 'POST',  'rolebindings', toBen('x', { role: 'edit', resource: 'tokens' }), 403],
  ['an operation',                       'POST',  'rolebindings', toBen('x', { role: 'run', action: 'impersonate' }), 403],
  ['more in a binding of his',           'PATCH', 'rolebindings/team', { spec: { bindings: [{ role: 'run', resource: '*' }] } }, 403],
  ['a binding of others',                'PATCH', 'rolebindings/admins', { spec: { subjects: [{ kind: 'User', name: 'ben' }] } }, 404],
  ['the group of others',                'PATCH', 'groups/bosses', { spec: { members: [{ kind: 'User', name: 'ben' }] } }, 404],
  ['his group into theirs, in one go',   'POST',  'apply', list(manifest('Group', 'bosses', { members: [{ kind: 'Group', name: 'team' }] }), toBen('x', { role: 'edit', resource: 'users', name: 'ben' })), 403],
  ['a user who has rights in advance',   'POST',  'users', manifest('User', 'yet-to-come', {}), 403],
  ['an account with rights in advance',  'POST',  'serviceaccounts', manifest('ServiceAccount', 'robot', {}), 403],
  ['to be somebody at a provider',       'PATCH', 'users/ben', { spec: { identity: { provider: 'sso', subject: 'ada' } } }, 403],
  ['a user who is somebody there',       'POST',  'users', manifest('User', 'puppet', { identity: { provider: 'sso', subject: 'ada' } }), 403],
  ['a provider of his own',              'POST',  'identityproviders', manifest('IdentityProvider', 'his', { issuer: 'http://127.0.0.1:9', clientId: 'x' }), 403],
  ['another password for another',       'POST',  'users/ada/password', { password: 'correct horse battery' }, 404],
  ['a token with all tools',             'POST',  'tokens', token([{ role: 'run', resource: 'tools' }, { role: 'delete', resource: 'servers' }]), 403],
  ['a token of another',                 'POST',  'tokens', token([], { owner: { kind: 'User', name: 'ada' } }), 403],
  ['a token of an account, in advance',  'POST',  'apply', list(manifest('ServiceAccount', 'tool', {}), token([], { owner: { kind: 'ServiceAccount', name: 'tool' } }, 'promised')), 403],
  ['a token for a project of others',    'POST',  'tokens', manifest('Token', 'x', { bindings: [{ role: 'view', resource: 'tokens' }] }, 'secret'), 403],
  ['a server of all, through his project', 'PATCH', 'servers/remote', { spec: { url: 'https://ben.example.com' } }, 403],
  ['a server that he may not use',       'PATCH', 'projects/demo', { spec: { servers: ['notes', 'remote', 'hidden'] } }, 400],
  ['the same, by its own address',       'POST',  'projects/demo/servers/hidden', undefined, 404],
  ['a secret that he may not use',       'PATCH', 'servers/notes', { spec: { env: [secretIn] } }, 400],
  ['a sign-in',                          'POST',  'signins', manifest('SignIn', 'x', { user: 'ada', userUid: 'usr_x', method: 'password', expiresAt: '2030-01-01T00:00:00Z' }), 400],
]

describe('Ben tries for', () => {
  test.each(ATTEMPTS)('%s', async (...attempt) => {
    const [, method, path, body, status] = attempt
    const before = (await control.call('GET', '/api/v1/auth/rights?subject=User:ben')).text
    control.entries.length = 0
    const got = await asBen(method, `/api/v1/${path}`, body)
    expect([got.status, got.text]).toEqual([status, got.text])
    expect((await control.call('GET', '/api/v1/auth/rights?subject=User:ben')).text).toBe(before)
    // D-list, "every denial on every surface": with who it was, and who acted as them.
    expect(control.entries).toContainEqual(
      expect.objectContaining({ type: 'intent', decision: 'deny', user: 'ben', actor: 'local-admin' }),
    )
  })

  // He may run github__* and all of demo, so each of these is his in demo, and nowhere else.
  test.each(['**', '?*', 'github**', '*__*'])(
    'the glob %s, which a token keeps within what he has',
    async (glob) => {
      const made = await asBen('POST', '/api/v1/tokens', token([tools(glob)], {}, 'glob'))
      expect(made.status).toBe(201)
      const secret = String(made.json['secret'])
      const ask = (query: string) =>
        control.call('GET', `/api/v1/auth/can-i?verb=run&kind=tools&${query}`, undefined, {
          authorization: `Bearer ${secret}`,
        })
      expect((await ask('name=github__get&project=demo')).json).toMatchObject({ allowed: true })
      expect((await ask('name=github__get&project=secret')).json).toMatchObject({ allowed: false })
      expect((await control.call('DELETE', '/api/v1/tokens/glob?project=demo')).status).toBe(200)
    },
  )
})

test('D1, a token of a token: it makes none that can do more than it, and no binding, user or group at all', async () => {
  const first = await control.call(
    'POST',
    '/api/v1/tokens',
    token(
      [
        { role: 'create', resource: 'tokens' },
        { role: 'edit', resource: 'tokens' },
      ],
      {},
      'parent',
    ),
  )
  const bearer = { authorization: `Bearer ${String(first.json['secret'])}` }
  const post = (plural: string, body: unknown) => control.call('POST', `/api/v1/${plural}`, body, bearer)
  for (const [body, status] of [
    [token([], {}, 'child'), 201],
    [token(undefined, {}, 'more'), 403],
    [token([{ role: 'delete', resource: 'tokens' }], {}, 'more'), 403],
    [token([], { owner: { kind: 'User', name: 'ada' } }, 'more'), 403],
    [token([], {}, 'promised'), 403],
    [manifest('Token', 'x', { bindings: [] }, 'secret'), 403],
    [manifest('Token', 'x', { bindings: [] }, 'nowhere'), 403],
  ] as const)
    expect([body.metadata, (await post('tokens', body)).status]).toEqual([body.metadata, status])
  for (const [plural, body] of [
    ['rolebindings', toBen('x', { role: 'edit', resource: 'tokens', project: 'demo' })],
    ['users', manifest('User', 'x', {})],
    ['groups', manifest('Group', 'x', {})],
  ] as const)
    expect([plural, (await post(plural, body)).status]).toEqual([plural, 403])
  const widened = await control.call(
    'PATCH',
    '/api/v1/tokens/parent?project=demo',
    { spec: { bindings: [{ role: 'edit', resource: '*' }] } },
    bearer,
  )
  expect(widened.status).toBe(403)
})

test('a binding that names a token of another project gives it nothing in its own', async () => {
  const his = manifest('RoleBinding', 'foreign', {
    subjects: [{ kind: 'Token', name: 'theirs', project: 'secret' }],
    bindings: [{ role: 'edit', resource: 'tokens', project: 'demo' }],
  })
  expect((await asBen('POST', '/api/v1/rolebindings', his)).status).toBe(201)
  for (const [project, expected] of [
    ['demo', false],
    ['secret', false],
  ] as const) {
    const query = `verb=edit&kind=tokens&name=theirs&project=${project}&subject=Token:secret/theirs`
    expect((await control.call('GET', `/api/v1/auth/can-i?${query}`)).json['allowed']).toBe(expected)
  }
})

test('a circle of three groups, in one go, is refused and nothing of it stays', async () => {
  const inside = (name: string, member: string) =>
    manifest('Group', name, { members: [{ kind: 'Group', name: member }] })
  const circle = await control.call(
    'POST',
    '/api/v1/apply',
    list(inside('a', 'b'), inside('b', 'c'), inside('c', 'a')),
  )
  expect([circle.status, circle.json.problems?.length]).toEqual([400, 3])
  expect((await control.call('POST', '/api/v1/groups', inside('self', 'self'))).status).toBe(400)
  expect((await control.call('GET', '/api/v1/names/groups')).text).toBe('bosses\nteam\n')
})

describe('what he may not know of is not there: not in a byte', () => {
  const same = (name: string, text: string): string => text.replaceAll(name, 'NAME')
  // oxfmt-ignore
  test.each<readonly [method: string, path: (name: string) => string, body: (name: string) => unknown]>([
    ['GET',    (name) => `servers/${name}`,                        () => undefined],
    ['GET',    (name) => `servers/${name}?output=describe`,        () => undefined],
    ['PUT',    (name) => `servers/${name}`,                        (name) => manifest('Server', name, { transport: 'stdio', command: 'x' })],
    ['PATCH',  (name) => `servers/${name}`,                        () => ({ spec: { command: 'x' } })],
    ['DELETE', (name) => `servers/${name}`,                        () => undefined],
    ['GET',    (name) => `servers/${name}/logs`,                   () => undefined],
    ['POST',   (name) => `projects/demo/servers/${name}`,          () => undefined],
    ['POST',   () => 'apply?dryRun=true',                          (name) => manifest('Project', 'mine', { servers: [name] })],
    ['GET',    (name) => `auth/can-i?verb=view&kind=servers&name=${name}`, () => undefined],
  ])('%s %s', async (method, path, body) => {
    const [hidden, missing] = await Promise.all(
      ['hidden', 'nobody'].map((name) => asBen(method, `/api/v1/${path(name)}`, body(name))),
    )
    expect([hidden?.status, same('hidden', hidden?.text ?? '')]).toEqual([missing?.status, same('nobody', missing?.text ?? '')])
  })

  test('a project, by its edge, its tokens and its record', async () => {
    for (const path of [
      'projects/NAME/edge',
      'projects/NAME',
      'tokens?project=NAME',
      'tokens/x?project=NAME',
      'audit?project=NAME',
    ]) {
      const ask = async (name: string) => {
        const { status, text } = await asBen('GET', `/api/v1/${path.replace('NAME', name)}`)
        return [path, status, text]
      }
      expect(await ask('secret')).toEqual(await ask('nowhere'))
    }
  })

  test('a token hears 403 of all that is elsewhere, word for word', async () => {
    const made = await control.call(
      'POST',
      '/api/v1/tokens',
      token(
        [
          { role: 'edit', resource: '*' },
          { role: 'delete', resource: '*' },
        ],
        {},
        'probe',
      ),
    )
    const bearer = { authorization: `Bearer ${String(made.json['secret'])}` }
    for (const [there, missing] of [
      ['servers/hidden', 'servers/nobody'],
      ['projects/secret', 'projects/nowhere'],
      ['tokens/theirs?project=secret', 'tokens/nobody?project=nowhere'],
      ['users/ada', 'users/nobody'],
    ] as const)
      for (const method of ['GET', 'DELETE', 'PATCH']) {
        const body = method === 'PATCH' ? {} : undefined
        const [one, other] = [
          await control.call(method, `/api/v1/${there}`, body, bearer),
          await control.call(method, `/api/v1/${missing}`, body, bearer),
        ]
        expect([method, there, one.status, one.text]).toEqual([method, there, 403, other.text])
      }
  })

  test('who stands in the way of a change is named as far as the caller may see', async () => {
    await control.call('PATCH', '/api/v1/projects/demo', { spec: { servers: ['remote'] } })
    const refused = await asBen('DELETE', '/api/v1/servers/notes')
    expect([refused.status, refused.text.includes('secret')]).toEqual([409, false])
    expect(refused.text).toContain('something that you may not see')
    const described = await asBen('GET', '/api/v1/servers/notes?output=describe')
    expect([described.status, described.text.includes('secret')]).toEqual([200, false])
    await control.call('PATCH', '/api/v1/projects/demo', { spec: { servers: ['notes', 'remote'] } })
  })
})

describe('odd names', () => {
  const LONG = 'a'.repeat(254)
  // oxfmt-ignore
  test.each(['', '..', '../ada', 'User:', ':ada', 'User:ada/x', 'Token:ada', 'Token:demo/a/b', `User:${LONG}`, 'user:ada', 'User:ada, User:ben', 'Nobody:ada', 'User:*', 'User:usr_00000000000000000000000000', '__proto__:x'])('X-Castellan-As: %s', async (name) => {
    const got = await control.call('GET', '/api/v1/servers', undefined, { 'x-castellan-as': name })
    expect([name, got.status]).toEqual([name, 400])
    if (name.length > 8) expect(got.text).not.toContain(name)
  })

  // oxfmt-ignore
  test.each(['..%2fada', '%00', 'a%2fb', '%F0%9F%98%80', '__proto__', 'constructor', LONG, '*', 'usr_00000000000000000000000000', '%E2%80%AEada'])('in a path: %s', async (name) => {
    for (const plural of ['servers', 'users', 'tokens', 'rolebindings']) {
      const got = await control.call('GET', `/api/v1/${plural}/${name}`)
      expect([plural, name, got.status]).toEqual([plural, name, 404])
    }
  })

  test.each([LONG, 'ä', 'a b', 'a\u0000', '', 'Ada', '-a', 'a/b'])('of a subject: %s', async (name) => {
    const odd = manifest('RoleBinding', 'odd', {
      subjects: [{ kind: 'User', name }],
      bindings: [{ role: 'view', resource: 'servers' }],
    })
    expect((await control.call('POST', '/api/v1/rolebindings', odd)).status).toBe(400)
    const named = toBen('odd', {
      role: 'view',
      resource: 'servers',
      name: name.length === 254 || /[^\x21-\x7e]/.test(name) || name === '' ? name : `${name} `,
    })
    expect((await control.call('POST', '/api/v1/rolebindings', named)).status).toBe(400)
  })
})

test('who may set passwords sets none of those who hold more, and the attempt is on the record', async () => {
  await control.call('POST', '/api/v1/rolebindings', toBen('passwords', { role: 'edit', resource: 'users' }))
  control.entries.length = 0
  const got = await asBen('POST', '/api/v1/users/ada/password', { password: 'correct horse battery' })
  expect(got.status).toBe(403)
  expect(control.entries).toContainEqual(
    expect.objectContaining({ decision: 'deny', target: 'ada', user: 'ben' }),
  )
  expect((await control.call('DELETE', '/api/v1/rolebindings/passwords')).status).toBe(200)
})

test('an authorization is begun only for a server that one sees', async () => {
  await control.call(
    'POST',
    '/api/v1/rolebindings',
    toBen('granting', { role: 'create', resource: 'grants' }),
  )
  const start = (server: string) => asBen('POST', '/api/v1/grants', { name: 'mine', server })
  const [hidden, missing] = [await start('hidden'), await start('nobody')]
  expect([hidden.status, hidden.text]).toEqual([404, missing.text])
})

test('the last administrator is not lost by a group, a rule or a state either', async () => {
  for (const [path, spec, status] of [
    ['groups/bosses', { members: [] }, 409],
    [
      'groups/bosses',
      {
        members: [
          { kind: 'User', name: 'ben' },
          { kind: 'User', name: 'ada' },
        ],
      },
      200,
    ],
    ['groups/bosses', { members: [{ kind: 'User', name: 'ada' }] }, 200],
    ['rolebindings/admins', { bindings: ALL_RIGHTS.slice(0, -1) }, 409],
    ['rolebindings/admins', { subjects: [{ kind: 'User', name: 'yet-to-come' }] }, 409],
    ['users/ada', { disabled: true }, 409],
  ] as const)
    expect([path, (await control.call('PATCH', `/api/v1/${path}`, { spec })).status]).toEqual([path, status])
})

test('D8, no header makes anybody anything: one that names an account grants nothing', async () => {
  const headers = { 'x-service-account': 'robot', 'x-castellan-user': 'ada', 'x-forwarded-user': 'ada' }
  const own = await control.call('GET', '/api/v1/secrets', undefined, Object.assign({}, headers, BEN))
  expect([own.status, own.json.items]).toEqual([200, []])
  const nobody = await control.call(
    'GET',
    '/api/v1/secrets',
    undefined,
    Object.assign({ authorization: '' }, headers),
  )
  expect(nobody.status).toBe(401)
  const actor = await control.call('GET', '/api/v1/auth/me', undefined, BEN)
  expect(actor.json).toMatchObject({ kind: 'subject', subject: 'User:ben', administrator: false })
})

test('D11, who has made a project holds it by a binding and by nothing else', async () => {
  expect((await asBen('POST', '/api/v1/projects', manifest('Project', 'bens', {}))).status).toBe(201)
  expect((await asBen('GET', '/api/v1/projects/bens')).status).toBe(200)
  expect((await control.call('DELETE', '/api/v1/rolebindings/project.bens.creator')).status).toBe(200)
  expect((await asBen('GET', '/api/v1/projects/bens')).status).toBe(404)
})

test('D12, an administrator holds every operation there is, without being given it', async () => {
  for (const operation of Object.keys(OPERATIONS)) {
    const { json: answer } = await control.call(
      'GET',
      `/api/v1/auth/can-i?operation=${operation}&subject=User:ada`,
    )
    expect([operation, answer['allowed']]).toEqual([operation, true])
  }
})

test('D13, rights come from bindings: no other kind has a role in it', () => {
  const withRole = KINDS.filter((kind) => JSON.stringify(manifestSchema(kind)).includes('"role"'))
  expect(withRole.map(({ kind }) => kind).toSorted()).toEqual(['RoleBinding', 'Token'])
})

test('D30, a field that no kind knows is refused, and named', async () => {
  for (const { kind, plural, scope, example, systemMade } of KINDS) {
    if (systemMade === true) continue
    const spec = Object.assign({ roel: 'admin' }, example as Record<string, unknown>)
    const odd = manifest(kind, 'odd', spec, scope === 'project' ? 'demo' : undefined)
    const { status, text } = await control.call('POST', `/api/v1/${plural}`, odd)
    expect([kind, status, text.includes('roel')]).toEqual([kind, 400, true])
  }
})

test('a route that declares no permission keeps the daemon from starting', () => {
  const route = { method: 'GET', path: '/api/v1/anything', summary: '', answer: { status: 200, types: [] } }
  const undeclared = Object.assign({ handle: () => json({}) }, route) as unknown as Route
  expect(() => checkRoutes([undeclared])).toThrow('declares no permission')
})
