import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { silentLog } from '../../src/lib/log.ts'
import { agreeOnKey } from '../../src/secrets/agree-on-key.ts'
import { createKeyRecord } from '../../src/main/keys/key-record.ts'
import { keyInFile } from '../../src/secrets/keys/key-file.ts'
import { keysInUse } from '../../src/store/master-key.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'

/* Which master key a store is used with: recorded by the first start, and the same for every daemon from then on. */

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one()
})

function freshHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'castellan-key-'))
  undo.push(() => rmSync(home, { recursive: true }))
  return home
}

async function open(home: string, databaseUrl?: string): Promise<Store> {
  const store = await openStore({ home, databaseUrl }, silentLog)
  undo.push(() => store.close())
  return store
}

const start = async (home: string, store: Store): Promise<{ readonly id: string }> => {
  const record = createKeyRecord({ store, node: `n${nodes++}`, nowMs: Date.now })
  return { id: (await agreeOnKey(keyInFile(keyAt(home)), record)).ring.keyId }
}

let nodes = 0
const keyAt = (home: string): string => join(home, 'master.key')

let postgres: TestPostgres
let databases = 0
beforeAll(async () => {
  postgres = await startPostgres(await findEmbeddedPostgres())
})
afterAll(() => postgres.close())

describe.each(['SQLite', 'PostgreSQL'])('on %s', (database) => {
  const place = async (): Promise<{ home: string; store: Store }> => {
    const home = freshHome()
    const url = database === 'SQLite' ? undefined : await postgres.createDatabase(`key_${databases++}`)
    return { home, store: await open(home, url) }
  }

  test('the first start records its key, before anything is sealed', async () => {
    const { home, store } = await place()
    const { id } = await start(home, store)
    expect(await keysInUse(store.control)).toEqual([id])
    expect((await start(home, store)).id).toBe(id)
  })

  test('another key is refused by name, no key is made, and the record stays as it is', async () => {
    const { home, store } = await place()
    const { id } = await start(home, store)
    const other = freshHome()
    await expect(start(other, store)).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringMatching(new RegExp(`${id}.*--key-file`)) as string,
    })
    expect(existsSync(keyAt(other))).toBe(false)
    const { id: otherId } = await start(other, await open(other))
    await expect(start(other, store)).rejects.toMatchObject({
      hint: expect.stringMatching(new RegExp(`${id}.*${otherId}`)) as string,
    })
    expect(await keysInUse(store.control)).toEqual([id])
  })
})

test('daemons that start at once on an empty database agree on one key, and leave no other behind', async () => {
  const url = await postgres.createDatabase('at_once')
  const places = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const home = freshHome()
      return { home, store: await open(home, url) }
    }),
  )
  const ends = await Promise.allSettled(places.map(({ home, store }) => start(home, store)))
  const ids = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value.id] : []))
  expect(ids).toHaveLength(1)
  for (const end of ends)
    if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'unavailable' })
  const [first] = places
  expect(first === undefined ? [] : await keysInUse(first.store.control)).toEqual(ids)
  expect(places.filter(({ home }) => existsSync(keyAt(home)))).toHaveLength(1)
})
