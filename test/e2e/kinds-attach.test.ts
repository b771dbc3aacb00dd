import { describe, expect, test } from 'vitest'
import { EVERYTHING, withControl, type Control } from './control-harness.ts'

const OPEN = { transport: 'stdio', command: 'x' }
const manifest = (kind: string, name: string, spec: object) => ({
  apiVersion: 'castellan/v1',
  kind,
  metadata: { name },
  spec,
})

async function prepare({ call }: Control, servers: number): Promise<readonly string[]> {
  const names = Array.from({ length: servers }, (_, i) => `s${i}`)
  const items = [...names.map((name) => manifest('Server', name, OPEN)), manifest('Project', 'p', {})]
  expect((await call('POST', '/api/v1/apply', { kind: 'List', items })).status).toBe(200)
  return names
}

const serversOf = async ({ call }: Control): Promise<readonly string[]> =>
  ((await call('GET', '/api/v1/projects/p')).json['spec'] as { servers: string[] }).servers

describe('attach and detach', () => {
  test('change one server of a project and keep the order; done twice is done once', () =>
    withControl(async (control) => {
      await prepare(control, 3)
      const { call } = control
      for (const name of ['s2', 's0', 's2']) await call('POST', `/api/v1/projects/p/servers/${name}`)
      expect(await serversOf(control)).toEqual(['s2', 's0'])
      const again = await call('POST', '/api/v1/projects/p/servers/s0')
      expect([again.status, again.json['action']]).toEqual([200, 'unchanged'])
      const { uid } = (await call('GET', '/api/v1/servers/s2')).json['metadata'] as { uid: string }
      const off = await call('DELETE', `/api/v1/projects/p/servers/${uid}`)
      expect(off.json).toEqual({ kind: 'Project', name: 'p', server: 's2', action: 'configured' })
      expect((await call('DELETE', '/api/v1/projects/p/servers/s2')).json['action']).toBe('unchanged')
      expect(await serversOf(control)).toEqual(['s0'])
    }))

  test('what is not there is not found', () =>
    withControl(async (control) => {
      await prepare(control, 1)
      const { call } = control
      expect((await call('POST', '/api/v1/projects/p/servers/nope')).status).toBe(404)
      expect((await call('POST', '/api/v1/projects/nope/servers/s0')).status).toBe(404)
      expect((await call('DELETE', '/api/v1/projects/nope/servers/s0')).status).toBe(404)
    }))

  test('twenty at once on one project: nothing is lost', () =>
    withControl(async (control) => {
      const names = await prepare(control, 20)
      const answers = await Promise.all(
        names.map((name) => control.call('POST', `/api/v1/projects/p/servers/${name}`)),
      )
      expect(answers.map(({ status }) => status)).toEqual(names.map(() => 200))
      expect((await serversOf(control)).toSorted()).toEqual(names.toSorted())
      await Promise.all(names.map((name) => control.call('DELETE', `/api/v1/projects/p/servers/${name}`)))
      expect(await serversOf(control)).toEqual([])
    }))

  test('it takes the right to edit the project, and to use the server', () =>
    withControl(async (control) => {
      await prepare(control, 2)
      const { call } = control
      const bindings = [
        { role: 'edit', resource: 'projects', name: 'p' },
        { role: 'run', resource: 'servers', name: 's0' },
      ]
      const subjects = [{ kind: 'User', name: 'ada' }]
      await call('POST', '/api/v1/users', manifest('User', 'ada', {}))
      await call('POST', '/api/v1/rolebindings', manifest('RoleBinding', 'b', { subjects, bindings }))
      const as = { 'x-castellan-as': 'User:ada' }
      const attach = (name: string) => call('POST', `/api/v1/projects/p/servers/${name}`, undefined, as)
      expect((await attach('s0')).status).toBe(200)
      // Of a server that ada may not see, there is nothing to say.
      const [hidden, missing] = [await attach('s1'), await attach('nope')]
      expect([hidden.status, hidden.text]).toEqual([404, missing.text])
      await call('POST', '/api/v1/projects/p/servers/s1')
      expect((await call('DELETE', '/api/v1/projects/p/servers/s1', undefined, as)).status).toBe(200)
      expect(await serversOf(control)).toEqual(['s0'])
    }))
})

describe('the values of a Secret', () => {
  const acts = ({ entries }: Control) =>
    entries.flatMap((entry) => (entry.type === 'intent' ? [[entry.event, entry.target, entry.decision]] : []))

  test('are shown to who may see them, with the intent on the record first', () =>
    withControl(async (control) => {
      const { call, entries, disk } = control
      await call('POST', '/api/v1/apply', EVERYTHING)
      entries.length = 0
      const shown = await call('GET', '/api/v1/secrets/keys/values')
      expect(shown.json).toEqual({ kind: 'Secret', name: 'keys', values: { token: 'planted-7f3c9a-secret' } })
      expect(acts(control)).toEqual([['run reveal-secret', 'keys', 'allow']])
      expect(JSON.stringify(entries)).not.toContain('planted')
      disk.durable = false
      const unrecorded = await call('GET', '/api/v1/secrets/keys/values')
      expect(unrecorded.status).toBe(503)
      expect(unrecorded.text).not.toContain('planted')
    }))

  test('are for nobody who has no such right, whatever else they hold, and never for a Token', () =>
    withControl(async (control) => {
      const { call, entries } = control
      await call('POST', '/api/v1/apply', EVERYTHING)
      await call('POST', '/api/v1/users', manifest('User', 'ada', {}))
      const bindings = ['view', 'edit', 'run', 'delete', 'create'].map((role) => ({ role, resource: '*' }))
      const subjects = [{ kind: 'User', name: 'ada' }]
      await call('POST', '/api/v1/rolebindings', manifest('RoleBinding', 'b', { subjects, bindings }))
      entries.length = 0
      const as = { 'x-castellan-as': 'User:ada' }
      expect((await call('GET', '/api/v1/secrets/keys/values', undefined, as)).status).toBe(403)
      const spec = {
        bindings: [
          { role: 'view', resource: '*' },
          { role: 'run', action: '*' },
        ],
      }
      const token = { ...manifest('Token', 't', spec), metadata: { name: 't', project: 'demo' } }
      const { secret } = (await call('POST', '/api/v1/tokens', token)).json
      const authorization = `Bearer ${String(secret)}`
      const refused = await call('GET', '/api/v1/secrets/keys/values', undefined, { authorization })
      expect(refused.status).toBe(403)
      expect(acts(control).filter(([, , decision]) => decision === 'deny')).toEqual([
        ['run reveal-secret', undefined, 'deny'],
        ['run reveal-secret', undefined, 'deny'],
      ])
    }))
})
