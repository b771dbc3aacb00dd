import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import {
  createMemoryStore,
  held,
  oauthGrant,
  setClock,
  type MemoryStore,
  type SetClock,
} from '../../test/fixtures/grant-memory.ts'
import { silentLog } from '../lib/log.ts'
import { createFetcher, type Fetcher } from '../oauth/client/guarded-fetch.ts'
import type { Grant } from './grant.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import { createRenewal, type Renewal } from './renewal.ts'

// A token endpoint that counts, and processes on one store.

type Answer = (response: ServerResponse, refresh: string) => void | Promise<void>

let [asked, underWay, most]: [string[], number, number] = [[], 0, 0]
let answer: Answer
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => {
    const refresh = new URLSearchParams(body).get('refresh_token') ?? ''
    asked.push(refresh)
    most = Math.max(most, (underWay += 1))
    void Promise.resolve(answer(response, refresh)).finally(() => (underWay -= 1))
  })
})
let issuer: string
let fetcher: Fetcher
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  fetcher = createFetcher({ loopback: true, hosts: new Set() })
})
afterAll(async () => {
  await fetcher.close()
  server.closeAllConnections()
  server.close()
})

const send = (response: ServerResponse, status: number, body: object): void =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const good: Answer = (response, refresh) =>
  send(response, 200, {
    access_token: `after-${refresh}`,
    refresh_token: `${refresh}+`,
    token_type: 'Bearer',
    expires_in: 3600,
  })
const away: Answer = (response) => send(response, 503, { error: 'temporarily_unavailable' })

let clock: SetClock
let memory: MemoryStore
let closing: Keeper[]
let gone: string[]
beforeEach(() => {
  clock = setClock()
  memory = createMemoryStore()
  closing = []
  gone = []
  asked = []
  most = 0
  answer = good
})
afterEach(() => closing.forEach((keeper) => keeper.close()))

interface Process {
  readonly keeper: Keeper
  readonly renewal: Renewal
}

function start(self: string): Process {
  const store = memory.open()
  const keeper = createKeeper({ store, clock, log: silentLog, shared: false, changed() {} })
  closing.push(keeper)
  const renewal = createRenewal({
    keeper,
    clock,
    log: silentLog,
    fetcherFor: () => fetcher,
    recorded: (_what, work) => work(),
    signIns: { renew: () => Promise.reject(new Error('nobody asks')) },
    self,
    goneOf: (nodes) => Promise.resolve(nodes.filter((node) => gone.includes(node))),
  })
  return { keeper, renewal }
}

const authorized = (n = 0, more: Partial<Grant> = {}): Grant =>
  memory.write(oauthGrant(clock.nowMs(), { holder: `user:usr_${n}`, ...more }, { issuer, refresh: `r${n}` }))
const sent = (grant: Grant | undefined): string | undefined => grant?.oauth?.tokens?.access.open().reveal()
const HOUR = 3_600_000

test('once for all that wait, and what comes of it is stored', async () => {
  const { renewal } = start('a')
  const grant = authorized()
  const all = await Promise.all(Array.from({ length: 50 }, () => renewal.renew(grant)))
  expect(all.map((one) => one.ok && sent(one.value))).toEqual(all.map(() => 'after-r0'))
  expect(asked).toEqual(['r0'])
  expect(await memory.open().find(grant)).toMatchObject({
    renewing: undefined,
    refreshed: { problem: undefined },
  })
})

test('one that another process has renewed meanwhile is taken as it is', async () => {
  const [a, b] = [start('a'), start('b')]
  const grant = authorized()
  clock.advance(10)
  await a.renewal.renew(grant)
  const after = await b.renewal.renew(grant)
  expect(after.ok && sent(after.value)).toBe('after-r0')
  expect(asked).toEqual(['r0'])
})

test('while another process is at it, the others wait for what comes of it', async () => {
  const [a, b] = [start('a'), start('b')]
  const grant = authorized()
  clock.advance(10)
  const token = Promise.withResolvers<void>()
  answer = async (response, refresh) => {
    await token.promise
    await good(response, refresh)
  }
  const both = [a.renewal.renew(grant), b.renewal.renew(grant)]
  await sleep(250)
  token.resolve()
  for (const one of await Promise.all(both)) expect(one.ok && sent(one.value)).toBe('after-r0')
  expect(asked).toEqual(['r0'])
})

test('what a process had begun that lives no more is begun again at once; of one that hangs, when its time is over', async () => {
  const { renewal } = start('b')
  const dead = authorized(0, { renewing: { by: 'dead', untilMs: clock.nowMs() + 40_000 } })
  gone = ['dead']
  expect(await renewal.renew(dead)).toMatchObject({ ok: true })
  const hung = authorized(1, { renewing: { by: 'hung', untilMs: clock.nowMs() + 40_000 } })
  const waiting = renewal.renew(hung)
  await sleep(250)
  expect(asked).toEqual(['r0'])
  clock.advance(40_001)
  expect(await waiting).toMatchObject({ ok: true })
  expect(asked).toEqual(['r0', 'r1'])
})

test('one that was taken back is renewed no more', async () => {
  const { renewal } = start('a')
  const grant = authorized()
  await memory.open().remove(grant)
  expect(await renewal.renew(grant)).toMatchObject({
    ok: false,
    error: expect.stringContaining('taken back'),
  })
  expect(asked).toEqual([])
})

