import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  castellan,
  createCleanUp,
  daemonOf,
  freshFolder,
  manifests,
  mountSmallDisk,
  ok,
  processesWith,
  project,
  removeFolder,
  send,
  unmount,
  until,
  type Said,
} from './system-harness.ts'

/*
 * Starts that cannot succeed: each ends with 1, says what to do, and leaves the home as usable as it was.
 */

const cleanUp = createCleanUp()
afterEach(() => cleanUp.run())

function freshHome(): string {
  const home = freshFolder()
  cleanUp.later(() => removeFolder(home))
  cleanUp.later(() => castellan(['down', '--force'], { home }))
  return home
}

const up = (home: string, ...more: readonly string[]): Promise<Said> =>
  castellan(['up', '-d', '--port', '0', ...more], { home })

/** In the foreground and in the background: the same reason must come through. */
async function refuses(home: string, reason: RegExp, ...more: readonly string[]): Promise<void> {
  for (const args of [
    ['up', '--port', '0', ...more],
    ['up', '-d', '--port', '0', ...more],
  ]) {
    const said = await castellan(args, { home })
    expect(said.stderr).toMatch(reason)
    expect(said.stderr).not.toMatch(/^\s+at /m)
    expect(said.stdout).toBe('')
    expect(said.status).toBe(1)
  }
}

test('a second daemon on the same home is refused with the pid of the first, which goes on', async () => {
  const home = freshHome()
  await ok(['up', '-d', '--port', '0'], { home })
  const first = daemonOf(home)
  await refuses(home, new RegExp(`already, with pid ${first.pid}$`, 'm'))
  expect(daemonOf(home)).toEqual(first)
  expect((await send(`${first.url}/readyz`)).status).toBe(200)
  // The same home under another name is the same home.
  const other = await castellan([
    'up',
    '--port',
    '0',
    '--home',
    join(home, '..', home.split('/').at(-1) ?? ''),
  ])
  expect(other.stderr).toContain(`pid ${first.pid}`)
  process.kill(first.pid, 'SIGKILL')
  expect((await up(home)).status).toBe(0)
  expect(daemonOf(home).pid).not.toBe(first.pid)
})

test('a port in use', async () => {
  const home = freshHome()
  const taken = createServer().listen(0, '127.0.0.1')
  cleanUp.later(() => taken.close())
  await new Promise((resolve) => taken.once('listening', resolve))
  const { port } = taken.address() as AddressInfo
  await refuses(
    home,
    new RegExp(`port ${port} is in use; choose another with --port`),
    '--port',
    String(port),
  )
  expect((await up(home)).status).toBe(0)
})

describe('a file of the home that is not what it was', () => {
  test('control.db damaged: refused, and not replaced by an empty one', async () => {
    const home = freshHome()
    await ok(['up', '-d', '--port', '0'], { home })
    await ok(['apply', '-f', '-'], { home, input: manifests(project('kept', [])) })
    await ok(['down'], { home })
    renameSync(join(home, 'control.db'), join(home, 'good'))
    writeFileSync(join(home, 'control.db'), Buffer.alloc(9000, 'x'))
    await refuses(home, /the database file is damaged or not one of Castellan; restore it from a backup/)
    rmSync(join(home, 'control.db'))
    renameSync(join(home, 'good'), join(home, 'control.db'))
    expect((await up(home)).status).toBe(0)
    expect(await ok(['get', 'projects', '-o', 'name'], { home })).toBe('project/kept\n')
  })

  test('master.key missing while secrets exist: refused, and no new key is made', async () => {
    const home = freshHome()
    await ok(['up', '-d', '--port', '0'], { home })
    await ok(['create', 'secret', 's', '--from-stdin', 'k'], { home, input: 'v' })
    await ok(['down'], { home })
    const key = join(home, 'master.key')
    renameSync(key, `${key}.away`)
    await refuses(home, /the store is used with master key mk_[0-9a-f]{16}; put its file at/)
    expect(readdirSync(home).filter((name) => name.startsWith('master.key'))).toEqual(['master.key.away'])
    renameSync(`${key}.away`, key)
    expect((await up(home)).status).toBe(0)
  })

  test('audit.db cut while no daemon ran: refused, with the two ways on', async () => {
    const home = freshHome()
    await ok(['up', '-d', '--port', '0'], { home })
    await ok(['apply', '-f', '-'], { home, input: manifests(project('kept', [])) })
    await ok(['down'], { home })
    rmSync(join(home, 'audit.db'))
    await refuses(home, /castellan audit verify/)
  })
})

const probe = mountSmallDisk(1)
if (probe !== undefined) unmount(probe)

