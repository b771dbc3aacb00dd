import { expect, test } from 'vitest'
import { EVERYTHING, withControl, type Control } from './control-harness.ts'

/** Ada is an administrator, Ben edits servers through a group, Cy has nothing. */
const PEOPLE = `
{apiVersion: castellan/v1, kind: User, metadata: {name: ada}, spec: {}}
---
{apiVersion: castellan/v1, kind: User, metadata: {name: ben}, spec: {}}
---
{apiVersion: castellan/v1, kind: User, metadata: {name: cy}, spec: {}}
---
{apiVersion: castellan/v1, kind: Group, metadata: {name: inner}, spec: {members: [{kind: User, name: ben}]}}
---
{apiVersion: castellan/v1, kind: Group, metadata: {name: outer}, spec: {members: [{kind: Group, name: inner}]}}
---
apiVersion: castellan/v1
kind: RoleBinding
metadata: {name: admins}
spec:
  subjects: [{kind: User, name: ada}]
  bindings:
    - {role: view, resource: '*'}
    - {role: create, resource: '*'}
    - {role: edit, resource: '*'}
    - {role: delete, resource: '*'}
    - {role: run, resource: '*'}
    - {role: run, action: '*'}
---
apiVersion: castellan/v1
kind: RoleBinding
metadata: {name: editors}
spec:
  subjects: [{kind: Group, name: outer}]
  bindings:
    - {role: edit, resource: servers}
    - {role: create, resource: servers}
    - {role: create, resource: projects}
    - {role: view, resource: tokens, project: demo}
    - {role: create, resource: rolebindings}
    - {role: edit, resource: groups}
    - {role: edit, resource: users}
`

const as = (subject: string) => ({ 'x-castellan-as': subject })
const BEN = as('User:ben')

async function peopled(work: (control: Control) => Promise<void>): Promise<void> {
  await withControl(async (control) => {
    expect((await control.call('POST', '/api/v1/apply', EVERYTHING + '---' + PEOPLE)).status).toBe(200)
    await work(control)
  })
}

const binding = (name: string, subject: object, bindings: readonly object[]) => ({
  apiVersion: 'castellan/v1',
  kind: 'RoleBinding',
  metadata: { name },
  spec: { subjects: [subject], bindings },
})

test('lists hold what the caller may see; what they may not see is not there', () =>
  peopled(async ({ call }) => {
    const names = async (path: string, headers: Record<string, string>) =>
      ((await call('GET', path, undefined, headers)).json.items ?? []).map(
        (item) => (item['metadata'] as { name: string }).name,
      )
    expect(await names('/api/v1/servers', BEN)).toEqual(['notes', 'remote'])
    expect(await names('/api/v1/tokens', BEN)).toEqual(['laptop'])
    expect((await call('GET', '/api/v1/secrets', undefined, BEN)).status).toBe(403)
    expect((await call('GET', '/api/v1/servers', undefined, as('User:cy'))).status).toBe(403)
    const hidden = await call('GET', '/api/v1/secrets/keys', undefined, BEN)
    const missing = await call('GET', '/api/v1/secrets/nothing', undefined, BEN)
    expect([hidden.status, hidden.text]).toEqual([missing.status, missing.text])
  }))

test('a right is explained: the binding, and the group through which it comes', () =>
  peopled(async ({ call }) => {
    const asked = await call('GET', '/api/v1/auth/can-i?verb=edit&kind=servers&name=notes', undefined, BEN)
    expect(asked.json).toMatchObject({
      allowed: true,
      by: { binding: 'role:edit,resource:servers', from: 'RoleBinding/editors', via: 'Group:outer' },
    })
    const { json } = await call('GET', '/api/v1/auth/can-i?verb=delete&kind=servers&subject=User:ben')
    expect(json).toMatchObject({ allowed: false, reason: 'no binding gives it' })
    const { items } = (await call('GET', '/api/v1/auth/who-can?verb=edit&kind=servers&name=notes')).json
    expect(items?.map((item) => item['subject']).toSorted()).toEqual([
      'Group:inner',
      'Group:outer',
      'User:ada',
      'User:ben',
    ])
    const described = await call('GET', '/api/v1/users/ben?output=describe')
    expect(described.text).toMatch(
      /Inherited:\n.*role:edit,resource:servers \(RoleBinding\/editors, through Group:outer\)/,
    )
  }))

