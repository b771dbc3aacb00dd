import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
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
import { EXCHANGE } from '../oauth/client/token-exchange.ts'
import { createExchange, type Exchange } from './exchange.ts'
import { credentialOf, keyOf, type Grant } from './grant.ts'
import { justIssued } from './held-secret.ts'
import { createKeeper, type Keeper } from './keeper.ts'
import { ID_TOKEN, signInKey, type LiveSignIn } from './sign-in-grant.ts'
import type { Wanted } from './wanted.ts'

// A token endpoint that counts, and people who are signed in.

type Answer = (response: ServerResponse, asked: URLSearchParams) => void | Promise<void>

let [asked, underWay, most]: [URLSearchParams[], number, number] = [[], 0, 0]
let answer: Answer
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk: Buffer) => (body += chunk.toString()))
  request.on('end', () => {
    const form = new URLSearchParams(body)
    asked.push(form)
    most = Math.max(most, (underWay += 1))
    void Promise.resolve(answer(response, form)).finally(() => (underWay -= 1))
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

const HOUR_MS = 3_600_000
const PURPOSE = { server: 'notes', origin: 'https://notes.example' }

const good =
  (more: object = { expires_in: 600 }): Answer =>
  async (response, form) => {
    await sleep(2)
    const body = {
      access_token: `for-${form.get('subject_token') ?? ''}`,
      token_type: 'Bearer',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    }
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify(Object.assign(body, more)))
  }
const refuse =
  (error: string): Answer =>
  (response) =>
    void response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error }))
const hangUp: Answer = (response) => void response.destroy()

let clock: SetClock
let memory: MemoryStore
let keeper: Keeper
let exchange: Exchange
let signedIn: Map<string, LiveSignIn>
beforeEach(() => {
  clock = setClock()
  memory = createMemoryStore()
  signedIn = new Map()
  const store = memory.open()
  keeper = createKeeper({ store, clock, log: silentLog, shared: false, changed() {} })
  exchange = createExchange({
    keeper,
    clock,
    log: silentLog,
    renewal: { renew: () => Promise.reject(new Error('nothing is renewed here')) },
    fetcherFor: () => fetcher,
    recorded: (_about, work) => work(),
    signIns: {
      of: (holder) => signedIn.get(holder),
      seal: (_uid, _field, value) => justIssued(value),
    },
  })
  answer = good()
  ;[asked, underWay, most] = [[], 0, 0]
  prepare()
})
afterEach(() => keeper.close())

function prepare(more: Partial<Grant> = {}, grantTypes: readonly string[] = [EXCHANGE]): void {
  const { oauth, ...grant } = oauthGrant(0, {}, { issuer })
  if (oauth === undefined) throw new Error('an oauth grant')
  const authorizationServer = { ...oauth.authorizationServer, grant_types_supported: grantTypes }
  memory.write({ ...grant, oauth: { ...oauth, authorizationServer, tokens: undefined }, ...more })
}

const holderOf = (name: string): string => `user:${name}`

/** Somebody signs in, for an hour. */
function signIn(name: string, more: Partial<Grant> = {}): Wanted {
  const holder = holderOf(name)
  signedIn.set(holder, { provider: 'idp', subject: name, untilMs: clock.nowMs() + HOUR_MS })
  const grant = oauthGrant(clock.nowMs(), {}, { access: `access-of-${name}`, refresh: '' })
  memory.write({
    ...grant,
    ...signInKey(holder),
    values: { [ID_TOKEN]: held(name) },
    settings: { provider: 'idp', subject: name },
    expiresAtMs: clock.nowMs() + HOUR_MS,
    ...more,
  })
  return wantedBy(name)
}

function wantedBy(name: string): Wanted {
  const key = { profile: 'default', holder: holderOf(name), name: 'oauth:notes' }
  return { ...key, key: keyOf(key), whose: 'caller' }
}

const sent = (wanted: Wanted): string | undefined => {
  const grant = keeper.peek(wanted.key)
  return grant && credentialOf(grant)?.open().reveal()
}

test('hundreds of people at once: each is asked for once, and few at a time', async () => {
  const everybody = Array.from({ length: 300 }, (_, i) => signIn(`person-${i}`))
  const twice = [...everybody, ...everybody]
  const got = await Promise.all(twice.map((wanted) => exchange.obtain(wanted, PURPOSE)))
  expect(got.every(({ ok }) => ok)).toBe(true)
  expect(asked).toHaveLength(300)
  expect(most).toBeLessThanOrEqual(8)
  expect(everybody.map(sent)).toEqual(everybody.map((_, i) => `for-person-${i}`))
})

test('an authorization server that is away is not asked by everybody, and asked again soon', async () => {
  answer = hangUp
  const everybody = Array.from({ length: 100 }, (_, i) => signIn(`person-${i}`))
  const got = await Promise.all(everybody.map((wanted) => exchange.obtain(wanted, PURPOSE)))
  expect(got.filter(({ ok }) => ok)).toEqual([])
  expect(got[0]).toMatchObject({ error: { connect: false } })
  expect(asked.length).toBeLessThanOrEqual(8)
  answer = good()
  clock.advance(2001)
  expect(await exchange.obtain(signIn('ada'), PURPOSE)).toMatchObject({ ok: true })
})