test('after a failure it is left alone for one second, then two, up to sixty; success forgets that', async () => {
  const { renewal } = start('a')
  const grant = authorized()
  answer = away
  const pauses: number[] = []
  for (let i = 0; i < 8; i++) {
    expect(await renewal.renew(grant)).toMatchObject({ ok: false })
    let pause = 0
    for (const count = asked.length; asked.length === count; pause += 500) {
      clock.advance(500)
      await renewal.renew(grant)
    }
    pauses.push(pause)
  }
  // Each loop ends with the next failure, whose pause is the next to be measured.
  expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
  answer = good
  clock.advance(60_000)
  expect(await renewal.renew(grant)).toMatchObject({ ok: true })
})

test('a refusal that is final needs a person; one that passes does not', async () => {
  const { renewal } = start('a')
  const [first, second] = [authorized(1), authorized(2)]
  answer = away
  await renewal.renew(first)
  expect((await memory.open().find(first))?.trouble).toBeUndefined()
  answer = (response) => send(response, 400, { error: 'invalid_grant' })
  await renewal.renew(second)
  expect(await memory.open().find(second)).toMatchObject({ trouble: { kind: 'login' }, renewing: undefined })
})

test('a token that was issued while the database was away is written when it is back', async () => {
  const { renewal } = start('a')
  const grant = authorized()
  answer = (response, refresh) => {
    memory.set('away')
    setTimeout(() => memory.set('well'), 300)
    return good(response, refresh)
  }
  expect(await renewal.renew(grant)).toMatchObject({ ok: true })
  expect(sent(await memory.open().find(grant))).toBe('after-r0')
})

test('what was authorized anew while its issuer was asked stays', async () => {
  const { renewal } = start('a')
  const grant = authorized()
  clock.advance(10)
  const anew = oauthGrant(clock.nowMs(), { holder: grant.holder, uid: grant.uid }, { issuer, access: 'anew' })
  answer = (response, refresh) => {
    memory.write(anew)
    return good(response, refresh)
  }
  await renewal.renew(grant)
  expect(sent(await memory.open().find(grant))).toBe('anew')
})

test('five minutes ahead or a quarter of its life, and not all that were issued together at one time', () => {
  const { renewal } = start('a')
  const many = Array.from({ length: 200 }, (_, n) => authorized(n))
  const due = (): number => many.filter((grant) => renewal.isDue(grant)).length
  clock.advance(HOUR - 303_000)
  expect(due()).toBe(0)
  clock.advance(76_000)
  expect(due()).toBeGreaterThan(50)
  expect(due()).toBeLessThan(150)
  clock.advance(76_000)
  expect(due()).toBe(200)
  const short = oauthGrant(clock.nowMs(), {}, { issuer, lifeMs: 20_000 })
  clock.advance(12_000)
  expect(renewal.isDue(short)).toBe(false)
  clock.advance(5900)
  expect(renewal.isDue(short)).toBe(true)
})

test('what cannot be renewed, or does not say how long it lives, is never due', () => {
  const { renewal } = start('a')
  const grants = [
    oauthGrant(0, {}, { refresh: '' }),
    oauthGrant(0, { oauth: undefined, values: { token: held('x') } }),
  ]
  expect(grants.map((grant) => renewal.isDue(grant))).toEqual([false, false])
})

test('hundreds that run out together: eight requests at one time, and who waits for one is not last', async () => {
  const { keeper, renewal } = start('a')
  answer = async (response, refresh) => {
    await sleep(2)
    await good(response, refresh)
  }
  const many = Array.from({ length: 300 }, (_, n) => authorized(n))
  for (const grant of many) await keeper.find(grant)
  clock.advance(HOUR)
  const through = renewal.renewDue(keeper.known())
  for (const grant of many) renewal.renewQuietly(grant)
  await vi.waitFor(() => expect(asked.length).toBeGreaterThan(0))
  const last = many.at(-1) as Grant
  expect(await renewal.renew(last)).toMatchObject({ ok: true })
  expect(asked.length).toBeLessThan(200)
  await through
  expect(new Set(asked).size).toBe(300)
  expect(asked).toHaveLength(300)
  expect(most).toBeLessThanOrEqual(8)
  const stored = await memory.open().list()
  expect(stored.filter(({ renewing }) => renewing !== undefined)).toEqual([])
})

test('what is claimed is asked for at once: a lease is not spent in a queue', async () => {
  const { renewal } = start('a')
  const token = Promise.withResolvers<void>()
  answer = async (response, refresh) => {
    await token.promise
    await good(response, refresh)
  }
  const many = Array.from({ length: 40 }, (_, n) => authorized(n))
  const all = many.map((grant) => renewal.renew(grant))
  await vi.waitFor(() => expect(asked).toHaveLength(8))
  const claimed = (await memory.open().list()).filter(({ renewing }) => renewing !== undefined)
  expect(claimed).toHaveLength(8)
  token.resolve()
  await Promise.all(all)
})

test('a place that does not answer holds up no other', async () => {
  const { keeper, renewal } = start('a')
  const elsewhere = issuer.replace('127.0.0.1', '127.0.0.2')
  answer = () => new Promise(() => {})
  const hangs = authorized(1)
  await keeper.find(hangs)
  const other = memory.write(oauthGrant(clock.nowMs(), { holder: 'user:o' }, { issuer: elsewhere }))
  await keeper.find(other)
  clock.advance(HOUR)
  void renewal.renewDue([hangs])
  await vi.waitFor(() => expect(asked).toEqual(['r1']))
  // That nobody listens there is an answer too.
  await renewal.renewDue(keeper.known())
  expect((await memory.open().find(other))?.refreshed?.problem).toBeDefined()
  expect(asked).toEqual(['r1'])
})
