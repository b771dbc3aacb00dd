import { rm } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { createPasswordHasher } from '../../src/access/sign-in/password-hash.ts'
import { createChanges } from '../../src/control/change/change.ts'
import { hasExpired } from '../../src/main/sign-in/expired.ts'
import { endExpired } from '../../src/main/sign-in/issue.ts'
import { SecretValue } from '../../src/lib/secret-value.ts'
import { loadMasterKey } from '../../src/secrets/master-key.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { listSealed, listSealingKeys, putSealed } from '../../src/store/sealed.ts'
import { makeHome, openControl, type Control } from './control-harness.ts'

const PASSWORD = 'correct horse battery staple'
const HOUR_MS = 3600 * 1000

async function withAda(work: (control: Control, home: string) => Promise<void>): Promise<void> {
  const home = await makeHome()
  const control = await openControl(home)
  try {
    await control.call('POST', '/api/v1/users', {
      apiVersion: 'castellan/v1',
      kind: 'User',
      metadata: { name: 'ada' },
      spec: {},
    })
    await control.call('POST', '/api/v1/users/ada/password', { password: PASSWORD })
    await work(control, home)
  } finally {
    await control.close()
    await rm(home, { recursive: true, force: true })
  }
}

async function signIn(control: Control): Promise<string> {
  const { status, json } = await control.call('POST', '/api/v1/auth/login', {
    user: 'ada',
    password: PASSWORD,
  })
  expect(status).toBe(200)
  return String(json['credential'])
}

const whoIs = ({ call }: Control, credential: string) =>
  call('GET', '/api/v1/auth/me', undefined, { authorization: `Bearer ${credential}` })

test('a sign-in ends after its twelve hours, to the millisecond', async () => {
  await withAda(async (control) => {
    const credential = await signIn(control)
    control.clock.ms += 12 * HOUR_MS - 1
    expect(await whoIs(control, credential)).toMatchObject({ status: 200 })
    control.clock.ms += 1
    expect(await whoIs(control, credential)).toMatchObject({ status: 401 })
  })
})

test('those that are over are taken away, and no others', async () => {
  await withAda(async (control, home) => {
    const { store, snapshot, clock, backends } = control
    const { master } = await loadMasterKey({ home, usedWith: await listSealingKeys(store.control) })
    const changes = createChanges({ store, sealer: createSealer(master), backends, snapshot, clock })
    await signIn(control)
    clock.ms += 6 * HOUR_MS
    const later = await signIn(control)
    expect(hasExpired(snapshot, clock.ms)).toBe(false)
    clock.ms += 7 * HOUR_MS
    expect(hasExpired(snapshot, clock.ms)).toBe(true)
    await endExpired({ changes, snapshot, nowMs: clock.nowMs })
    expect(hasExpired(snapshot, clock.ms)).toBe(false)
    expect(await whoIs(control, later)).toMatchObject({ status: 200 })
    const { json } = await control.call('GET', '/api/v1/signins')
    expect(json.items).toHaveLength(1)
  })
})

test('a hash that is weaker than those of today becomes one of today, with the sign-in that could tell', async () => {
  await withAda(async (control, home) => {
    const { store, snapshot } = control
    const { master } = await loadMasterKey({ home, usedWith: await listSealingKeys(store.control) })
    const sealer = createSealer(master)
    const uid = [...(snapshot.state().resources.get('User')?.values() ?? [])][0]?.resource.metadata.uid ?? ''
    const where = { kind: 'User', uid, field: 'password' }
    const weak = createPasswordHasher({ memoryKiB: 64, passes: 1, lanes: 1 })
    const hash = new SecretValue(await weak.hash(new SecretValue(PASSWORD)))
    await putSealed(store.control, { uid, field: 'password', ...sealer.seal(where, hash) })
    const stored = async () => {
      const [row] = await listSealed(store.control, uid)
      return row === undefined ? '' : sealer.open(where, row).reveal()
    }
    expect(await stored()).toMatch(/^\$argon2id\$v=19\$m=64,/)
    await signIn(control)
    const grown = await stored()
    expect(grown).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    await signIn(control)
    expect(await stored()).toBe(grown)
  })
})

test('of a hundred sign-ins of one user the oldest makes room for the next', async () => {
  await withAda(async (control) => {
    const [first, second] = [await signIn(control), await signIn(control)]
    control.clock.ms += 1000
    for (let i = 0; i < 99; i++) await signIn(control)
    const { json } = await control.call('GET', '/api/v1/signins?limit=500')
    expect(json.items).toHaveLength(100)
    const statuses = [await whoIs(control, first), await whoIs(control, second)].map(({ status }) => status)
    expect(statuses.filter((status) => status === 401)).toHaveLength(1)
  })
})

test('nobody is signed in whose sign-in cannot be recorded', async () => {
  await withAda(async (control) => {
    control.disk.durable = false
    const refused = await control.call('POST', '/api/v1/auth/login', { user: 'ada', password: PASSWORD })
    expect(refused).toMatchObject({ status: 503 })
    control.disk.durable = true
    const { json } = await control.call('GET', '/api/v1/signins')
    expect(json.items).toEqual([])
  })
})

test('nobody makes or changes a sign-in by a manifest', async () => {
  await withAda(async (control) => {
    const { snapshot } = control
    const uid = [...(snapshot.state().resources.get('User')?.values() ?? [])][0]?.resource.metadata.uid
    const manifest = {
      apiVersion: 'castellan/v1',
      kind: 'SignIn',
      metadata: { name: 'forged' },
      spec: { user: 'ada', userUid: uid, method: 'password', expiresAt: '2030-01-01T00:00:00.000Z' },
    }
    expect(await control.call('POST', '/api/v1/signins', manifest)).toMatchObject({ status: 400 })
    expect(await control.call('POST', '/api/v1/apply', manifest)).toMatchObject({ status: 400 })
  })
})
