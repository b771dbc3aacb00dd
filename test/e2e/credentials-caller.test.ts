import { hash } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import { signInAtProvider, startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import { createScanner } from './canary-scan.ts'
import { runInMemory } from './cli-in-memory.ts'
import { allAtOnce, failed, whoami, type Who } from './credentials-harness.ts'
import {
  type Access,
  createToken,
  endpoint,
  httpServer,
  type Json,
  modernCaller,
  project,
  until,
} from './gateway-harness.ts'
import { ask, connectProvider, signInBy } from './sign-in-harness.ts'

/*
 * A company with an identity provider, and a server of somebody else whose authorization server gives tokens in exchange
 * for the sign-ins of that company: whoever calls is known there by their own name, and nobody has connected anything.
 */

const CLIENT = { clientId: 'gateway', secret: 'secret-of-the-gateway-client' }

let company: OidcProvider
let partner: ResourceProvider
let home: string
let daemon: Daemon
const accesses = new Map<string, Access>()

beforeAll(async () => {
  const person = (name: string) => ({ email: `${name}@example.com`, email_verified: true })
  company = await startOidcProvider({
    accounts: Object.fromEntries(['ada', 'bob', 'cy', 'dora', 'eve'].map((name) => [name, person(name)])),
    offline: true,
  })
  partner = await startResourceProvider({
    trusts: { issuer: company.issuer, clientId: company.clientId },
    clients: [CLIENT],
  })
  home = await makeHome()
  const env = { CASTELLAN_LOG_TO: 'file', CASTELLAN_LOG_LEVEL: 'trace' }
  daemon = await startDaemon(home, 0, { env })
  await connectProvider(daemon, company, { keepTokens: true })
  await daemon.apply([
    httpServer('notes', partner.url, { auth: { grant: 'oauth:notes', whose: 'caller' } }),
    project('demo', ['notes']),
    { kind: 'User', metadata: { name: 'pat' }, spec: {} },
  ])
})
afterAll(async () => {
  await daemon?.stop()
  if (home !== undefined) await removeHome(home)
  await partner?.close()
  await company?.close()
})

/** @returns the credential of the sign-in */
async function signIn(name: string): Promise<string> {
  const { status, body } = await signInBy(daemon.origin, 'corp', name)
  expect(status).toBe(200)
  return String(body['credential'])
}

/** A token that they own, as an agent of theirs has it. */
async function accessOf(name: string): Promise<Access> {
  const known = accesses.get(name)
  if (known !== undefined) return known
  const owner = { kind: 'User', name: name === 'pat' ? name : `${name}@example.com` }
  const bindings = [{ role: 'run', resource: '*' }]
  await daemon.apply([
    { kind: 'RoleBinding', metadata: { name: `of-${name}` }, spec: { subjects: [owner], bindings } },
  ])
  const token = await createToken(daemon, 'demo', name, { owner, bindings })
  const access = { url: endpoint(daemon, 'demo', 'notes'), token }
  accesses.set(name, access)
  return access
}

const callAs = async (name: string): Promise<Who> => whoami(await accessOf(name))

const logout = (credential: string) =>
  ask(daemon.origin, ['POST', '/api/v1/auth/logout'], undefined, credential)

/** Exchanges while the work is done. */
async function exchanges(work: () => Promise<unknown>): Promise<number> {
  const before = partner.count('exchange')
  await work()
  return partner.count('exchange') - before
}

const LINK = '/connect/'

/** As the server says it of the token that it was shown. */
const digestOf = (token: string): string => hash('sha256', token, 'base64url').slice(0, 16)

test('until it is prepared, whoever calls is led to a page; it is prepared without anybody authorizing anything', async () => {
  await signIn('ada')
  expect(await callAs('ada')).toContain(LINK)
  const command = `grant oauth notes --server notes --client-id ${CLIENT.clientId} --client-secret-stdin --exchange --audience urn:notes`
  const env = { CASTELLAN_HOME: home }
  const { code, err } = await runInMemory(command.split(' '), { env, stdin: CLIENT.secret })
  expect([code, err]).toEqual([0, expect.stringContaining('oauth:notes prepared')])
  expect(err).not.toContain('does not use it')
  const tested = daemon.call('POST', '/api/v1/grants/oauth:notes/test')
  expect(await tested).toMatchObject({
    state: 'unknown',
    message: expect.stringContaining('signed in') as string,
  })
  const { items } = (await daemon.call('GET', '/api/v1/grants')) as { readonly items: readonly Json[] }
  expect(items).toMatchObject([{ name: 'oauth:notes', holder: '', state: 'ready', source: 'exchange' }])
})

test('each call carries a token for its caller, and never what the caller or their provider has shown', async () => {
  await signIn('ada')
  const ada = await callAs('ada')
  await signIn('bob')
  const bob = await callAs('bob')
  expect([ada, bob]).toMatchObject([
    { subject: 'ada', client: CLIENT.clientId },
    { subject: 'bob', client: CLIENT.clientId },
  ])
  const asked = partner.last('exchange')
  expect(Object.fromEntries(asked)).toMatchObject({
    resource: partner.url,
    audience: 'urn:notes',
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
  })
  const theirs = partner.secrets.map(digestOf)
  const ours = [...company.secrets, ...[...accesses.values()].map(({ token }) => token)].map(digestOf)
  for (const who of [ada, bob]) {
    if (typeof who === 'string') throw new Error(who)
    expect(theirs).toContain(who.digest)
    expect(ours).not.toContain(who.digest)
  }
  expect(
    await exchanges(async () => {
      expect(failed(await allAtOnce(20, await accessOf('ada')), 'ada')).toEqual([])
      expect(failed(await allAtOnce(20, await accessOf('bob')), 'bob')).toEqual([])
    }),
  ).toBe(0)
})

test('tokens that are no longer taken are exchanged anew, once for each caller, and no call fails', async () => {
  const [ada, bob] = [await accessOf('ada'), await accessOf('bob')]
  partner.expire()
  const count = await exchanges(async () => {
    const [a, b] = await Promise.all([allAtOnce(30, ada), allAtOnce(30, bob)])
    expect([failed(a, 'ada'), failed(b, 'bob')]).toEqual([[], []])
  })
  expect(count).toBe(2)
})

test('a scope that the server demands is asked for with the next exchange', async () => {
  const access = await accessOf('ada')
  const { text } = await modernCaller(access).ask('tools/call', { name: 'write', arguments: {} })
  expect(text).toContain('written')
  expect(partner.last('exchange').get('scope')).toContain('notes:write')
})

test('a scope that is not given to the caller costs the call that needs it, and no other', async () => {
  const access = await accessOf('bob')
  partner.hook({
    instead: (asked) =>
      asked.get('scope')?.includes('notes:write') === true ? { error: 'invalid_scope' } : undefined,
  })
  const { text } = await modernCaller(access).ask('tools/call', { name: 'write', arguments: {} })
  expect(text).toContain('invalid_scope')
  partner.hook()
  await until('the server is tried again', async () => typeof (await callAs('bob')) !== 'string')
})

test('what came with the sign-in is renewed when it has run out, and again with what was rotated', async () => {
  company.setLife(4)
  await signIn('ada')
  const before = company.count('/token')
  for (let round = 1; round <= 2; round++) {
    await sleep(2500)
    partner.expire()
    expect(failed(await allAtOnce(10, await accessOf('ada')), 'ada')).toEqual([])
    expect(company.count('/token')).toBe(before + round)
  }
  company.setLife(3600)
})

test('no route shows, gives or takes what came with a sign-in', async () => {
  const admin = (path: string) => daemon.call('GET', path).catch((thrown: Error) => thrown.message)
  expect(JSON.stringify(await admin('/api/v1/grants'))).not.toContain('sign-in')
  for (const who of ['', '?for=user:ada@example.com'])
    expect(await admin(`/api/v1/grants/@sign-in${who}`)).toContain('400')
  const given = daemon.call('POST', '/api/v1/grants/@sign-in/bind', { origins: ['https://example.com'] })
  await expect(given).rejects.toThrow('400')
})

test('without a sign-in at the company there is a page to connect an account, and so after the last sign-out', async () => {
  expect(await callAs('pat')).toContain(LINK)
  const [one, other] = [await signIn('cy'), await signIn('cy')]
  expect(await callAs('cy')).toMatchObject({ subject: 'cy' })
  await logout(one)
  expect(await callAs('cy')).toMatchObject({ subject: 'cy' })
  const revoked = company.count('/token/revocation')
  await logout(other)
  expect(await callAs('cy')).toContain(LINK)
  await until('it is taken back', () => company.count('/token/revocation') === revoked + 1)
  await signIn('cy')
  expect(await callAs('cy')).toMatchObject({ subject: 'cy' })
})

test('an account that somebody connects is what their calls carry, whatever their sign-in would give', async () => {
  for (const name of ['pat', 'ada']) {
    const owner = name === 'pat' ? name : 'ada@example.com'
    const { authorizeUrl } = (await daemon.call('POST', '/api/v1/grants', {
      name: 'notes',
      server: 'notes',
      for: `user:${owner}`,
    })) as { readonly authorizeUrl: string }
    // Until it is done, nothing changes for whoever has only begun.
    expect(await callAs(name)).toEqual(
      name === 'pat' ? expect.stringContaining(LINK) : expect.objectContaining({ subject: 'ada' }),
    )
    expect((await fetch(await signInAtProvider(authorizeUrl, 'cy'))).status).toBe(200)
    expect(await callAs(name)).toMatchObject({ subject: 'cy' })
    partner.expire()
    expect(await exchanges(async () => expect(await callAs(name)).toMatchObject({ subject: 'cy' }))).toBe(0)
    await daemon.call('DELETE', `/api/v1/grants/oauth:notes?for=user:${owner}`)
  }
  expect(await callAs('pat')).toContain(LINK)
  expect(await callAs('ada')).toMatchObject({ subject: 'ada' })
})

test('with a User, and with an IdentityProvider, goes what came with their sign-ins', async () => {
  const kept = (): number => {
    const database = new DatabaseSync(join(home, 'control.db'), { readOnly: true })
    const row = database.prepare(`select count(*) as count from grants where name = '@sign-in'`).get()
    database.close()
    return Number(row?.['count'])
  }
  const before = kept()
  await signIn('dora')
  expect(kept()).toBe(before + 1)
  const revoked = company.count('/token/revocation')
  await daemon.call('DELETE', '/api/v1/users/dora@example.com')
  await until('it is gone', () => kept() === before)
  await until('it is taken back', () => company.count('/token/revocation') === revoked + 1)
  await connectProvider(daemon, company, { keepTokens: true }, 'other')
  await signInBy(daemon.origin, 'other', 'eve')
  expect(kept()).toBe(before + 1)
  await daemon.call('DELETE', '/api/v1/identityproviders/other')
  await until('it is gone', () => kept() === before)
})

const STRANGE: readonly (readonly [string, object])[] = [
  ['an error with the status 200', { error: 'invalid_target' }],
  ['a refresh token', { issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }],
  ['a token that is none', { token_type: 'N_A' }],
  ['an empty token', { access_token: '' }],
  ['line breaks', { access_token: 'a\r\nx-admin: yes' }],
]

test.each(STRANGE)('an authorization server that answers with %s gives nothing', async (_what, answer) => {
  const good = {
    access_token: 'strange-token',
    token_type: 'Bearer',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    expires_in: 60,
  }
  const body = 'error' in answer ? answer : Object.assign(good, answer)
  partner.hook({ instead: () => body })
  const before = partner.count('called')
  await logout(await signIn('bob'))
  await signIn('bob')
  partner.expire()
  const said = await callAs('bob')
  // One that refuses for good leaves the caller with an account of their own; one that is out of order does not.
  expect(said).toContain('error' in answer ? LINK : 'your sign-in was shown')
  expect(said).not.toContain('strange-token')
  expect(partner.count('called')).toBe(before)
  partner.hook()
  await signIn('bob')
  expect(await callAs('bob')).toMatchObject({ subject: 'bob' })
})

test('the sign-in itself, given back as if it were another token, goes nowhere', async () => {
  await signIn('bob')
  partner.hook({
    instead: (asked) => ({
      access_token: asked.get('subject_token'),
      token_type: 'Bearer',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    }),
  })
  partner.expire()
  expect(await callAs('bob')).toContain('it is the sign-in itself')
  partner.hook()
  await signIn('bob')
  expect(await callAs('bob')).toMatchObject({ subject: 'bob' })
})

test('every exchange is on the record, and so is each injection, without what was exchanged', async () => {
  const recorded = async (query: string): Promise<readonly Json[]> =>
    ((await daemon.call('GET', `/api/v1/audit?${query}&limit=200`)) as { readonly items: Json[] }).items
  const shown = (await recorded('kind=grant')).filter(({ event }) => event === 'exchange grants')
  expect(shown).toContainEqual(
    expect.objectContaining({
      user: 'ada@example.com',
      server: 'notes',
      grant: 'oauth:notes',
      target: 'user:ada@example.com/oauth:notes',
      status: 'ok',
    }),
  )
  expect(shown).toContainEqual(expect.objectContaining({ user: 'bob@example.com', code: 'invalid_target' }))
  const calls = (await recorded('kind=tool_call')).filter(({ status }) => status === 'ok')
  expect(new Set(calls.map(({ grant }) => grant))).toEqual(new Set(['oauth:notes']))
})

test('a provider that keeps nothing any more: what it had given is gone, for everybody', async () => {
  await signIn('ada')
  expect(await callAs('ada')).toMatchObject({ subject: 'ada' })
  await connectProvider(daemon, company, { keepTokens: false })
  await until('nothing is sent', async () => JSON.stringify(await callAs('ada')).includes(LINK))
  await connectProvider(daemon, company, { keepTokens: true })
  expect(await callAs('ada')).toContain(LINK)
  await signIn('ada')
  expect(await callAs('ada')).toMatchObject({ subject: 'ada' })
})

test('a provider that is away: what was exchanged is good for as long as it was given, and then the call says why', async () => {
  company.setLife(3)
  await signIn('ada')
  expect(await callAs('ada')).toMatchObject({ subject: 'ada' })
  company.tamper((path, _request, response) => {
    if (path !== '/token') return false
    response.destroy()
    return true
  })
  await sleep(1500)
  expect(await callAs('ada')).toMatchObject({ subject: 'ada' })
  partner.expire()
  const said = await callAs('ada')
  expect(said).toEqual(expect.stringContaining('the authorization server was asked for a token'))
  expect(said).not.toContain(LINK)
  company.tamper()
  company.setLife(3600)
})

test('nothing that was shown, kept or given is in any file of the home, nor in any answer', () => {
  const scanner = createScanner()
  const newest = [...company.secrets.slice(-6), ...partner.secrets.slice(-3), CLIENT.secret]
  for (const secret of newest.filter(({ length }) => length > 20)) scanner.plant('a token', secret)
  expect(scanner.lookBelow(home, [])).toEqual([])
})