test.each([
  ['as long as it says', { expires_in: 600 }, 600_000],
  ['a minute where it does not say', {}, 60_000],
  ['no longer than the sign-in', { expires_in: 100_000 }, HOUR_MS],
])('what was given is good %s', async (_what, life, endsInMs) => {
  answer = good(life)
  const got = await exchange.obtain(signIn('ada'), PURPOSE)
  if (!got.ok) throw new Error(got.error.message)
  const end = (got.value.oauth?.tokens?.expiresAtMs ?? 0) - clock.nowMs()
  expect([end, got.value.oauth?.tokens?.refresh]).toEqual([endsInMs, undefined])
  expect(await memory.open().find(wantedBy('ada'))).toBeUndefined()
})

test.each([
  ['the id_token', good({ access_token: 'ada' })],
  ['the access token of the sign-in', good({ access_token: 'access-of-ada' })],
  ['a token that ends at once', good({ expires_in: 1 })],
  ['a refresh token', good({ issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' })],
])('%s is no answer', async (_what, strange) => {
  answer = strange
  const wanted = signIn('ada')
  expect(await exchange.obtain(wanted, PURPOSE)).toMatchObject({ ok: false, error: { connect: false } })
  expect(sent(wanted)).toBeUndefined()
})

test.each(['invalid_target', 'unsupported_grant_type', 'invalid_grant', 'unauthorized_client'])(
  '%s leads to an account of their own, and is believed for a while',
  async (error) => {
    answer = refuse(error)
    const wanted = signIn('ada')
    for (let i = 0; i < 3; i++)
      expect(await exchange.obtain(wanted, PURPOSE)).toMatchObject({
        error: { connect: true, message: expect.stringContaining(error) as string },
      })
    expect(asked).toHaveLength(1)
    // A client that was put right is tried at once.
    answer = good()
    prepare()
    keeper.drop(keyOf({ profile: 'default', holder: '', name: 'oauth:notes' }))
    expect(await exchange.obtain(wanted, PURPOSE)).toMatchObject({ ok: true })
  },
)

test.each([
  ['nobody is signed in', () => wantedBy('eve'), true],
  ['no person calls', () => ({ ...wantedBy('x'), holder: 'service-account:x' }), false],
  [
    'the sign-in is of another account',
    () => signIn('ada', { settings: { provider: 'idp', subject: 'eve' } }),
    true,
  ],
  ['what came with it has run out', () => signIn('ada', { expiresAtMs: 0 }), true],
  ['nothing came with it', () => signIn('ada', { values: {} }), true],
])('where %s nobody is asked', async (_what, wanted, connect) => {
  expect(await exchange.obtain(wanted(), PURPOSE)).toMatchObject({ error: { connect } })
  expect(asked).toEqual([])
})

test('a server elsewhere, and an authorization server that exchanges nothing, get nothing', async () => {
  const wanted = signIn('ada')
  const elsewhere = { server: 'notes', origin: 'https://elsewhere.example' }
  expect(await exchange.obtain(wanted, elsewhere)).toMatchObject({ error: { connect: false } })
  keeper.drop('default//oauth:notes')
  prepare({}, ['authorization_code'])
  expect(await exchange.obtain(wanted, PURPOSE)).toMatchObject({ error: { connect: true } })
  expect(asked).toEqual([])
})

test('whoever signs out, or connects an account, while it is under way has what they chose', async () => {
  const [ada, bob] = [signIn('ada'), signIn('bob')]
  answer = async (response, form) => {
    signedIn.delete(holderOf('ada'))
    keeper.hold(oauthGrant(0, bob, { access: 'of an account' }))
    await good()(response, form)
  }
  const [adas, bobs] = await Promise.all([ada, bob].map((wanted) => exchange.obtain(wanted, PURPOSE)))
  expect([adas?.ok, bobs?.ok, sent(ada), sent(bob)]).toEqual([false, true, undefined, 'of an account'])
})

test('after the end of a sign-in nothing of it is left, and what others have is', async () => {
  const [ada, bob] = [signIn('ada'), signIn('bob')]
  await Promise.all([ada, bob].map((wanted) => exchange.obtain(wanted, PURPOSE)))
  exchange.forget(holderOf('ada'))
  expect([sent(ada), sent(bob)]).toEqual([undefined, 'for-bob'])
  exchange.forget(undefined)
  expect(sent(bob)).toBeUndefined()
})

test('what is close to its end is exchanged anew before anybody waits for it, once, and not in vain', async () => {
  const wanted = signIn('ada')
  const use = (): void => {
    const grant = keeper.peek(wanted.key)
    if (grant !== undefined) for (let i = 0; i < 5; i++) exchange.ahead(wanted, grant, PURPOSE.origin)
  }
  await exchange.obtain(wanted, PURPOSE)
  use()
  clock.advance(440_000)
  use()
  expect(asked).toHaveLength(1)
  clock.advance(20_000)
  use()
  // Whoever asks meanwhile waits for the same one.
  expect(await exchange.obtain(wanted, PURPOSE)).toMatchObject({ ok: true })
  expect(asked).toHaveLength(2)
  answer = refuse('invalid_target')
  clock.advance(460_000)
  use()
  await exchange.obtain(wanted, PURPOSE)
  use()
  expect([asked.length, sent(wanted)]).toEqual([3, 'for-ada'])
  // Nothing goes on for longer than the sign-in.
  answer = good({ expires_in: 100_000 })
  const bob = signIn('bob')
  await exchange.obtain(bob, PURPOSE)
  clock.advance(HOUR_MS - 5000)
  exchange.ahead(bob, keeper.peek(bob.key) as Grant, PURPOSE.origin)
  expect(asked).toHaveLength(4)
})
