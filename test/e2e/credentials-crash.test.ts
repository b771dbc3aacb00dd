import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import type { Rotation } from '../fixtures/resource-provider-front.ts'
import { allAtOnce, authorize, failed, grantOf, whoami } from './credentials-harness.ts'
import { startFleet, type Fleet } from './fleet-harness.ts'
import { createToken, endpoint, httpServer, project, until, type Access } from './gateway-harness.ts'
import { castellan, createCleanUp } from './system-harness.ts'

/*
 * A token is renewed, and the process that does it is killed: at every step of it. With a provider that answers a used
 * refresh token once more for a while, as large ones do, nothing is ever lost. With a strict one, the answer is lost
 * with the process that had not written it down; then the grant says so, and what to type.
 */

const GRACE = { graceSeconds: 30 } as const

// oxfmt-ignore
const STEPS = [
  ['before the request leaves',                       'asking',    'kept'],
  ['while the provider works',                        'arrived',   'lost'],
  ['when it is done there, and the answer is not out', 'committed', 'lost'],
  ['with the first of the answer',                    'reading',   'lost'],
  ['with the answer, before it is written',           'read',      'lost'],
  ['while it is being written',                       'writing',   'lost'],
  ['when it is written, before anybody knows',        'written',   'kept'],
  ['when the new token is to be used',                'using',     'kept'],
] as const
type Step = (typeof STEPS)[number][1]

/** A daemon that can be killed at a step of what it does. */
interface Mortal {
  readonly env: Readonly<Record<string, string>>
  /** The next time it comes to this step, it dies. */
  dieAt(step: Step, provider: ResourceProvider, pid: number): Promise<void>
}

