import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import { createScanner } from './canary-scan.ts'
import { allAtOnce, authorize, failed, grantOf, whoami, type Who } from './credentials-harness.ts'
import { connectAll } from './fleet-clients.ts'
import { accessAtBoth, startFleet, type Fleet } from './fleet-harness.ts'
import {
  createToken,
  endpoint,
  httpServer,
  modernCaller,
  project,
  until,
  type Access,
  type Json,
} from './gateway-harness.ts'

/* Tokens run out, are taken back and are renewed; whoever calls notices nothing of it. */

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
interface Connected {
  readonly access: Access
  readonly works: () => Promise<void>
  readonly grant: () => Promise<Json>
}

describe('one daemon', () => {
  let provider: ResourceProvider
  let home: string
  let daemon: Daemon
  let jumpFile: string

  beforeAll(async () => {
    provider = await startResourceProvider()
    home = await makeHome()
    jumpFile = join(home, 'jump')
    const jump = new URL('../fixtures/jump-clock.js', import.meta.url)
    jump.searchParams.set('file', jumpFile)
    const env = {
      NODE_OPTIONS: `--import=${jump.href}`,
      CASTELLAN_LOG_TO: 'file',
      CASTELLAN_LOG_LEVEL: 'trace',
    }
    daemon = await startDaemon(home, 0, { env })
  })
  afterAll(async () => {
    await daemon?.stop()
    if (home !== undefined) await removeHome(home)
    await provider?.close()
  })

  /** A Server with a grant of its own, so that no test depends on another. */
  async function connect(name: string): Promise<Connected> {
    await daemon.apply([
      httpServer(name, provider.url, { auth: { grant: `oauth:${name}` } }),
      project(name, [name]),
    ])
    await authorize(daemon, name)
    const access = { url: endpoint(daemon, name, name), token: await createToken(daemon, name, 'test') }
    return {
      access,
      works: async () => expect(await whoami(access)).toMatchObject({ subject: 'ada' }),
      grant: () => grantOf(daemon, `oauth:${name}`),
    }
  }

  /** Refreshes, and refusals of the MCP server, while the work is done. */
  async function counted(work: () => Promise<unknown>): Promise<Record<'refresh' | 'refused', number>> {
    const before = { refresh: provider.count('refresh'), refused: provider.count('refused') }
    await work()
    return {
      refresh: provider.count('refresh') - before.refresh,
      refused: provider.count('refused') - before.refused,
    }
  }

  async function jumpTo(shiftMs: number): Promise<void> {
    await writeFile(jumpFile, String(shiftMs))
    process.kill(daemon.pid, 'SIGUSR2')
    await until('the clock has jumped', () => !existsSync(jumpFile))
  }

  test('whoever calls, each official client in its era, calls as the person who gave the grant', async () => {
    const { access, grant } = await connect('clients')
    expect(await grant()).toMatchObject({ state: 'ready', renewable: true })
    const clients = await connectAll({ ...access, url: endpoint(daemon, 'clients') })
    for (const client of clients) {
      const said = (await client.call('clients__whoami', {})) as { content: [{ text: string }] }
      expect(JSON.parse(said.content[0].text)).toMatchObject({ subject: 'ada', scopes: ['notes:read'] })
      await client.close()
    }
  })

  test('200 calls at once meet a token that is no longer taken: one refresh, and none of them fails', async () => {
    const { access } = await connect('many')
    for (let round = 0; round < 2; round++) {
      provider.expire()
      const { refresh } = await counted(async () => {
        expect(failed(await allAtOnce(200, access))).toEqual([])
      })
      expect(refresh).toBe(1)
    }
  })

  test('200 calls at once after the token has run out by the clock: one refresh, and the server refuses none', async () => {
    const { access } = await connect('ran-out')
    await jumpTo(2 * HOUR_MS)
    const done = await counted(async () => {
      expect(failed(await allAtOnce(200, access))).toEqual([])
    })
    await jumpTo(0)
    expect(done).toEqual({ refresh: 1, refused: 0 })
  })

  test('a call that is under way when the token ends is answered, and so is the next', async () => {
    const { access } = await connect('under-way')
    const before = provider.count('called')
    const slow = modernCaller(access).ask('tools/call', { name: 'slow', arguments: { ms: 400 } })
    await until('the server has it', () => provider.count('called') > before)
    provider.expire()
    expect(failed(await allAtOnce(10, access))).toEqual([])
    expect((await slow).text).toContain('done')
  })

  test('a token that is taken back early costs one retry, and whoever calls sees success', async () => {
    const { works } = await connect('early')
    provider.expire()
    expect(await counted(works)).toEqual({ refresh: 1, refused: 1 })
    expect(await counted(works)).toEqual({ refresh: 0, refused: 0 })
  })

  test('a token is renewed ahead of its end, and calls go on with it meanwhile', async () => {
    const { access, works } = await connect('ahead')
    const before = await whoami(access)
    await jumpTo(54 * MINUTE_MS)
    expect(await counted(works)).toEqual({ refresh: 0, refused: 0 })
    await jumpTo(58 * MINUTE_MS)
    const arrived = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    provider.hook({
      arrived: () => {
        arrived.resolve()
        return release.promise
      },
    })
    const done = await counted(async () => {
      expect(await allAtOnce(20, access)).toEqual(Array.from({ length: 20 }, () => before))
      await arrived.promise
      expect(await whoami(access)).toEqual(before)
      release.resolve()
      const digest = (who: Who): unknown => (typeof who === 'string' ? who : who.digest)
      await until('another token is used', async () => digest(await whoami(access)) !== digest(before))
    })
    provider.hook()
    await jumpTo(0)
    expect(done).toEqual({ refresh: 1, refused: 0 })
  })

  test('the clock jumps: past the end of the token, back before it was given, and to the right time', async () => {
    const { access, works, grant } = await connect('jumps')
    const days = await counted(async () => {
      await jumpTo(30 * 24 * HOUR_MS)
      expect(failed(await allAtOnce(50, access))).toEqual([])
    })
    expect(days).toEqual({ refresh: 1, refused: 0 })
    await jumpTo(-24 * HOUR_MS)
    expect(await counted(works)).toMatchObject({ refused: 0 })
    provider.expire()
    expect(await counted(works)).toEqual({ refresh: 1, refused: 1 })
    await jumpTo(0)
    await works()
    provider.expire()
    await works()
    expect(await grant()).toMatchObject({ state: 'ready' })
  })

  test('a refresh token that stays as it is goes on being used', async () => {
    const { works } = await connect('constant')
    provider.rotate('never')
    for (let round = 0; round < 3; round++) {
      provider.expire()
      expect(await counted(works)).toEqual({ refresh: 1, refused: 1 })
    }
    provider.rotate('strict')
  })

  test('an answer that gives no refresh token again keeps the one there is', async () => {
    const { works } = await connect('kept')
    provider.rotate('never')
    provider.withhold('refresh_token')
    provider.expire()
    await works()
    provider.withhold()
    provider.rotate('strict')
    provider.expire()
    await works()
  })

  test('an answer that says nothing of how long: the token is used until it is refused', async () => {
    const { works, grant } = await connect('endless')
    provider.withhold('expires_in')
    provider.expire()
    await works()
    provider.withhold()
    const { expiresAt, state } = await grant()
    expect([expiresAt ?? undefined, state]).toEqual([undefined, 'ready'])
    await jumpTo(400 * 24 * HOUR_MS)
    expect(await counted(works)).toEqual({ refresh: 0, refused: 0 })
    await jumpTo(0)
    provider.expire()
    expect(await counted(works)).toEqual({ refresh: 1, refused: 1 })
  })

  test('a tool that wants more says so with the command to type, and works after it', async () => {
    const { access, works } = await connect('step-up')
    const write = async (): Promise<string> =>
      (await modernCaller(access).ask('tools/call', { name: 'write', arguments: {} })).text
    expect(await write()).toContain('castellan grant oauth step-up --server step-up')
    await works()
    await authorize(daemon, 'step-up')
    expect(await write()).toContain('written')
    expect(await whoami(access)).toMatchObject({ scopes: ['notes:read', 'notes:write'] })
  })

  test('a provider that has forgotten it: the grant needs a login, says how, and asks no more', async () => {
    const { access, grant } = await connect('forgotten')
    provider.expire()
    provider.forget()
    expect(await whoami(access)).toContain('castellan grant oauth forgotten --server forgotten')
    expect(await grant()).toMatchObject({ state: 'needs-login' })
    expect(await counted(() => allAtOnce(20, access))).toEqual({ refresh: 0, refused: 0 })
    await authorize(daemon, 'forgotten', 'bob')
    expect(await whoami(access)).toMatchObject({ subject: 'bob' })
  })

  test('no secret that was given out is in any file of the home', () => {
    const scanner = createScanner()
    // The last of them: there are many, and each is looked for in all its spellings.
    const secrets = provider.secrets.slice(-24)
    for (const secret of secrets) scanner.plant('given out', secret)
    expect(secrets).not.toEqual([])
    expect(scanner.lookBelow(home, [])).toEqual([])
  })
})

