import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import { currentRevision } from '../../src/store/resources.ts'
import type { Store } from '../../src/store/store.ts'
import { inTransaction } from '../../src/store/transaction.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { until } from '../e2e/gateway-harness.ts'
import { insertAlone } from './store-rows.ts'

/* What only a database on the network can meet: addresses, logins, lost connections, several nodes that start. */

let postgres: TestPostgres
let logged: string
const opened: Store[] = []
const log = pino(
  { level: 'trace' },
  new Writable({
    write(chunk: Buffer, _, done) {
      logged += chunk.toString()
      done()
    },
  }),
)

const open = async (databaseUrl: string): Promise<Store> => {
  const store = await openStore({ home: '/nowhere', databaseUrl }, log)
  opened.push(store)
  return store
}

beforeAll(async () => {
  postgres = await startPostgres(await findEmbeddedPostgres())
})
afterAll(() => postgres.close())
beforeEach(() => {
  logged = ''
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()))
})

async function refusalOf(databaseUrl: string): Promise<{ readonly hint: string; readonly shown: string }> {
  const error: unknown = await open(databaseUrl).then(
    () => new Error('it opened'),
    (thrown: unknown) => thrown,
  )
  const shown = inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error) + logged
  return { hint: String((error as { hint?: string }).hint), shown }
}

/** The password as the address has it, and as it is. */
const spellings = (): string[] => [postgres.password, encodeURIComponent(postgres.password)]

test.each([
  ['another password', (url: string) => url.replace('pg-canary', 'pg-canary-wrong'), 'refuses the login'],
  ['a database that is not there', (url: string) => `${url}_missing`, 'refuses the login'],
  ['a port where nobody listens', (url: string) => url.replace(/:\d+\//, ':1/'), 'cannot be reached'],
  ['a host that is not there', (url: string) => url.replace('127.0.0.1', 'db.invalid'), 'cannot be reached'],
  ['a port that is none', (url: string) => url.replace(/:\d+\//, ':99999/'), 'give the database as'],
  ['another scheme', (url: string) => url.replace('postgres:', 'mysql:'), 'give the database as'],
  [
    'a password that is not encoded',
    () => `postgres://castellan:${postgres.password}@:/x`,
    'give the database as',
  ],
])('with %s the refusal says what to check, and shows the password nowhere', async (_, change, says) => {
  const { hint, shown } = await refusalOf(change(postgres.url('postgres')))
  expect(hint).toContain(says)
  for (const password of [...spellings(), 'pg-canary']) expect(shown).not.toContain(password)
})

test('nodes that start together on an empty database all come up', async () => {
  const url = await postgres.createDatabase('together')
  const stores = await Promise.all(Array.from({ length: 5 }, () => open(url)))
  expect(await Promise.all(stores.map(({ control }) => currentRevision(control)))).toEqual([0, 0, 0, 0, 0])
})

test('a database of a newer version is refused', async () => {
  const url = await postgres.createDatabase('newer')
  const store = await open(url)
  await sql`insert into migrations values ('state', 999, 'from-the-future')`.execute(store.control)
  expect((await refusalOf(url)).hint).toContain('newer version')
})

test('a connection that is cut costs the transaction on it, is logged without the password, and comes back', async () => {
  const store = await open(await postgres.createDatabase('cut'))
  await insertAlone(store, { uid: 'a' })
  const cut = inTransaction(store, async (tx) => {
    await sql`select pg_terminate_backend(pg_backend_pid())`.execute(tx)
  })
  await expect(cut).rejects.toMatchObject({ code: 'unavailable' })
  await insertAlone(store, { uid: 'b' })
  expect(await currentRevision(store.control)).toBe(2)

  const other = await open(postgres.url('cut'))
  logged = ''
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = 'cut' and pid <> pg_backend_pid()`.execute(
    other.control,
  )
  while (!logged.includes('lost a database connection')) await sleep(10)
  await insertAlone(store, { uid: 'c' })
  for (const password of [...spellings(), 'pg-canary']) expect(logged).not.toContain(password)
})

test('a database that only reads refuses to write, and says so', async () => {
  const url = await postgres.createDatabase('standby')
  const store = await open(url)
  await sql`alter database standby set default_transaction_read_only = on`.execute(store.control)
  expect((await refusalOf(url)).hint).toContain('cannot be written')
})

test('who watches is told of each commit, of no rollback, and again once a lost connection is back', async () => {
  const url = await postgres.createDatabase('watched')
  const [writer, watcher] = [await open(url), await open(url)]
  let told = 0
  const watch = watcher.watch?.(() => told++)
  const toldMore = (than: number): Promise<boolean> => until('it is told', () => told > than)
  await toldMore(0)
  for (const uid of ['a', 'b']) {
    const before = told
    await insertAlone(writer, { uid })
    await toldMore(before)
  }
  const before = told
  await expect(insertAlone(writer, { uid: 'a' })).rejects.toMatchObject({ code: 'conflict' })
  await inTransaction(writer, async () => undefined)
  await insertAlone(writer, { uid: 'c' })
  await toldMore(before)
  await sleep(50)
  expect(told).toBe(before + 1)
  const beforeCut = told
  await postgres.query(
    'watched',
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'castellan-listen'",
  )
  await toldMore(beforeCut)
  for (const password of [...spellings(), 'pg-canary']) expect(logged).not.toContain(password)
  await watch?.close()
})
