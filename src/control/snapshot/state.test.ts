import { expect, test } from 'vitest'
import { findKind } from '../../kinds/registry.ts'
import type { KindDefinition } from '../../kinds/define-kind.ts'
import type { SealedRow, TokenRow } from '../../store/tables.ts'
import type { Stored } from '../stored.ts'
import { shardedMap } from './sharded-map.ts'
import { applyDeltas, buildState, refreshValues, type Delta, type State } from './state.ts'

function stored(
  kind: string,
  name: string,
  spec: unknown,
  about: { project?: string; generation?: number } = {},
): Stored {
  const definition = findKind(kind) as KindDefinition
  const { project = '', generation = 1 } = about
  return {
    definition,
    project,
    revision: 1,
    createdAtMs: 0,
    resource: {
      apiVersion: 'castellan/v1',
      kind,
      metadata: {
        name,
        labels: {},
        annotations: {},
        uid: `${kind}-${project}-${name}`,
        generation,
        createdAt: '',
        updatedAt: '',
      },
      spec: definition.spec.parse(spec),
      status: {},
    },
  }
}

const sealedRow = (secret: string, field: string, nonce: string): SealedRow => ({
  uid: `Secret--${secret}`,
  field,
  key_id: 'k',
  wrapped_key: '',
  nonce,
  ciphertext: '',
})
const tokenRow = (name: string, digest: string): TokenRow => ({
  uid: `Token-demo-${name}`,
  digest,
  prefix: 'cst_',
  expires_at_ms: null,
})

const KEYS = stored('Secret', 'keys', { data: { token: null } })
const PLAIN = stored('Server', 'plain', { transport: 'stdio', command: 'x' })
const SECRET_ENV = [{ name: 'KEY', valueFrom: { secretRef: { name: 'keys', key: 'token' } } }]
const KEYED = stored('Server', 'keyed', { transport: 'stdio', command: 'x', env: SECRET_ENV })
const DEMO = stored('Project', 'demo', { servers: ['keyed', 'gone'] })
const OTHER = stored('Project', 'other', { servers: ['plain'] })
const LAPTOP = stored('Token', 'laptop', {}, { project: 'demo' })

const whole = (): State =>
  buildState({
    revision: 7,
    resources: [KEYS, PLAIN, KEYED, DEMO, OTHER, LAPTOP],
    sealed: [sealedRow('keys', 'token', 'n1')],
    tokens: [tokenRow('laptop', 'd1')],
  })

test('a delta arrives where a whole build of the same contents does', () => {
  const empty = buildState({ revision: 0, resources: [], sealed: [], tokens: [] })
  const deltas: Delta[] = [
    { before: undefined, after: KEYS, sealed: [sealedRow('keys', 'token', 'n1')] },
    ...[PLAIN, KEYED, DEMO, OTHER].map((after) => ({ before: undefined, after })),
    { before: undefined, after: LAPTOP, token: tokenRow('laptop', 'd1') },
  ]
  const [built, applied] = [whole(), applyDeltas(empty, 7, deltas)]
  for (const name of ['demo', 'other']) expect(applied.projects.get(name)).toEqual(built.projects.get(name))
  for (const name of ['plain', 'keyed']) expect(applied.servers.get(name)).toEqual(built.servers.get(name))
  expect(applied.credentials.get('d1')).toEqual(built.credentials.get('d1'))
  expect(applied.projects.get('demo')?.missing).toEqual(['gone'])
})

test('a new value of a secret changes the servers that use it and their projects, and nothing else', () => {
  const before = whole()
  const after = applyDeltas(before, 8, [
    { before: KEYS, after: KEYS, sealed: [sealedRow('keys', 'token', 'n2')] },
  ])
  expect(after.servers.get('keyed')?.fingerprint).not.toBe(before.servers.get('keyed')?.fingerprint)
  expect(after.projects.get('demo')?.servers[0]).toBe(after.servers.get('keyed'))
  expect(after.servers.get('plain')).toBe(before.servers.get('plain'))
  expect(after.projects.get('other')).toBe(before.projects.get('other'))
  expect(before.sealed.get('keys')?.get('token')?.nonce).toBe('n1')
})

test('another value elsewhere changes the servers that use it and their projects, and nothing else', () => {
  const marks = new Map([['Secret--keys token', 'm1']])
  const elsewhere = stored('Secret', 'keys', { backend: 'env', refs: { token: 'CASTELLAN_SECRET_T' } })
  const before = buildState(
    { revision: 7, resources: [elsewhere, PLAIN, KEYED, DEMO, OTHER], sealed: [], tokens: [] },
    (uid, key) => marks.get(`${uid} ${key}`),
  )
  expect(refreshValues(before, new Set(['keys'])).servers.get('keyed')).toBe(before.servers.get('keyed'))
  marks.set('Secret--keys token', 'm2')
  const after = refreshValues(before, new Set(['keys']))
  expect(after.servers.get('keyed')?.fingerprint).not.toBe(before.servers.get('keyed')?.fingerprint)
  expect(after.projects.get('demo')?.servers[0]).toBe(after.servers.get('keyed'))
  expect(after.servers.get('plain')).toBe(before.servers.get('plain'))
  expect(after.projects.get('other')).toBe(before.projects.get('other'))
  expect(after.revision).toBe(7)
})

test('a server that comes is in the projects that were missing it; one that goes is missing', () => {
  const came = applyDeltas(whole(), 8, [
    { before: undefined, after: stored('Server', 'gone', { transport: 'stdio', command: 'y' }) },
  ])
  expect(came.projects.get('demo')?.servers.map(({ name }) => name)).toEqual(['keyed', 'gone'])
  const went = applyDeltas(came, 9, [{ before: KEYED, after: undefined }])
  expect(went.projects.get('demo')).toMatchObject({ missing: ['keyed'] })
  expect(came.projects.get('demo')?.missing).toEqual([])
})

test('a change of labels only keeps every view', () => {
  const before = whole()
  const after = applyDeltas(before, 8, [
    { before: KEYED, after: structuredCloneOf(KEYED) },
    { before: DEMO, after: structuredCloneOf(DEMO) },
  ])
  expect(after.projects.get('demo')).toBe(before.projects.get('demo'))
})

const structuredCloneOf = (one: Stored): Stored => ({ ...one, resource: structuredClone(one.resource) })

test('a token is revoked and removed at once', () => {
  const revoked = applyDeltas(whole(), 8, [
    {
      before: LAPTOP,
      after: stored('Token', 'laptop', { revoked: true }, { project: 'demo', generation: 2 }),
    },
  ])
  expect(revoked.credentials.get('d1')).toMatchObject({ revoked: true, project: 'demo' })
  expect(applyDeltas(revoked, 9, [{ before: LAPTOP, after: undefined }]).credentials.size).toBe(0)
})

test('a sharded map keeps its older selves', () => {
  let map = shardedMap<number>()
  const all = Array.from({ length: 2000 }, (_, i) => `key-${i}`)
  for (const [i, key] of all.entries()) map = map.with(key, i)
  const without = map.without('key-7').with('key-8', -1)
  expect([map.size, without.size]).toEqual([2000, 1999])
  expect([map.get('key-7'), without.get('key-7'), map.get('key-8'), without.get('key-8')]).toEqual([
    7,
    undefined,
    8,
    -1,
  ])
  expect(new Set([...map.entries()].map(([key]) => key))).toEqual(new Set(all))
  expect(map.without('nothing')).toBe(map)
})
