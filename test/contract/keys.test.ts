import { createSecretKey } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createKeptAnswers } from '../../src/control/change/kept-answers.ts'
import type { Grant } from '../../src/grants/grant.ts'
import { justIssued } from '../../src/grants/held-secret.ts'
import { silentLog } from '../../src/lib/log.ts'
import { SecretValue } from '../../src/lib/secret-value.ts'
import { createGrantAttemptStore } from '../../src/main/grant-attempt-store.ts'
import { createGrantStore } from '../../src/main/grant-store.ts'
import { createKeyRecord, type StoreKeyRecord } from '../../src/main/keys/key-record.ts'
import { sealAnew } from '../../src/main/keys/seal-anew.ts'
import { placeOfAttempt } from '../../src/main/sign-in/attempts.ts'
import { SEALED_AS } from '../../src/main/upstream-session-log.ts'
import { agreeOnKey, type AgreedKeys } from '../../src/secrets/agree-on-key.ts'
import { deriveKey } from '../../src/secrets/derive-key.ts'
import { keyInFile } from '../../src/secrets/keys/key-file.ts'
import { newMasterKey, type MasterKey } from '../../src/secrets/keys/key.ts'
import type { Rotation } from '../../src/secrets/keys/key-record.ts'
import { wrapMasterKey, wrapStoreKey } from '../../src/secrets/keys/wrap.ts'
import { loadMasterKey } from '../../src/secrets/master-key.ts'
import type { Sealed } from '../../src/secrets/sealing.ts'
import { listKeyHolders } from '../../src/store/master-key.ts'
import { openStore } from '../../src/store/open.ts'
import { insertResource } from '../../src/store/resources.ts'
import { countSealed, SEALED_TABLES } from '../../src/store/sealed-tables.ts'
import { listSealed, putSealed } from '../../src/store/sealed.ts'
import { insertAttempt, tryAttempt, useAttempt } from '../../src/store/sign-in-attempts.ts'
import type { Store } from '../../src/store/store.ts'
import { claimUpstreamSessions, insertUpstreamSessions } from '../../src/store/upstream-sessions.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { resource } from './store-rows.ts'

/* One master key in the place of another, statement by statement, on both databases. */

const GRANT: Grant = {
  uid: 'grt_1',
  profile: 'default',
  holder: '',
  name: 'github',
  server: undefined,
  origins: ['https://api.example.com'],
  source: 'prompt',
  values: { token: justIssued(new SecretValue('g')) },
  settings: {},
  expiresAtMs: undefined,
  oauth: undefined,
  trouble: undefined,
  refreshed: undefined,
  givenAtMs: 1,
  renewing: undefined,
  version: 1,
}

let postgres: TestPostgres
let databases = 0
beforeAll(async () => {
  postgres = await startPostgres(await findEmbeddedPostgres())
})
afterAll(() => postgres.close())

