import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Instance } from '../../src/kinds/instance.ts'
import {
  at,
  createToken,
  endpoint,
  openLegacy,
  project,
  startGate,
  stdioServer,
  toolJson,
  until,
  type Access,
  type Caller,
  type Gate,
} from './gateway-harness.ts'

let gate: Gate
let ada: Access
let bob: Access

beforeAll(async () => {
  gate = await startGate([
    stdioServer('shared'),
    stdioServer('own', [], { instances: 'per-principal' }),
    stdioServer('each', [], { instances: 'per-session' }),
    project('main', ['shared', 'own', 'each']),
    project('other', ['shared']),
  ])
  ada = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'ada') }
  bob = { url: endpoint(gate.daemon, 'main'), token: await createToken(gate.daemon, 'main', 'bob') }
})
afterAll(() => gate?.end())

const copyOf = async (caller: Caller, server: string): Promise<unknown> =>
  at(toolJson(await caller.ask('tools/call', { name: `${server}__about` })), 'instance')

async function instances(): Promise<readonly Instance[]> {
  const { items } = (await gate.daemon.call('GET', '/api/v1/instances')) as { items: Instance[] }
  return items
}
const namesOf = async (server: string): Promise<readonly string[]> =>
  (await instances()).filter(({ spec }) => spec.server === server).map(({ metadata }) => metadata.name)

async function firstOf(server: string): Promise<Instance> {
  const found = (await instances()).find(({ spec }) => spec.server === server)
  if (found === undefined) throw new Error(`no instance of ${server} is listed`)
  return found
}

async function ask(path: string, credential?: string): Promise<{ status: number; text: string }> {
  const admin = (await readFile(join(gate.daemon.home, 'admin-credential'), 'utf8')).trim()
  const headers = { authorization: `Bearer ${credential ?? admin}` }
  const answer = await fetch(new URL(path, gate.daemon.origin), { headers })
  return { status: answer.status, text: await answer.text() }
}

test('each running copy is one, and says whose it is', async () => {
  const sessions = [await openLegacy(ada), await openLegacy(ada), await openLegacy(bob)]
  for (const session of sessions)
    for (const server of ['shared', 'own', 'each']) await copyOf(session, server)
  const all = await instances()
  const whose = (server: string) =>
    all.filter(({ spec }) => spec.server === server).map(({ spec: { user, session } }) => user ?? session)
  expect(whose('shared')).toEqual([undefined])
  expect(new Set(whose('own'))).toEqual(new Set(['Token:main/ada', 'Token:main/bob']))
  const digests = sessions.map(({ session }) => hash('sha256', session, 'hex').slice(0, 16))
  const ofSessions = whose('each').filter((one) => one?.startsWith('Token:') === false)
  expect(new Set(ofSessions)).toEqual(new Set(digests))
  for (const { status } of all) {
    expect(status).toMatchObject({ phase: 'Running', restarts: 0, pid: expect.any(Number) as number })
    expect(status.events.map(({ what }) => what)).toEqual([
      'started',
      expect.stringMatching(/^ready, speaks /),
    ])
    process.kill(status.pid ?? -1, 0)
  }
  // The id of a session is known to its client alone.
  expect(JSON.stringify(all)).not.toContain(sessions[0]?.session)
})

test('describe, table, names and logs of one', async () => {
  const { metadata, status } = await firstOf('own')
  const described = await ask(`/api/v1/instances/${metadata.uid}?output=describe`)
  expect(described.text).toMatch(/^Name: +own-1$/m)
  expect(described.text).toContain('what:')
  expect((await ask('/api/v1/ins?output=wide')).text.split('\n')[0]).toMatch(/^NAME +SERVER +PHASE +OF +PID/)
  expect((await ask('/api/v1/names/instances')).text.split('\n')).toContain('shared-1')
  const own = (await ask('/api/v1/instances/own-1/logs')).text.trimEnd().split('\n')
  expect(own.length).toBeGreaterThan(0)
  expect(own.filter((line) => !line.includes(`[${status.mark}] `))).toEqual([])
})

test('deleting one stops it and nothing else; the next call gets another', async () => {
  const client = await openLegacy(ada)
  const before = await copyOf(client, 'shared')
  const { status } = await firstOf('shared')
  const others = await namesOf('own')
  expect(await gate.daemon.call('DELETE', '/api/v1/instances/shared-1')).toEqual({
    kind: 'Instance',
    name: 'shared-1',
    action: 'deleted',
  })
  expect(() => process.kill(status.pid ?? -1, 0)).toThrow('ESRCH')
  expect(await namesOf('own')).toEqual(others)
  expect(await namesOf('shared')).not.toContain('shared-1')
  expect(await copyOf(client, 'shared')).not.toBe(before)
  expect(await namesOf('shared')).toEqual(['shared-2'])
  expect((await ask('/api/v1/instances/shared-1')).status).toBe(404)
  await expect(gate.daemon.call('DELETE', '/api/v1/instances/shared-1')).rejects.toThrow('404')
  const audit = JSON.stringify(await gate.daemon.call('GET', '/api/v1/audit?output=json'))
  expect(audit).toContain('delete instances')
})

test('one that ends by itself keeps its name and its history, and counts', async () => {
  const client = await openLegacy(bob)
  await copyOf(client, 'own')
  const mine = async (): Promise<Instance | undefined> =>
    (await instances()).find(({ spec }) => spec.user === 'Token:main/bob')
  const pid = (await mine())?.status.pid ?? -1
  process.kill(pid, 'SIGKILL')
  await until('it has ended', async () => (await mine())?.status.phase === 'Ended')
  expect((await mine())?.status.message).toEqual(expect.any(String))
  await until(
    'it runs again',
    async () => (await client.ask('tools/call', { name: 'own__about' })).status === 200,
  )
  const again = await until('it is listed', async () => {
    const found = await mine()
    return found?.status.phase === 'Running' ? found : undefined
  })
  expect(again.metadata.name).toBe('own-2')
  expect(again.status.restarts).toBe(1)
  expect(again.status.events.map(({ what }) => what.split(/[:,]/)[0])).toEqual([
    'started',
    'ready',
    'ended',
    'started again',
    'ready',
  ])
})

test('nobody makes or changes one; what was read can be applied, and changes nothing', async () => {
  const instance = await firstOf('own')
  const other = { ...instance, spec: { ...instance.spec, server: 'shared' } }
  const apply = (manifest: unknown) => gate.daemon.call('POST', '/api/v1/apply', manifest)
  expect(await apply(instance)).toEqual({
    results: [{ kind: 'Instance', name: instance.metadata.name, action: 'unchanged' }],
  })
  await expect(apply(other)).rejects.toThrow('is made by the system')
  await expect(apply({ ...instance, metadata: { name: 'own-99' } })).rejects.toThrow('is made by the system')
  await expect(gate.daemon.call('POST', '/api/v1/instances', instance)).rejects.toThrow(
    'is made by the system',
  )
})

test('who may see those of a project sees no others', async () => {
  const spec = { bindings: [{ role: 'view', resource: 'instances' }] }
  const token = await createToken(gate.daemon, 'other', 'viewer', spec)
  const seen = JSON.parse((await ask('/api/v1/instances', token)).text) as { items: Instance[] }
  expect(seen.items.map((one) => one.spec.server)).toEqual(['shared'])
  expect((await ask('/api/v1/instances/own-1', token)).status).toBe(403)
  expect((await ask('/api/v1/instances/shared-2/logs', token)).status).toBe(403)
})