function createMortal(folder: string): Mortal {
  const file = join(folder, 'die-at')
  const points = new URL('../fixtures/crash-points.js', import.meta.url)
  points.searchParams.set('file', file)
  return {
    env: { NODE_OPTIONS: `--import=${points.href}` },
    async dieAt(step, provider, pid) {
      const kill = async (): Promise<void> => {
        provider.hook()
        // Others come to wait for it.
        await sleep(200)
        process.kill(pid, 'SIGKILL')
        await gone(pid)
      }
      const arm = (): Promise<void> => writeFile(file, step)
      if (step === 'arrived') provider.hook({ arrived: kill })
      else if (step === 'committed') provider.hook({ committed: kill })
      else if (step === 'asking') await arm()
      // What it wrote when it began is not meant.
      else provider.hook({ committed: arm })
    },
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const gone = (pid: number): Promise<boolean> => until(`process ${pid} is gone`, () => !isAlive(pid))

/** A Server with a grant of its own. */
async function connect(daemon: Daemon, provider: ResourceProvider, name: string): Promise<Access> {
  await daemon.apply([
    httpServer(name, provider.url, { auth: { grant: `oauth:${name}` } }),
    project(name, [name]),
  ])
  await authorize(daemon, name)
  const access = { url: endpoint(daemon, name, name), token: await createToken(daemon, name, 'test') }
  expect(await whoami(access)).toMatchObject({ subject: 'ada' })
  return access
}

/** The state in which somebody has to do something, and can see what. */
async function needsLogin(daemon: Daemon, name: string, access: Access): Promise<void> {
  const command = `castellan grant oauth ${name} --server ${name}`
  expect(await whoami(access)).toContain(command)
  const problem: unknown = expect.stringContaining(command)
  expect(await grantOf(daemon, `oauth:${name}`)).toMatchObject({ state: 'needs-login', problem })
  const { stdout } = await castellan(['grant', 'list'], { home: daemon.home })
  expect(stdout).toMatch(new RegExp(`oauth:${name} .*needs-login`))
  await authorize(daemon, name)
  expect(await whoami(access)).toMatchObject({ subject: 'ada' })
}

describe('one daemon on SQLite, killed and started again', () => {
  let provider: ResourceProvider
  let home: string
  let mortal: Mortal
  let daemon: Daemon

  beforeAll(async () => {
    provider = await startResourceProvider()
    home = await makeHome()
    mortal = createMortal(home)
    daemon = await startDaemon(home, 0, { env: mortal.env })
  })
  afterAll(async () => {
    await daemon?.stop()
    if (home !== undefined) await removeHome(home)
    await provider?.close()
  })

  async function killAt(step: Step, name: string): Promise<Access> {
    const access = await connect(daemon, provider, name)
    provider.expire()
    await mortal.dieAt(step, provider, daemon.pid)
    await Promise.allSettled([whoami(access), whoami(access)])
    await gone(daemon.pid)
    provider.hook()
    expect(existsSync(join(home, 'die-at'))).toBe(false)
    daemon = await startDaemon(home, Number(new URL(daemon.origin).port), { env: mortal.env })
    return access
  }

  test.each(STEPS)('%s: a provider with a grace window has lost nothing', async (_when, step) => {
    provider.rotate(GRACE)
    const access = await killAt(step, `grace-${step}`)
    expect(failed(await allAtOnce(20, access))).toEqual([])
    provider.expire()
    expect(await whoami(access)).toMatchObject({ subject: 'ada' })
  })

  test.each(STEPS)('%s (%s): with a strict provider it is %s', async (_when, step, outcome) => {
    provider.rotate('strict')
    const access = await killAt(step, `strict-${step}`)
    if (outcome === 'lost') return needsLogin(daemon, `strict-${step}`, access)
    expect(failed(await allAtOnce(20, access))).toEqual([])
    provider.expire()
    expect(await whoami(access)).toMatchObject({ subject: 'ada' })
  })
})

// Each waits for a while until the one that was killed is known to be gone; side by side, that is once.
describe.concurrent('two daemons on PostgreSQL, one of them killed', { timeout: 120_000 }, () => {
  let fleet: Fleet
  const cleanUp = createCleanUp()

  beforeAll(async () => {
    fleet = await startFleet()
  })
  afterAll(async () => {
    await fleet?.end()
    await cleanUp.run()
  })

  interface Survived {
    readonly access: Access
    /** What calls at the other were answered meanwhile, where that was no good answer. */
    readonly failures: readonly unknown[]
  }

  /** Kills a daemon while it renews, with calls at another that come to wait for it. */
  async function killAt(step: Step, name: string, rotation: Rotation): Promise<Survived> {
    const provider = await startResourceProvider({ format: 'jwt', rotation })
    cleanUp.later(() => provider.close())
    const folder = await makeHome()
    cleanUp.later(() => removeHome(folder))
    const mortal = createMortal(folder)
    const doomed = await fleet.another({ env: mortal.env })
    const access = await connect(fleet.b, provider, name)
    const there = { ...access, url: endpoint(doomed, name, name) }
    await until('both know it', async () => typeof (await whoami(there)) !== 'string')
    provider.expire()
    await mortal.dieAt(step, provider, doomed.pid)
    const before = provider.count('refresh')
    const first = whoami(there).catch(() => undefined)
    await until('it renews, or is gone', () => provider.count('refresh') > before || !isAlive(doomed.pid))
    const failures = failed(await allAtOnce(20, access))
    await first
    await gone(doomed.pid)
    return { failures, access }
  }

  test.each(STEPS)('%s: with a grace window the other goes on, and no call fails', async (_when, step) => {
    const { access, failures } = await killAt(step, `grace-${step}`, GRACE)
    expect(failures).toEqual([])
    expect(await grantOf(fleet.a, `oauth:grace-${step}`)).toMatchObject({ state: 'ready' })
    expect(await whoami(access)).toMatchObject({ subject: 'ada' })
  })

  test('before the request leaves: nor with a strict one', async () => {
    const { failures } = await killAt('asking', 'strict-asking', 'strict')
    expect(failures).toEqual([])
  })

  test('with the answer of a strict one, which nobody has then: the other says what to type', async () => {
    const { access } = await killAt('read', 'strict-read', 'strict')
    await needsLogin(fleet.b, 'strict-read', access)
  })
})