test('nobody gives more than they hold, by a binding, a group, a token or another person', () =>
  peopled(async ({ call }) => {
    const refused = async (method: string, path: string, body: unknown) => {
      const { status } = await call(method, path, body, BEN)
      expect([path, status]).toEqual([path, 403])
    }
    const cy = { kind: 'User', name: 'cy' }
    const mine = binding('mine', cy, [{ role: 'edit', resource: 'servers', name: 'notes' }])
    expect((await call('POST', '/api/v1/rolebindings', mine, BEN)).status).toBe(201)
    await refused(
      'POST',
      '/api/v1/rolebindings',
      binding('more', cy, [{ role: 'delete', resource: 'servers' }]),
    )
    await refused('POST', '/api/v1/rolebindings', binding('op', cy, [{ role: 'run', action: 'logs' }]))
    await refused('POST', '/api/v1/rolebindings', binding('all', cy, [{ role: 'edit', resource: '*' }]))
    await refused('PATCH', '/api/v1/users/ada', { spec: { email: 'ben@example.com' } })
    const token = {
      apiVersion: 'castellan/v1',
      kind: 'Token',
      metadata: { name: 'x', project: 'demo' },
      spec: {},
    }
    await refused('POST', '/api/v1/tokens', token)
    await call(
      'POST',
      '/api/v1/rolebindings',
      binding('tk', { kind: 'User', name: 'ben' }, [{ role: 'create', resource: 'tokens' }]),
    )
    await refused('POST', '/api/v1/tokens', token)
    const ada = { ...token, spec: { bindings: [], owner: { kind: 'User', name: 'ada' } } }
    await refused('POST', '/api/v1/tokens', ada)
    const none = await call('POST', '/api/v1/tokens', { ...token, spec: { bindings: [] } }, BEN)
    expect(none.json['spec']).toMatchObject({ owner: { kind: 'User', name: 'ben' } })
  }))

test('who names a server in a project must hold its use; who makes a project holds it, until the binding goes', () =>
  peopled(async ({ call }) => {
    const project = (servers: readonly string[]) => ({
      apiVersion: 'castellan/v1',
      kind: 'Project',
      metadata: { name: 'bens' },
      spec: { servers },
    })
    expect((await call('POST', '/api/v1/projects', project(['notes']), BEN)).status).toBe(201)
    expect((await call('GET', '/api/v1/projects/bens', undefined, BEN)).status).toBe(200)
    expect((await call('GET', '/api/v1/projects/demo', undefined, BEN)).status).toBe(404)
    await call('PATCH', '/api/v1/rolebindings/editors', {
      spec: { bindings: [{ role: 'create', resource: 'projects' }] },
    })
    const attach = await call(
      'PATCH',
      '/api/v1/projects/bens',
      { spec: { servers: ['notes', 'remote'] } },
      BEN,
    )
    expect(attach.status).toBe(400)
    expect(attach.text).toContain('spec.servers[1]: there is no Server by that name')
    expect((await call('DELETE', '/api/v1/projects/bens', undefined, BEN)).status).toBe(200)
    expect((await call('GET', '/api/v1/rolebindings/project.bens.creator')).status).toBe(404)
  }))

test('the last administrator stays, unless the host itself says so', () =>
  peopled(async ({ call }) => {
    expect((await call('DELETE', '/api/v1/rolebindings/admins')).status).toBe(409)
    expect((await call('DELETE', '/api/v1/users/ada')).status).toBe(409)
    expect((await call('PATCH', '/api/v1/users/ada', { spec: { disabled: true } })).status).toBe(409)
    const forced = await call('DELETE', '/api/v1/users/ada?force=true', undefined, as('User:ada'))
    expect(forced.status).toBe(403)
    expect((await call('DELETE', '/api/v1/rolebindings/admins?force=true')).status).toBe(200)
  }))