/** Mounting is for root, and not for every container. */
describe.runIf(probe !== undefined)('a disk that does not take what is written', () => {
  test('read-only: refused, and nothing in it is lost', async () => {
    const disk = mountSmallDisk(8) ?? ''
    cleanUp.later(() => unmount(disk))
    cleanUp.later(() => castellan(['down', '--force'], { home: disk }))
    expect((await up(disk)).status).toBe(0)
    await ok(['apply', '-f', '-'], { home: disk, input: manifests(project('kept', [])) })
    await ok(['down'], { home: disk })
    // Not before the last file of the daemon that ended is closed.
    await until('read-only', () => spawnSync('mount', ['-o', 'remount,ro', disk]).status === 0)
    await refuses(disk, /the file system is read-only/)
    spawnSync('mount', ['-o', 'remount,rw', disk])
    expect((await up(disk)).status).toBe(0)
    expect(await ok(['get', 'projects', '-o', 'name'], { home: disk })).toBe('project/kept\n')
    await ok(['down'], { home: disk })
  })

  test.each([0, 16, 64])(
    'full at the first start, %i KiB free: refused, and fine once there is room',
    async (free) => {
      const disk = mountSmallDisk(4) ?? ''
      cleanUp.later(() => unmount(disk))
      cleanUp.later(() => castellan(['down', '--force'], { home: disk }))
      const { bavail, bsize } = statfsSync(disk)
      const filler = join(disk, 'filler')
      writeFileSync(filler, Buffer.alloc(bavail * bsize - free * 1024))
      await refuses(disk, /full|free some space/)
      rmSync(filler)
      expect((await up(disk)).status).toBe(0)
      expect((await castellan(['down'], { home: disk })).status).toBe(0)
    },
  )
})

test('kill -9 while manifests are applied: each apply is there as a whole or not at all, and none that was answered is lost', async () => {
  const home = freshHome()
  const EACH = 50
  const batch = (i: number): string =>
    manifests(...Array.from({ length: EACH }, (_, n) => project(`p${i}-${n}`, [])))
  for (const [round, enough] of [1, 9, 30].entries()) {
    await ok(['up', '-d', '--port', '0'], { home })
    const { pid } = daemonOf(home)
    let total = 0
    const answered = (): void => {
      if (++total === enough) process.kill(pid, 'SIGKILL')
    }
    const answers = await Promise.all(
      Array.from({ length: 4 }, (_, client) =>
        applyUntilGone(home, (i) => batch(round * 10_000 + client * 1000 + i), answered),
      ),
    )
    await ok(['up', '-d', '--port', '0'], { home })
    const names = (await ok(['get', 'projects', '-o', 'name'], { home })).match(/^project.*$/gm) ?? []
    const there = new Map<number, number>()
    for (const name of names) {
      const i = Number(/p(\d+)-/.exec(name)?.[1])
      there.set(i, (there.get(i) ?? 0) + 1)
    }
    expect([...there.values()].filter((count) => count !== EACH)).toEqual([])
    for (const [client, answered] of answers.entries()) {
      const mine = [...there.keys()].filter((i) => Math.floor(i / 1000) === round * 10 + client).length
      expect([answered, answered + 1]).toContain(mine)
    }
    await ok(['down'], { home })
    expect((await castellan(['audit', 'verify'], { home })).status).toBe(0)
  }
})

/** Straight to the API, so that many are under way when the daemon dies. @returns how many were answered with success */
async function applyUntilGone(
  home: string,
  batch: (i: number) => string,
  answered: () => void,
): Promise<number> {
  const credential = readFileSync(join(home, 'admin-credential'), 'utf8').trim()
  const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/yaml' }
  const url = `${daemonOf(home).url}/api/v1/apply`
  for (let i = 0; ; i++) {
    const answer = await send(url, { method: 'POST', headers, body: batch(i) }).catch(() => undefined)
    if (answer === undefined) return i
    expect(answer.status).toBe(200)
    answered()
  }
}

test('a command whose daemon is killed says so', async () => {
  const home = freshHome()
  await ok(['up', '-d', '--port', '0'], { home })
  const followed = castellan(['logs', '--follow'], { home })
  const { pid, url } = daemonOf(home)
  await until('the log is followed', () => processesWith('--follow').length > 0)
  process.kill(pid, 'SIGKILL')
  expect((await followed).status).toBe(1)
  for (const env of [{}, { CASTELLAN_URL: url }]) {
    const said = await castellan(['get', 'projects'], { home, env })
    expect(said.stderr).toMatch(/^error: [^\n]+\nhint: [^\n]*castellan up[^\n]*\n$/)
    expect(said.status).toBe(1)
  }
  expect(await ok(['down'], { home })).toContain('no daemon is running')
})

test('a copy of a home, in another place, is the whole of it', async () => {
  const home = freshHome()
  await ok(['up', '-d', '--port', '0'], { home })
  await ok(['create', 'secret', 's', '--from-stdin', 'k'], { home, input: 'v' })
  await ok(['apply', '-f', '-'], { home, input: manifests(project('kept', [])) })
  await ok(['down'], { home })
  const copy = freshHome()
  cpSync(home, copy, { recursive: true })
  expect((await up(copy)).status).toBe(0)
  expect(await ok(['get', 'projects', '-o', 'name'], { home: copy })).toBe('project/kept\n')
  expect(await ok(['describe', 'secret', 's'], { home: copy })).toMatch(/k/)
  await ok(['down'], { home: copy })
  expect((await castellan(['audit', 'verify'], { home: copy })).status).toBe(0)
  // The configuration alone, put back to an earlier state.
  expect((await up(home)).status).toBe(0)
  await ok(['delete', 'project', 'kept'], { home })
  await ok(['down'], { home })
  cpSync(join(copy, 'control.db'), join(home, 'control.db'))
  expect((await up(home)).status).toBe(0)
  expect(await ok(['get', 'projects', '-o', 'name'], { home })).toBe('project/kept\n')
})
