import { createSecretKey, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { validateManifest } from '../../src/control/admission/validate.ts'
import { createChanges } from '../../src/control/change/change.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { forgetAnswers } from '../../src/store/answers.ts'
import { EVERYTHING, withControl } from './control-harness.ts'

const TOKEN = {
  apiVersion: 'castellan/v1',
  kind: 'Token',
  metadata: { name: 'bot', project: 'demo' },
  spec: {},
}
const project = (name: string) => ({
  apiVersion: 'castellan/v1',
  kind: 'Project',
  metadata: { name },
  spec: {},
})
const key = (text: string) => ({ 'idempotency-key': text })

test('the same request with the same key is done once, and answered alike', () =>
  withControl(async ({ call, snapshot, entries, store }) => {
    const applied = await call('POST', '/api/v1/apply', EVERYTHING, key('one'))
    expect([applied.status, applied.headers.get('idempotency-replayed')]).toEqual([200, null])
    const { revision } = snapshot.current()
    entries.splice(0)
    const again = await call('POST', '/api/v1/apply', EVERYTHING, key('one'))
    expect(again.text).toBe(applied.text)
    expect(again.text).toMatch(/"secret":"cst_/)
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([200, 'true'])
    const made = await call('POST', '/api/v1/tokens', TOKEN, key('two'))
    const same = await call('POST', '/api/v1/tokens', TOKEN, key('two'))
    expect([same.status, same.text, same.headers.get('etag')]).toEqual([
      201,
      made.text,
      made.headers.get('etag'),
    ])
    expect(snapshot.current().revision).toBe(revision + 1)
    // Once for the record too.
    expect(entries.filter(({ type }) => type === 'intent')).toHaveLength(1)
    const rows = await store.control.selectFrom('answers').selectAll().execute()
    expect(rows).toHaveLength(2)
    expect(JSON.stringify(rows)).not.toContain(String(made.json['secret']))
  }))

test('ten at once with one key: one is done, all are answered alike', () =>
  withControl(async ({ call, snapshot }) => {
    const all = await Promise.all(
      Array.from({ length: 10 }, () => call('POST', '/api/v1/projects', project('p'), key('k'))),
    )
    expect(new Set(all.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(all[0]?.status).toBe(201)
    expect(snapshot.current().revision).toBe(1)
  }))

test('what another process does between our look for its answer and our plan is found, though nothing is left to do', () =>
  withControl(async ({ call, store, snapshot, backends, clock }) => {
    const sealer = createSealer({ id: 'mk_test', key: createSecretKey(randomBytes(32)) })
    const changes = createChanges({ store, sealer, backends, snapshot, clock })
    const admitted = validateManifest(project('p'))
    if (!admitted.ok) throw new Error('the manifest is not valid')
    let looks = 0
    const once = {
      async check(): Promise<void> {
        if (looks++ > 0) throw new Error('answered before')
        expect((await call('POST', '/api/v1/projects', project('p'))).status).toBe(201)
      },
      keep: () => Promise.resolve(),
    }
    const before = { permit() {}, sees: () => true, announce: () => Promise.resolve() }
    await expect(changes.apply([{ where: '', manifest: admitted.value }], before, { once })).rejects.toThrow(
      'answered before',
    )
  }))

test('a key stands for one request of one caller, for a day', () =>
  withControl(async ({ call, clock, store }) => {
    expect((await call('POST', '/api/v1/projects', project('a'), key('k'))).status).toBe(201)
    for (const [path, body] of [
      ['projects', project('b')],
      ['apply', project('a')],
      ['projects?force=true', project('a')],
    ] as const) {
      const other = await call('POST', `/api/v1/${path}`, body, key('k'))
      expect([other.status, other.json.code], path).toEqual([422, 'key_reused'])
    }
    const administrators = {
      apiVersion: 'castellan/v1',
      kind: 'RoleBinding',
      metadata: { name: 'ada' },
      spec: {
        subjects: [{ kind: 'User', name: 'ada' }],
        bindings: [{ role: 'create', resource: 'projects' }],
      },
    }
    const ada = { apiVersion: 'castellan/v1', kind: 'User', metadata: { name: 'ada' }, spec: {} }
    await call('POST', '/api/v1/apply', { kind: 'List', items: [ada, administrators] })
    const hers = await call('POST', '/api/v1/projects', project('c'), {
      ...key('k'),
      'x-castellan-as': 'User:ada',
    })
    expect([hers.status, hers.headers.get('idempotency-replayed')]).toEqual([201, null])
    for (const bad of ['', 'a b', 'x'.repeat(256)])
      expect((await call('POST', '/api/v1/projects', project('d'), key(bad))).status).toBe(400)
    clock.ms += 86_400_001
    expect((await call('POST', '/api/v1/projects', project('b'), key('k'))).status).toBe(201)
    await forgetAnswers(store.control, clock.ms)
    expect(await store.control.selectFrom('answers').selectAll().execute()).toHaveLength(1)
  }))

test('what was refused, and what would only be checked, is nothing done: it may come again', () =>
  withControl(async ({ call, disk }) => {
    const missing = { ...project('p'), spec: { servers: ['s'] } }
    expect((await call('POST', '/api/v1/projects', missing, key('k'))).status).toBe(400)
    disk.accepts = false
    expect((await call('POST', '/api/v1/projects', project('p'), key('k'))).status).toBe(503)
    disk.accepts = true
    expect((await call('POST', '/api/v1/apply?dryRun=true', project('p'), key('k'))).status).toBe(200)
    const done = await call('POST', '/api/v1/projects', project('p'), key('k'))
    expect([done.status, done.headers.get('idempotency-replayed')]).toEqual([201, null])
  }))