describe.each(['SQLite', 'PostgreSQL'])('on %s', (database) => {
  let home: string
  let store: Store
  let record: StoreKeyRecord
  let keys: AgreedKeys
  let next: MasterKey

  beforeEach(async () => {
    home = mkdtempSync(join(tmpdir(), 'castellan-keys-'))
    const url = database === 'SQLite' ? undefined : await postgres.createDatabase(`keys_${databases++}`)
    store = await openStore({ home, databaseUrl: url }, silentLog)
    record = createKeyRecord({ store, node: 'one', nowMs: Date.now })
    keys = await agree()
    next = newMasterKey()
  })
  afterEach(async () => {
    await store.close()
    rmSync(home, { recursive: true })
  })

  const agree = (): Promise<AgreedKeys> => agreeOnKey(keyInFile(join(home, 'master.key')), record)
  const current = (): MasterKey => keys.ring.get(keys.ring.keyId) ?? next
  const rotation = (): Rotation => ({
    oldKey: current().id,
    newKey: next.id,
    phase: 'announced',
    newUnderOld: wrapMasterKey(current(), next),
    oldUnderNew: wrapMasterKey(next, current()),
    keepOld: false,
    oldSinceMs: 1,
    begunAtMs: 2,
  })
  const anew = (old: string): Promise<number> =>
    sealAnew(
      { store, sealer: keys.ring, log: silentLog, named: new Set() },
      old,
      new AbortController().signal,
    )

  async function keep(uid: string, field: string, sealed: Sealed): Promise<void> {
    await putSealed(store.control, Object.assign({}, sealed, { uid, field }))
  }
  async function makeSecret(name: string, value: string): Promise<string> {
    const row = resource({ uid: `sec_${name}`, kind: 'Secret' })
    await insertResource(store.control, row)
    const where = { kind: 'Secret', uid: row.uid, field: 'k' }
    await keep(row.uid, 'k', keys.ring.seal(where, new SecretValue(value)))
    return row.uid
  }
  async function replaceKey(): Promise<void> {
    const planned = rotation()
    expect(await record.begin(planned)).toBe(true)
    keys.ring.add(next)
    await record.beginSealing(planned, wrapStoreKey(next, keys.storeKey))
    keys.ring.use(next.id)
    expect(await anew(planned.oldKey)).toBe(0)
    expect(await record.finish(planned)).toBe(true)
  }
  const open = async (uid: string, field = 'k'): Promise<string> => {
    const row = (await listSealed(store.control, uid)).find((one) => one.field === field)
    if (row === undefined) throw new Error('there is no such value')
    return keys.ring.open({ kind: 'Secret', uid, field }, row).reveal()
  }

  test('every table with sealed values is one that is sealed anew', async () => {
    const found =
      database === 'SQLite'
        ? await tablesOfSqlite(store)
        : (
            await sql<{ name: string }>`
            select table_name as name from information_schema.columns where column_name = 'wrapped_key'
          `.execute(store.control)
          ).rows.map(({ name }) => name)
    expect(found.sort()).toEqual([...SEALED_TABLES].sort())
    for (const table of SEALED_TABLES) expect(await countSealed(store, table)).toEqual([])
  })

  test('of two rotations one begins; either key opens the store meanwhile, and only the new one after it', async () => {
    const uid = await makeSecret('one', 'of the first')
    const planned = rotation()
    const begun = await Promise.all([record.begin(planned), record.begin(planned)])
    expect(begun.filter(Boolean)).toEqual([true])
    const both = await agree()
    expect(both.ring.keyId).toBe(planned.oldKey)
    expect(both.ring.get(next.id)?.id).toBe(next.id)
    keys.ring.add(next)
    await record.beginSealing(planned, wrapStoreKey(next, keys.storeKey))
    expect(await record.finish(planned)).toBe(false)
    expect((await agree()).ring.keyId).toBe(next.id)
    keys.ring.use(next.id)
    expect(await anew(planned.oldKey)).toBe(0)
    expect(await open(uid)).toBe('of the first')
    expect(await record.finish(planned)).toBe(true)
    await expect(agree()).rejects.toMatchObject({
      hint: expect.stringContaining(`replaced by ${next.id}`) as string,
    })
    expect((await record.read()).retired).toMatchObject([{ keyId: planned.oldKey, keepOld: false }])
    expect(await record.begin(planned)).toBe(false)
  })

  test('grants, drafts of authorizations, sign-ins, answers and sessions open after it, also those that were read before', async () => {
    const { control, state } = store
    const sealer = keys.ring
    const clock = { nowMs: Date.now }
    const grants = createGrantStore({ store, sealer, clock })
    await grants.save(GRANT, true)
    const readBefore = await grants.find(GRANT)
    const drafts = createGrantAttemptStore(state, sealer, clock)
    await drafts.add(
      { id: 'd', stateDigest: 's', expiresAtMs: Date.now() + 60_000 },
      new SecretValue('draft'),
    )
    const answers = createKeptAnswers({ sealer, clock })
    const request = { principal: 'p', key: 'k', digest: 'd' }
    await answers.keep(control, request, { status: 201, body: 'answer' })
    const session = sealer.seal(Object.assign({ uid: 'u' }, SEALED_AS), new SecretValue('session'))
    const about = { uid: 'u', node: 'n', server: 's', server_uid: 's', url: 'u', protocol_version: 'v' }
    await insertUpstreamSessions(state, [Object.assign({ opened_at_ms: 1 }, about, session)])
    const attempt = sealer.seal(placeOfAttempt('a'), new SecretValue('identity'))
    const expires_at_ms = Date.now() + 60_000
    const row = { id: 'a', code_digest: 'c', state: 'ready', tries: 0, expires_at_ms } as const
    await insertAttempt(state, Object.assign({}, row, attempt))
    await insertAttempt(state, Object.assign({}, row, attempt, { id: 'used' }))
    await useAttempt(state, 'used')
    await replaceKey()
    for (const table of SEALED_TABLES)
      expect((await countSealed(store, table)).map(({ key_id }) => key_id)).toEqual(
        table === 'sealed' ? [] : [next.id],
      )
    const fresh = await grants.find(GRANT)
    expect([fresh, readBefore].map((grant) => grant?.values['token']?.open().reveal())).toEqual(['g', 'g'])
    expect(await grants.save(Object.assign({}, readBefore, { version: 2 }), true)).toBeDefined()
    expect((await drafts.take('s'))?.draft.reveal()).toBe('draft')
    expect(await answers.find(control, request)).toMatchObject({ body: 'answer' })
    const [left] = await claimUpstreamSessions(state, { gone: 'n', self: 'm', limit: 1 })
    if (left === undefined) throw new Error('there is no session')
    expect(sealer.open(Object.assign({ uid: 'u' }, SEALED_AS), left).reveal()).toBe('session')
    const tried = await tryAttempt(state, 'a')
    if (tried === undefined) throw new Error('there is no attempt')
    expect(sealer.open(placeOfAttempt('a'), tried).reveal()).toBe('identity')
    expect(await tryAttempt(state, 'used')).toMatchObject({ ciphertext: '', key_id: next.id })
  })

  test('what a paused process has sealed with the old key is not taken after the end', async () => {
    const uid = await makeSecret('late', 'first')
    const where = { kind: 'Secret', uid, field: 'late' }
    const late = keys.ring.seal(where, new SecretValue('too late'))
    await replaceKey()
    await expect(keep(uid, 'late', late)).rejects.toThrow()
    await keep(uid, 'late', keys.ring.seal(where, new SecretValue('in time')))
    expect(await open(uid, 'late')).toBe('in time')
  })

  test('a sealed row opens in no other row, under no other field, and in no other table', async () => {
    const [one, two] = [await makeSecret('a', 'of a'), await makeSecret('b', 'of b')]
    const [row] = await listSealed(store.control, one)
    if (row === undefined) throw new Error('there is no value')
    await keep(two, 'k', row)
    await keep(two, 'other', row)
    await expect(open(two)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(open(two, 'other')).rejects.toMatchObject({ code: 'unavailable' })
    for (const kind of ['Grant', 'User', 'Answer', 'SignInAttempt', 'GrantAttempt', 'UpstreamSession'])
      for (const field of ['k', 'id', 'answer', 'identity', 'draft'])
        expect(() => keys.ring.open({ kind, uid: one, field }, row)).toThrow()
    expect(await open(one)).toBe('of a')
  })

  test('a value that was put back opens until the key is replaced, and not after it', async () => {
    const uid = await makeSecret('back', 'older')
    const [older] = await listSealed(store.control, uid)
    if (older === undefined) throw new Error('there is no value')
    const where = { kind: 'Secret', uid, field: 'k' }
    await keep(uid, 'k', keys.ring.seal(where, new SecretValue('newer')))
    await keep(uid, 'k', older)
    // Who may write the database can do this; docs/operations.md says so.
    expect(await open(uid)).toBe('older')
    await keep(uid, 'k', keys.ring.seal(where, new SecretValue('newer')))
    await replaceKey()
    await expect(keep(uid, 'k', older)).rejects.toThrow()
  })

  test('a store from before store keys goes on with the keys that it has derived from its master key', async () => {
    await store.control.updateTable('master_key').set({ store_key: '' }).execute()
    const again = await agree()
    expect(deriveKey(again.storeKey, 'audit-mac')).toEqual(deriveKey(current(), 'audit-mac'))
    expect((await agree()).storeKey.key.equals(again.storeKey.key)).toBe(true)
    expect((await record.read()).inUse?.storeKey).not.toBe('')
  })

  test('a new store has a store key of its own, which its master key alone does not tell', async () => {
    const { master } = await loadMasterKey({ home, usedWith: [] })
    expect(keys.storeKey.key.equals(createSecretKey(master.key.export()))).toBe(false)
    expect((await agree()).storeKey.key.equals(keys.storeKey.key)).toBe(true)
  })

  test('a store key or a next key that somebody has changed is refused, and so is one of another store', async () => {
    const { inUse } = await record.read()
    await store.control
      .updateTable('master_key')
      .set({ store_key: wrapStoreKey(next, keys.storeKey) })
      .execute()
    await expect(agree()).rejects.toMatchObject({ code: 'unavailable' })
    await store.control
      .updateTable('master_key')
      .set({ store_key: inUse?.storeKey ?? '' })
      .execute()
    await record.begin(Object.assign(rotation(), { newUnderOld: wrapMasterKey(current(), newMasterKey()) }))
    await expect(agree()).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('a daemon is shown as it is, and what is left of others goes', async () => {
    await record.show({ source: 'file', startsWith: 'mk_1', knows: 'mk_2', sealsWith: 'mk_1' })
    const [first] = await listKeyHolders(store.control)
    expect(first).toMatchObject({ node: 'one', source: 'file', starts_with: 'mk_1', knows: 'mk_2' })
    await record.show({ source: 'file', startsWith: 'mk_2', knows: 'mk_2', sealsWith: 'mk_2' })
    const [second] = await record.holders()
    expect(second).toMatchObject({ startsWith: 'mk_2', beat: (first?.beat ?? 0) + 1 })
    await record.forgetHolder('one', first?.beat ?? 0)
    expect(await record.holders()).toHaveLength(1)
    await record.leave()
    expect(await record.holders()).toEqual([])
  })
})

async function tablesOfSqlite(store: Store): Promise<string[]> {
  const found = async (db: Store['control'] | Store['state']): Promise<string[]> =>
    (
      await sql<{ name: string }>`
        select m.name as name from sqlite_master m, pragma_table_info(m.name) c
        where m.type = 'table' and c.name = 'wrapped_key'
      `.execute(db)
    ).rows.map(({ name }) => name)
  return [...(await found(store.control)), ...(await found(store.state))]
}
