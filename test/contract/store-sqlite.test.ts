import { channel } from 'node:diagnostics_channel'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../src/lib/log.ts'
import { SecretValue } from '../../src/lib/secret-value.ts'
import { loadMasterKey } from '../../src/secrets/master-key.ts'
import { createSealer } from '../../src/secrets/sealing.ts'
import { openStore } from '../../src/store/open.ts'
import { bumpRevision, currentRevision, insertResource, listResources } from '../../src/store/resources.ts'
import { listSealed, listSealingKeys, putSealed } from '../../src/store/sealed.ts'
import type { Store } from '../../src/store/store.ts'
import { inTransaction } from '../../src/store/transaction.ts'
import { insertAlone, resource } from './store-rows.ts'

/* What only the embedded store can meet: its disk, its files, its worker, and the key file beside it. */

let home: string
const opened: Store[] = []
const open = async (at = home): Promise<Store> => {
  const store = await openStore({ home: at }, silentLog)
  opened.push(store)
  return store
}
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-store-'))
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()))
  await rm(home, { recursive: true })
})

/** A directory in which nobody can make a file: not root either, which a mode would not stop. */
async function readOnlyHome(): Promise<string> {
  if (process.platform === 'linux') return '/sys/kernel'
  await chmod(home, 0o500)
  return home
}

const bigApply = (store: Store, prefix: string): Promise<void> =>
  inTransaction(store, async (tx) => {
    const revision = await bumpRevision(tx)
    for (let i = 0; i < 100; i++) {
      await insertResource(tx, resource({ uid: `${prefix}-${i}`, revision, spec: 'x'.repeat(4000) }))
    }
  })

const count = async (store: Store): Promise<number> =>
  (await listResources(store.control, { kind: 'Server' })).length

test('its files can be read by their owner only, also those that were open to others', async () => {
  await writeFile(join(home, 'control.db'), '', { mode: 0o644 })
  const store = await open()
  await insertAlone(store, { uid: 'a' })
  const modes = await Promise.all(
    (await readdir(home)).map(async (name) => [name, (await stat(join(home, name))).mode & 0o777]),
  )
  expect(modes.length).toBeGreaterThan(3)
  expect(modes.filter(([, mode]) => mode !== 0o600)).toEqual([])
})

test('a home that cannot be written is refused with what to check', async () => {
  await expect(open(await readOnlyHome())).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('may write there'),
  })
  await chmod(home, 0o700)
})

test('a file that is no database is refused, and left as it is', async () => {
  const text = 'not a database, but long enough to be looked at as one'.repeat(100)
  await writeFile(join(home, 'control.db'), text)
  await expect(open()).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('restore it from a backup'),
  })
  expect((await stat(join(home, 'control.db'))).size).toBe(text.length)
})

test('a database that turns read-only refuses to write, goes on reading, and recovers', async () => {
  const store = await open()
  await insertAlone(store, { uid: 'a' })
  await sql`pragma query_only = 1`.execute(store.control)
  await expect(insertAlone(store, { uid: 'b' })).rejects.toMatchObject({ code: 'unavailable' })
  expect(await count(store)).toBe(1)
  await sql`pragma query_only = 0`.execute(store.control)
  await insertAlone(store, { uid: 'b' })
  expect(await currentRevision(store.control)).toBe(2)
})

test('a full disk in the middle of a transaction leaves nothing of it, and what was there before', async () => {
  const store = await open()
  await insertAlone(store, { uid: 'a' })
  await sql`pragma max_page_count = 60`.execute(store.control)
  await expect(bigApply(store, 'first')).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('full'),
  })
  expect(await count(store)).toBe(1)
  expect(await currentRevision(store.control)).toBe(1)
  await sql`pragma max_page_count = 100000`.execute(store.control)
  await bigApply(store, 'second')
  await store.close()
  const again = await open()
  expect(await count(again)).toBe(101)
  expect(await currentRevision(again.control)).toBe(2)
})

test('work that swallows a refusal cannot go on in a transaction that is no more', async () => {
  const store = await open()
  await sql`pragma max_page_count = 60`.execute(store.control)
  const stubborn = inTransaction(store, async (tx) => {
    await sql`rollback`.execute(tx)
    await insertResource(tx, resource({ uid: 'alone', revision: 1 }))
  })
  await expect(stubborn).rejects.toThrow('rolled back')
  expect(await count(store)).toBe(0)
  await insertAlone(store, { uid: 'a' })
})

test('a database of a newer version is refused and not touched', async () => {
  const store = await open()
  await insertAlone(store, { uid: 'a' })
  await sql`insert into migrations values ('control', 999, 'from-the-future')`.execute(store.control)
  await store.close()
  await expect(open()).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('newer version'),
  })
})

test('when the worker dies, what waits and what comes is refused with what to do', async () => {
  const created: Worker[] = []
  const notice = (message: unknown): void => void created.push((message as { worker: Worker }).worker)
  const workers = channel('worker_threads')
  workers.subscribe(notice)
  const store = await open()
  workers.unsubscribe(notice)
  await insertAlone(store, { uid: 'a' })
  const waiting = bigApply(store, 'b')
  const refused = { code: 'unavailable', hint: expect.stringContaining('restart the daemon') }
  const refusal = expect(waiting).rejects.toMatchObject(refused)
  await created[0]?.terminate()
  await refusal
  await expect(count(store)).rejects.toMatchObject(refused)
  await expect(store.state.selectFrom('sessions').selectAll().execute()).rejects.toMatchObject(refused)
  await store.close()
  expect(await count(await open())).toBe(1)
})

test('after closing, which may be done twice, statements are refused', async () => {
  const store = await open()
  const last = insertAlone(store, { uid: 'a' })
  await last
  await Promise.all([store.close(), store.close()])
  await expect(count(store)).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining('closed'),
  })
  expect(await readdir(home)).toEqual(['control.db', 'state.db'])
})

test('without its key file, a store with sealed values gets no new key', async () => {
  const store = await open()
  const { master } = await loadMasterKey({ home, usedWith: await listSealingKeys(store.control) })
  await insertAlone(store, { uid: 'a', kind: 'Secret' })
  const where = { kind: 'Secret', uid: 'a', field: 'token' }
  const row = createSealer(master).seal(where, new SecretValue('planted-secret'))
  await putSealed(store.control, { ...row, uid: 'a', field: 'token' })
  await rm(join(home, 'master.key'))
  const usedWith = await listSealingKeys(store.control)
  await expect(loadMasterKey({ home, usedWith })).rejects.toMatchObject({
    code: 'unavailable',
    hint: expect.stringContaining(master.id),
  })
  expect(await readdir(home)).not.toContain('master.key')
})

test('sealed values that are swapped in the database do not open', async () => {
  const store = await open()
  const sealer = createSealer((await loadMasterKey({ home, usedWith: [] })).master)
  for (const uid of ['a', 'b']) {
    await insertAlone(store, { uid, kind: 'Secret' })
    const value = new SecretValue(`value of ${uid}`)
    const row = sealer.seal({ kind: 'Secret', uid, field: 'token' }, value)
    await putSealed(store.control, { ...row, uid, field: 'token' })
  }
  const where = { kind: 'Secret', uid: 'a', field: 'token' }
  const [own] = await listSealed(store.control, 'a')
  const [other] = await listSealed(store.control, 'b')
  expect(sealer.open(where, own!).reveal()).toBe('value of a')
  await putSealed(store.control, { ...other!, uid: 'a' })
  const [swapped] = await listSealed(store.control, 'a')
  expect(() => sealer.open(where, swapped!)).toThrow(expect.objectContaining({ code: 'unavailable' }))
})
