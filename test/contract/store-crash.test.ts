import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLog } from '../../src/lib/log.ts'
import { openStore, type StoreOptions } from '../../src/store/open.ts'
import { changesSince, currentRevision, listResources } from '../../src/store/resources.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { insertAlone } from './store-rows.ts'

const run = promisify(execFile)
const program = (name: string): string => join(import.meta.dirname, name)

let home: string
let postgres: TestPostgres
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'castellan-crash-'))
  postgres = await startPostgres(await findEmbeddedPostgres())
})
afterAll(async () => {
  await postgres.close()
  await rm(home, { recursive: true })
})

/** Kills a writer with SIGKILL right after it has acknowledged a number of transactions; gives the last of them. */
async function killAfter(options: StoreOptions, transactions: number): Promise<number> {
  const writer = spawn(process.execPath, [program('store-writer.ts'), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(writer, 'exit')
  let acknowledged = 0
  let left = transactions
  for await (const line of createInterface(writer.stdout)) {
    if (line.startsWith('opened')) continue
    acknowledged = Number(line)
    if (--left === 0) writer.kill('SIGKILL')
  }
  await exited
  return acknowledged
}

async function expectWhole(options: StoreOptions, acknowledged: number): Promise<void> {
  const store = await openStore(options, silentLog)
  const revision = await currentRevision(store.control)
  expect(revision).toBeGreaterThanOrEqual(acknowledged)
  // At most the one transaction that was under way, committed but not yet acknowledged.
  expect(revision).toBeLessThanOrEqual(acknowledged + 1)
  const uids = (await listResources(store.control, { kind: 'Server' })).map(({ uid }) => uid)
  const whole = Array.from({ length: revision }, (_, i) => ['a', 'b', 'c'].map((part) => `${i + 1}-${part}`))
  expect(uids.toSorted()).toEqual(whole.flat().toSorted())
  const changes = (await changesSince(store.control, 0)) ?? []
  expect(changes.map(({ uid }) => uid)).toEqual(whole.flat())
  await store.close()
}

test('kill -9 between and inside transactions on SQLite: all that was acknowledged, nothing in halves', async () => {
  const options = { home }
  for (const transactions of [1, 7, 40, 23])
    await expectWhole(options, await killAfter(options, transactions))
})

test('kill -9 of a node on PostgreSQL: all that was acknowledged, nothing in halves, no lock left', async () => {
  const options = { home, databaseUrl: await postgres.createDatabase('crash') }
  for (const transactions of [1, 40, 23]) {
    const acknowledged = await killAfter(options, transactions)
    // The server may still be finishing what it was sent: the writer's lock is waited for.
    const store = await openStore(options, silentLog)
    await store.control.transaction().execute((tx) => tx.updateTable('revision').set({ id: 1 }).execute())
    await store.close()
    await expectWhole(options, acknowledged)
  }
  const store = await openStore(options, silentLog)
  await insertAlone(store, { uid: 'after' })
  await store.close()
})

/** Whether a small file system can be mounted here, in a mount namespace of our own. */
const inSmallDisk = (command: readonly string[]): Promise<{ readonly stdout: string }> =>
  run('unshare', [
    '--mount',
    '--map-root-user',
    'sh',
    '-c',
    'mount -t tmpfs -o size=3m,mode=700 none "$0" && exec "$@"',
    home,
    ...command,
  ])
const canMount = process.platform === 'linux' && (await mayMount())

async function mayMount(): Promise<boolean> {
  home = await mkdtemp(join(tmpdir(), 'castellan-mount-'))
  try {
    await inSmallDisk(['true'])
    return true
  } catch {
    return false
  } finally {
    await rm(home, { recursive: true })
  }
}

if (canMount) {
  test('on a disk that is really full, writes are refused, reads go on, and nothing acknowledged is lost', async () => {
    const { stdout } = await inSmallDisk([process.execPath, program('store-full-disk.ts'), home])
    const { acknowledged, refusal, readable, kept, revision } = JSON.parse(stdout) as Record<string, unknown>
    expect(refusal).toMatchObject({
      code: 'unavailable',
      hint: expect.stringMatching(/full|cannot be written/),
    })
    expect(acknowledged).toBeGreaterThan(10)
    expect(readable).toBe(acknowledged)
    expect([kept, revision]).toEqual([Number(acknowledged) + 1, Number(acknowledged) + 1])
  })
}