describe('two daemons on PostgreSQL', () => {
  let provider: ResourceProvider
  let fleet: Fleet
  let atA: Access
  let atB: Access

  beforeAll(async () => {
    provider = await startResourceProvider({ format: 'jwt' })
    fleet = await startFleet()
    await fleet.a.apply([
      httpServer('notes', provider.url, { auth: { grant: 'oauth:notes' } }),
      project('demo', ['notes']),
    ])
    ;({ atA, atB } = await accessAtBoth(fleet, 'demo'))
    await authorize(fleet.a, 'notes')
  })
  afterAll(async () => {
    await fleet?.end()
    await provider?.close()
  })

  const whoamiAt = (access: Access): ReturnType<typeof whoami> => whoami(access, 'notes__whoami')

  test('what was given at one is used at the other; 200 calls at both: one refresh, and none of them fails', async () => {
    await until('both have it', async () =>
      (await Promise.all([atA, atB].map(whoamiAt))).every((who) => typeof who !== 'string'),
    )
    for (let round = 1; round <= 3; round++) {
      provider.expire()
      const calls = Array.from({ length: 200 }, (_, i) => whoamiAt(i % 2 === 0 ? atA : atB))
      expect(failed(await Promise.all(calls))).toEqual([])
      expect(provider.count('refresh')).toBe(round)
    }
  })

  test('a grant that is given anew at one while the other calls, and the old token ends: no call fails', async () => {
    const answers: Who[] = []
    const done = new AbortController()
    const call = async (): Promise<void> => {
      while (!done.signal.aborted) answers.push(await whoamiAt(atB))
    }
    const calling = Array.from({ length: 8 }, call)
    // As it gives out the new token, all others end.
    provider.hook({ committed: (asked) => void (asked.has('code') && provider.expire()) })
    await authorize(fleet.a, 'notes', 'bob')
    provider.hook()
    await until('the other calls as bob', () => {
      const last = answers.at(-1)
      return typeof last === 'object' && last.subject === 'bob'
    })
    done.abort()
    await Promise.all(calling)
    expect(answers.filter((who) => typeof who === 'string')).toEqual([])
    expect(new Set(answers.map((who) => (typeof who === 'string' ? who : who.subject)))).toEqual(
      new Set(['ada', 'bob']),
    )
  })
})