test('a group does not contain itself, and words that mean nothing are named', () =>
  peopled(async ({ call }) => {
    const circle = await call('PATCH', '/api/v1/groups/inner', {
      spec: { members: [{ kind: 'Group', name: 'outer' }] },
    })
    expect(circle.text).toContain('the group would contain itself')
    const odd = await call(
      'POST',
      '/api/v1/rolebindings',
      binding('odd', { kind: 'User', name: 'cy' }, [
        { role: 'view', resource: 'server' },
        { role: 'run', action: 'log' },
      ]),
    )
    expect(odd.text).toContain('did you mean servers?')
    expect(odd.text).toContain('did you mean logs?')
  }))

test('who acts as another leaves both on the record, and needs the right to', () =>
  peopled(async ({ call, entries }) => {
    entries.length = 0
    await call('PATCH', '/api/v1/servers/notes', { metadata: { labels: { a: 'b' } } }, BEN)
    expect(entries[0]).toMatchObject({ principal: 'as:User:ben', user: 'ben', actor: 'local-admin' })
    const twice = await call('GET', '/api/v1/servers', undefined, as('ben'))
    expect(twice.status).toBe(400)
  }))

test('the description of a token says which of its rights its owner does not hold', () =>
  peopled(async ({ call }) => {
    await call(
      'POST',
      '/api/v1/apply',
      [
        '{apiVersion: castellan/v1, kind: ServiceAccount, metadata: {name: bot}, spec: {}}',
        `{apiVersion: castellan/v1, kind: Token, metadata: {name: bot, project: demo}, spec: {owner: {kind: ServiceAccount, name: bot}}}`,
      ].join('\n---\n'),
    )
    const described = async () => (await call('GET', '/api/v1/tokens/bot?output=describe')).text
    expect(await described()).toContain('gives nothing: its owner does not hold it')
    await call(
      'POST',
      '/api/v1/rolebindings',
      binding('bot', { kind: 'ServiceAccount', name: 'bot' }, [
        { role: 'run', resource: 'projects', name: 'demo' },
        { role: 'view', resource: 'projects', name: 'demo' },
      ]),
    )
    expect(await described()).not.toContain('gives nothing')
  }))

test('status tells of the inside of the daemon only whom it may', () =>
  peopled(async ({ call }) => {
    const ben = (await call('GET', '/api/v1/status', undefined, BEN)).json
    expect(Object.keys(ben).toSorted()).toEqual([
      'grants',
      'projects',
      'servers',
      'uptimeSeconds',
      'url',
      'version',
    ])
    expect(ben).toMatchObject({ grants: [] })
    expect((await call('GET', '/api/v1/status?output=table', undefined, BEN)).text).not.toContain('home')
    expect((await call('GET', '/api/v1/status')).json).toMatchObject({ home: '/home', pid: 1 })
  }))

test('who may change a server, but not use its secret, cannot send it elsewhere', () =>
  peopled(async ({ call }) => {
    const patch = (spec: object) => call('PATCH', '/api/v1/servers/remote', { spec }, BEN)
    expect((await patch({ tools: { deny: ['drop_*'] } })).status).toBe(200)
    const moved = await patch({ url: 'https://ben.example.com/mcp' })
    expect([moved.status, moved.text]).toEqual([
      400,
      expect.stringContaining('there is no Secret by that name'),
    ])
    await call(
      'POST',
      '/api/v1/rolebindings',
      binding('keys', { kind: 'User', name: 'ben' }, [{ role: 'run', resource: 'secrets', name: 'keys' }]),
    )
    expect((await patch({ url: 'https://new.example.com/mcp' })).status).toBe(200)
  }))
