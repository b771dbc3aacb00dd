import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { connectAll, startLoad } from './fleet-clients.ts'
import { createToken, endpoint, httpServer, project, secret, until } from './gateway-harness.ts'
import { startKeyedServer, type KeyedServer } from './keys-server.ts'
import { ask, castellan, createCleanUp, ok } from './system-harness.ts'

/* Several daemons on one database, each with a key file of its own: one is told to replace the key, all follow. */

const cleanUp = createCleanUp()
let postgres: TestPostgres
let database: string
let upstream: KeyedServer
let a: Daemon
let b: Daemon

interface Report {
  readonly keys: readonly { readonly id: string; readonly state: string }[]
  readonly daemons: readonly { readonly startsWith: string }[]
  readonly rotation?: object
}
const report = async (): Promise<Report> => (await a.call('GET', '/api/v1/keys')) as Report
const keyOf = ({ home }: Daemon): string => readFileSync(join(home, 'master.key'), 'utf8').split(' ')[1] ?? ''
const start = async (home: string): Promise<Daemon> => {
  const daemon = await startDaemon(home, 0, { database })
  cleanUp.later(() => daemon.stop())
  return daemon
}

beforeAll(async () => {
  postgres = await startPostgres(await findEmbeddedPostgres())
  cleanUp.later(() => postgres.close())
  database = await postgres.createDatabase('keys')
  upstream = await startKeyedServer()
  cleanUp.later(() => upstream.close())
  const homes = [await makeHome(), await makeHome()] as const
  for (const home of homes) cleanUp.later(() => removeHome(home))
  a = await start(homes[0])
  cpSync(join(homes[0], 'master.key'), join(homes[1], 'master.key'))
  b = await start(homes[1])
  const headers = [
    { name: 'Authorization', valueFrom: { secretRef: { name: 's0', key: 'k' }, prefix: 'Bearer ' } },
  ]
  await a.apply([
    ...Array.from({ length: 300 }, (_, i) => secret(`s${i}`, { k: `fleet-value-${i}` })),
    httpServer('keyed', upstream.url, { headers }),
    project('keyed', ['keyed']),
  ])
}, 60_000)
afterAll(() => cleanUp.run())

test('one is told, all follow without a restart: no call fails at any, and each has the new key where it starts from', async () => {
  const before = readFileSync(join(b.home, 'master.key'))
  const token = await createToken(a, 'keyed', 'fleet')
  const atB = { url: endpoint(b, 'keyed'), token }
  await until('b knows the token', async () => (await ask(atB, 'tools/list')).status === 200)
  const clients = [...(await connectAll({ url: endpoint(a, 'keyed'), token })), ...(await connectAll(atB))]
  const load = startLoad(clients, [['keyed__who', {}]])
  await load.more('calls before')
  const next = (await ok(['keys', 'rotate'], { home: a.home })).trim()
  await until('the end', async () => (await report()).rotation === undefined, 30_000)
  await load.more('calls after')
  await load.end()
  expect(load.failed).toEqual([])
  for (const client of clients) await client.close()
  expect([keyOf(a), keyOf(b)]).toEqual([next, next])
  expect((await report()).daemons.map(({ startsWith }) => startsWith)).toEqual([next, next])
  await until('nothing is left of the old key', () =>
    [a, b].every(
      ({ home }) => readdirSync(home).filter((name) => name.startsWith('master.key')).length === 1,
    ),
  )
  // A copy of before opens nothing any more, and is told why.
  const late = await makeHome()
  cleanUp.later(() => removeHome(late))
  cpSync(join(a.home, 'admin-credential'), join(late, 'admin-credential'))
  const file = join(late, 'old.key')
  writeFileSync(file, before, { mode: 0o600 })
  const refused = await castellan(['up', '--port', '0', '--key-file', file], {
    home: late,
    env: { CASTELLAN_DATABASE: database },
  })
  expect(refused.stderr).toContain(`was replaced by ${next}`)
  expect(existsSync(join(late, 'master.key'))).toBe(false)
}, 90_000)

test('a daemon that is killed half-way is not waited for long, and starts with the old key as long as that opens the store', async () => {
  const old = keyOf(b)
  const oldText = readFileSync(join(b.home, 'master.key'))
  process.kill(b.pid, 'SIGKILL')
  const rotated = (await ok(['keys', 'rotate', '--detach'], { home: a.home })).trim()
  expect((await report()).rotation).toBeDefined()
  // It was away when the others were told: what it starts with is the old key, and the store still says how to go on.
  b = await start(b.home)
  await until('it has the new key', () => keyOf(b) === rotated)
  await until('the end', async () => (await report()).rotation === undefined, 40_000)
  expect(oldText.toString()).toContain(old)
  const values = (await b.call('GET', '/api/v1/secrets/s7/values')) as { values: unknown }
  expect(values.values).toEqual({ k: 'fleet-value-7' })
  const found = await postgres.query('keys', `select distinct key_id from sealed`)
  expect(found).toEqual([{ key_id: rotated }])
  expect(await ok(['audit', 'verify'], { home: a.home, env: { CASTELLAN_DATABASE: database } })).toContain(
    'ok',
  )
}, 90_000)

test('nothing is sealed with a retired key, whoever writes it', async () => {
  const retired = (await report()).keys.find(({ state }) => state === 'retired')?.id ?? ''
  const write = `update sealed set key_id = '${retired}' where true`
  await expect(postgres.query('keys', write)).rejects.toThrow('retired master key')
})
