import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  bumpRevision,
  changesSince,
  currentRevision,
  findResource,
  findResourceByUid,
  findResourcesByUid,
  insertResource,
  listResources,
  removeResource,
  replaceResource,
} from '../../src/store/resources.ts'
import {
  listAllSealed,
  listSealed,
  listSealingKeys,
  putSealed,
  removeSealed,
} from '../../src/store/sealed.ts'
import type { Store } from '../../src/store/store.ts'
import type { ResourceRow } from '../../src/store/tables.ts'
import { findTokens, insertToken, removeToken } from '../../src/store/tokens.ts'
import { inTransaction } from '../../src/store/transaction.ts'
import { insertAlone, resource, sealed } from './store-rows.ts'
import { storeGrantsContract } from './store-grants.ts'
import { storeStateContract } from './store-state.ts'

/** A place for a store, empty at first. */
export interface StorePlace {
  open(): Promise<Store>
  /** Removes it with all that is in it. */
  clear(): Promise<void>
}

/** What every store does, on whatever database. */
export function storeContract(createPlace: () => Promise<StorePlace>): void {
  let place: StorePlace
  let store: Store
  beforeEach(async () => {
    place = await createPlace()
    store = await place.open()
  })
  afterEach(async () => {
    await store.close()
    await place.clear()
  })

  describe('resources', () => {
    test('what is inserted is found by key and by uid, also after a restart, exactly as it was', async () => {
      const row = await insertAlone(store, {
        uid: 'srv_1',
        project: 'demo',
        spec: JSON.stringify({ text: 'ünï "c\' \u{1F512} \\ % _ $1 ?', deep: 'x'.repeat(100_000) }),
        created_at_ms: Number.MAX_SAFE_INTEGER,
      })
      await store.close()
      store = await place.open()
      const key = { kind: 'Server', project: 'demo', name: 'srv_1' }
      expect(await findResource(store.control, key)).toEqual(row)
      expect(await findResourceByUid(store.control, 'srv_1')).toEqual(row)
      expect(await findResource(store.control, { ...key, project: '' })).toBeUndefined()
      expect(await findResourceByUid(store.control, 'srv_2')).toBeUndefined()
    })

    test('a name is taken once for each kind and project, and the refusal does not quote it', async () => {
      await insertAlone(store, { uid: 'a', name: 'same' })
      await insertAlone(store, { uid: 'b', name: 'same', kind: 'Secret' })
      await insertAlone(store, { uid: 'c', name: 'same', project: 'demo' })
      await expect(insertAlone(store, { uid: 'd', name: 'same' })).rejects.toMatchObject({
        code: 'conflict',
        hint: expect.not.stringContaining('same'),
      })
      expect(await currentRevision(store.control)).toBe(3)
      expect(await findResourceByUid(store.control, 'd')).toBeUndefined()
    })

    test('lists are in the order of bytes, whatever the database thinks of words', async () => {
      const names = ['b', 'a-b', 'ab', 'a0', 'B', 'Z', 'é', 'z', '\u{1F512}', '\uFF5E', 'a.b']
      for (const name of names) await insertAlone(store, { uid: `u-${name}`, name })
      const listed = await listResources(store.control, { kind: 'Server' })
      const byBytes = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      expect(listed.map(({ name }) => name)).toEqual(byBytes)
    })

    test('pages follow each other without gap or repetition, across projects too', async () => {
      const keys = ['', 'p1', 'p2'].flatMap((project) => ['a', 'b', 'c'].map((name) => ({ project, name })))
      for (const { project, name } of keys)
        await insertAlone(store, { uid: `${project}/${name}`, project, name })
      const seen: { project: string; name: string }[] = []
      for (;;) {
        const page = await listResources(store.control, { kind: 'Server', after: seen.at(-1), limit: 2 })
        seen.push(...page.map(({ project, name }) => ({ project, name })))
        if (page.length < 2) break
      }
      expect(seen).toEqual(keys)
      const ofProject = await listResources(store.control, { kind: 'Server', project: 'p1' })
      expect(ofProject.map(({ uid }) => uid)).toEqual(['p1/a', 'p1/b', 'p1/c'])
      expect(await listResources(store.control, { kind: 'Token' })).toEqual([])
    })

    test('a replacement is made from what was read, or not at all', async () => {
      const before = await insertAlone(store, { uid: 'a' })
      const change = {
        uid: 'a',
        generation: 2,
        labels: '{}',
        annotations: '{}',
        status: '{}',
        updated_at_ms: 5,
      }
      const replace = (spec: string, expectedRevision: number): Promise<ResourceRow> =>
        inTransaction(store, async (tx) =>
          replaceResource(tx, { ...change, spec, expectedRevision, revision: await bumpRevision(tx) }),
        )
      const after = await replace('{"v":2}', before.revision)
      expect(after).toEqual({ ...before, ...change, spec: '{"v":2}', revision: 2 })
      await expect(replace('{"v":3}', before.revision)).rejects.toMatchObject({ code: 'conflict' })
      await expect(replace('{"v":3}', 99)).rejects.toMatchObject({ code: 'conflict' })
      expect(await findResourceByUid(store.control, 'a')).toEqual(after)
      expect(await currentRevision(store.control)).toBe(2)
    })

    test('removing gives what was there, and takes its sealed values and its token along', async () => {
      const row = await insertAlone(store, { uid: 'a' })
      await insertAlone(store, { uid: 'b' })
      for (const uid of ['a', 'b']) {
        await putSealed(store.control, sealed(uid, 'token'))
        await insertToken(store.control, {
          uid,
          digest: `digest-${uid}`,
          prefix: 'cst_',
          expires_at_ms: null,
        })
      }
      const remove = (): Promise<ResourceRow | undefined> =>
        inTransaction(store, async (tx) =>
          removeResource(tx, { uid: 'a', revision: await bumpRevision(tx), atMs: 7 }),
        )
      expect(await remove()).toEqual(row)
      expect(await remove()).toBeUndefined()
      expect((await listAllSealed(store.control)).map(({ uid }) => uid)).toEqual(['b'])
      expect((await findTokens(store.control)).map(({ uid }) => uid)).toEqual(['b'])
    })
  })

  describe('revision and changes', () => {
    test('every changing transaction is one revision, and says what it changed', async () => {
      expect(await currentRevision(store.control)).toBe(0)
      expect(await changesSince(store.control, 0)).toEqual([])
      const a = await insertAlone(store, { uid: 'a' })
      await inTransaction(store, async (tx) => {
        const revision = await bumpRevision(tx)
        await replaceResource(tx, { ...a, expectedRevision: 1, revision, updated_at_ms: 20 })
        for (const uid of ['b', 'c']) await insertResource(tx, resource({ uid, revision, created_at_ms: 20 }))
        await removeResource(tx, { uid: 'c', revision, atMs: 30 })
      })
      const changes = await changesSince(store.control, 0)
      expect(changes?.map(({ revision, uid, operation }) => [revision, uid, operation])).toEqual([
        [1, 'a', 'insert'],
        [2, 'a', 'replace'],
        [2, 'b', 'insert'],
        [2, 'c', 'remove'],
      ])
      expect(changes?.[2]).toEqual({
        revision: 2,
        uid: 'b',
        kind: 'Server',
        project: '',
        name: 'b',
        operation: 'insert',
        at_ms: 20,
      })
      expect(await changesSince(store.control, 1)).toEqual(changes?.slice(1))
      expect(await changesSince(store.control, 2)).toEqual([])
    })

    test('a transaction that fails leaves neither a row nor a revision', async () => {
      await insertAlone(store, { uid: 'a' })
      const failing = inTransaction(store, async (tx) => {
        const revision = await bumpRevision(tx)
        await insertResource(tx, resource({ uid: 'b', revision }))
        await putSealed(tx, sealed('b', 'token'))
        throw new Error('on purpose')
      })
      await expect(failing).rejects.toThrow('on purpose')
      await expect(insertAlone(store, { uid: 'a' })).rejects.toMatchObject({ code: 'conflict' })
      expect(await currentRevision(store.control)).toBe(1)
      expect(await changesSince(store.control, 1)).toEqual([])
      expect(await listResources(store.control, { kind: 'Server' })).toHaveLength(1)
      expect(await listAllSealed(store.control)).toEqual([])
    })

    test('who is too far behind, or ahead of the database, is told to read everything', async () => {
      await insertAlone(store, { uid: 'a' })
      expect(await changesSince(store.control, 2)).toBeUndefined()
      await store.control.updateTable('revision').set({ value: 20_000 }).execute()
      await insertAlone(store, { uid: 'b' })
      expect(await changesSince(store.control, 1)).toBeUndefined()
      expect(await changesSince(store.control, 10_000)).toBeUndefined()
      expect((await changesSince(store.control, 10_001))?.map(({ uid }) => uid)).toEqual(['b'])
      const { count } = await store.control
        .selectFrom('changes')
        .select(sql<number>`count(*)`.as('count'))
        .executeTakeFirstOrThrow()
      expect(count).toBe(1)
    })

    test('those of many that are there are found by their uids', async () => {
      for (const uid of ['a', 'b']) await insertAlone(store, { uid })
      const uids = ['b', 'x', 'a', ...Array.from({ length: 2500 }, (_, i) => `none-${i}`)]
      const rows = await findResourcesByUid(store.control, uids)
      expect(new Set(rows.map(({ uid }) => uid))).toEqual(new Set(['a', 'b']))
      expect(await findResourcesByUid(store.control, [])).toEqual([])
    })

    test('writers on several nodes: a reader sees every revision, in order, none twice', async () => {
      const nodes = await Promise.all([place.open(), place.open(), place.open()])
      const perNode = 25
      const total = nodes.length * perNode
      const writing = Promise.all(
        nodes.map(async (node, n) => {
          for (let i = 0; i < perNode; i++) await insertAlone(node, { uid: `n${n}-${i}` })
        }),
      )
      const seen: number[] = []
      while (seen.length < total) {
        const changes = await changesSince(store.control, seen.at(-1) ?? 0)
        seen.push(...(changes ?? []).map(({ revision }) => revision))
      }
      await writing
      expect(seen).toEqual(Array.from({ length: total }, (_, i) => i + 1))
      await Promise.all(nodes.map((node) => node.close()))
    })

    test('transactions do not come between each other, nor do other statements', async () => {
      const other = await place.open()
      for (const uid of ['left', 'right']) await insertAlone(store, { uid, spec: '0' })
      const addOne = (node: Store): Promise<void> =>
        inTransaction(node, async (tx) => {
          const rows = await listResources(tx, { kind: 'Server' })
          const revision = await bumpRevision(tx)
          for (const row of rows) {
            const spec = String(Number(row.spec) + 1)
            await replaceResource(tx, { ...row, spec, revision, expectedRevision: row.revision })
          }
        })
      const writing = Promise.all(Array.from({ length: 20 }, (_, i) => addOne(i % 2 === 0 ? store : other)))
      for (let i = 0; i < 20; i++) {
        const [left, right] = await listResources(store.control, { kind: 'Server' })
        expect(left?.spec).toBe(right?.spec)
      }
      await writing
      const rows = await listResources(store.control, { kind: 'Server' })
      expect(rows.map(({ spec }) => spec)).toEqual(['20', '20'])
      await other.close()
    })
  })

  describe('sealed values', () => {
    test('are put, replaced, listed and removed by resource and field', async () => {
      for (const uid of ['a', 'b']) await insertAlone(store, { uid })
      const rows = [sealed('a', 'Z'), sealed('a', 'a'), sealed('b', 'a', 'mk_2')]
      for (const row of rows) await putSealed(store.control, row)
      expect(await listSealed(store.control, 'a')).toEqual(rows.slice(0, 2))
      expect(await listAllSealed(store.control)).toEqual(rows)
      expect(await listSealingKeys(store.control)).toEqual(['mk_1', 'mk_2'])
      const again = { ...sealed('b', 'a'), ciphertext: 'bmV3' }
      await putSealed(store.control, again)
      await removeSealed(store.control, 'a', 'Z')
      await removeSealed(store.control, 'a', 'not there')
      expect(await listAllSealed(store.control)).toEqual([rows[1], again])
      expect(await listSealingKeys(store.control)).toEqual(['mk_1'])
    })

    test('cannot be kept for a resource that is not there', async () => {
      await expect(putSealed(store.control, sealed('ghost', 'token'))).rejects.toThrow()
      expect(await listSealingKeys(store.control)).toEqual([])
    })
  })

  describe('tokens', () => {
    test('are inserted, found and removed; no digest is there twice', async () => {
      for (const uid of ['a', 'b', 'c']) await insertAlone(store, { uid })
      const row = (uid: string, expires_at_ms: number | null) => ({
        uid,
        digest: uid.repeat(64),
        prefix: `cst_${uid}`,
        expires_at_ms,
      })
      const rows = [row('a', null), row('b', 1_900_000_000_000)]
      for (const token of rows) await insertToken(store.control, token)
      const twice = insertToken(store.control, { ...row('c', null), digest: 'a'.repeat(64) })
      await expect(twice).rejects.toMatchObject({ code: 'conflict' })
      expect(await findTokens(store.control)).toEqual(rows)
      expect(await findTokens(store.control, ['b', 'x'])).toEqual([rows[1]])
      expect(await findTokens(store.control, [])).toEqual([])
      await removeToken(store.control, 'a')
      expect(await findTokens(store.control)).toEqual([rows[1]])
    })
  })

  describe('grants', () => storeGrantsContract(() => store))
  describe('state', () => storeStateContract(() => store))
}
