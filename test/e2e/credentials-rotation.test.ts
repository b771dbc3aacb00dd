import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeHome, removeHome } from '../fixtures/daemon.ts'
import { signInAtProvider } from '../fixtures/oidc-provider.ts'
import { findEmbeddedPostgres, startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import type { Rotation } from '../fixtures/resource-provider-front.ts'
import { KEY, openRenewer, type Renewer } from './credentials-renewer.ts'
import { until } from './gateway-harness.ts'

/* One grant that two processes renew as fast as they can: a refresh token is never used twice, but after a crash. */

const WRITER = new URL('credentials-crash-writer.ts', import.meta.url).pathname
const TIMES = 1000
const TIMES_UNDISTURBED = 200
/** So often, a process is killed somewhere in what follows; the other goes on until there is one in its place. */
const KILL_EVERY = 50
/** About what one renewal takes, so that the end comes at any step of one. */
const STEP_MS = 40

describe('two processes that renew one grant', () => {
  let postgres: TestPostgres
  let home: string
  let databases = 0

  beforeAll(async () => {
    postgres = await startPostgres(await findEmbeddedPostgres())
    home = await makeHome()
  })
  afterAll(async () => {
    await postgres?.close()
    if (home !== undefined) await removeHome(home)
  })

  interface Stand {
    readonly provider: ResourceProvider
    readonly renewer: Renewer
    /** What the processes have said that was not good news. */
    readonly problems: string[]
    begin(): ChildProcess
    /** Ends all of it. */
    close(): Promise<void>
  }

  /** A grant that was authorized, and nobody who renews it yet. */
  async function build(rotation: Rotation): Promise<Stand> {
    const provider = await startResourceProvider({ rotation })
    const database = await postgres.createDatabase(`rotation_${databases++}`)
    const renewer = await openRenewer(home, database)
    const children = new Set<ChildProcess>()
    const problems: string[] = []
    const { grants } = renewer
    const { authorizeUrl } = await grants.start({
      key: KEY,
      server: 'notes',
      url: provider.url,
      startedBy: 'local-admin',
      flags: {},
    })
    const back = await signInAtProvider(authorizeUrl ?? '', 'ada')
    expect(await grants.finish('turned', back.searchParams)).toMatchObject({ ok: true })
    return {
      provider,
      renewer,
      problems,
      begin() {
        const child = spawn(process.execPath, [WRITER, home, database], { stdio: ['ignore', 'pipe', 'pipe'] })
        children.add(child)
        child.once('exit', () => children.delete(child))
        child.stderr.setEncoding('utf8').on('data', (text: string) => problems.push(text))
        createInterface({ input: child.stdout }).on('line', (line) => {
          if (line !== 'renewed') problems.push(line)
        })
        return child
      },
      async close() {
        for (const child of children) await kill(child)
        await renewer.close()
        await provider.close()
      },
    }
  }

  async function kill(child: ChildProcess): Promise<void> {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }

  /** So many renewals in all, and no complaint. */
  async function turned({ provider, problems }: Stand, count: number): Promise<void> {
    await until('so many', () => problems.length > 0 || provider.count('refresh') >= count, 50_000)
    expect(problems).toEqual([])
  }

  /** It is there, it can be renewed, and its token is taken. */
  async function isWell({ renewer: { grants }, provider }: Stand): Promise<void> {
    expect(await grants.refresh(KEY)).toMatchObject({ state: 'ready' })
    const wanted = { ...KEY, key: 'default//oauth:turned', whose: 'shared' } as const
    const token = await grants.ready(wanted, { server: 'notes', origin: new URL(provider.url).origin })
    if (!token.ok) throw new Error(token.error.message)
    const { status } = await fetch(provider.url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token.value.reveal()}`, 'content-type': 'application/json' },
      body: '{}',
    })
    expect([401, 403]).not.toContain(status)
  }

  test(`${TIMES_UNDISTURBED} times with a strict provider, to which a token that is used twice is a theft`, async () => {
    const stand = await build('strict')
    try {
      const two = [stand.begin(), stand.begin()]
      await turned(stand, TIMES_UNDISTURBED)
      expect(two.map(({ exitCode }) => exitCode)).toEqual([null, null])
      expect(stand.provider.count('again')).toBe(0)
    } finally {
      await stand.close()
    }
  })

  test(`${TIMES} times with crashes in between: only what a crash has lost is asked for again, and nothing is lost`, async () => {
    const stand = await build({ graceSeconds: 30 })
    const { provider } = stand
    let kills = 0
    try {
      const two = [stand.begin(), stand.begin()]
      while (provider.count('refresh') < TIMES) {
        const next = provider.count('refresh') + KILL_EVERY
        await turned(stand, next)
        await sleep(Math.random() * STEP_MS)
        const one = kills++ % two.length
        await kill(two[one] as ChildProcess)
        two[one] = stand.begin()
      }
      expect(provider.count('again')).toBeLessThanOrEqual(kills)
      for (const child of two) await kill(child)
      await isWell(stand)
    } finally {
      await stand.close()
    }
  }, 300_000)
})
