import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  signInAtProvider,
  startOidcProvider,
  type OidcProvider,
} from '../../../test/fixtures/oidc-provider.ts'
import { systemClock } from '../../lib/clock.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { createSignInClient, mintRandom, type Identified, type SignInProvider } from './sign-in.ts'

// A real provider, whose answers at the token endpoint are at times those of somebody else.

const REDIRECT = 'http://127.0.0.1:1/oauth/sign-in/callback'
const client = createSignInClient(systemClock)
let company: OidcProvider
beforeAll(async () => {
  company = await startOidcProvider({ accounts: { ada: {}, eve: {} }, offline: true })
})
afterEach(() => company.tamper())
afterAll(async () => {
  await client.close()
  await company.close()
})

const providerOf = (more: Partial<SignInProvider> = {}): SignInProvider => ({
  issuer: company.issuer,
  clientId: company.clientId,
  clientSecret: undefined,
  scopes: ['openid'],
  wanted: [],
  offline: true,
  ...more,
})

const newLeg = () => ({
  state: mintRandom(),
  nonce: mintRandom(),
  verifier: mintRandom(),
  redirectUri: REDIRECT,
})

async function signIn(provider = providerOf()): Promise<Identified> {
  const leg = newLeg()
  const url = await client.authenticationUrl(provider, leg)
  if (!url.ok) throw new Error(url.error)
  const back = await signInAtProvider(url.value, 'ada')
  const found = await client.identify(provider, leg, back.searchParams)
  if (!found.ok) throw new Error(found.error)
  return found.value
}

const refreshOf = ({ issued }: Identified): SecretValue => {
  if (issued?.tokens.refresh === undefined) throw new Error('there is no refresh token')
  return issued.tokens.refresh
}

/** The token endpoint answers with this, and the provider is not asked. */
const answerWith = (body: object, status = 200): void =>
  company.tamper((path, _request, response: ServerResponse) => {
    if (path !== '/token') return false
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    return true
  })

const claimsOf = (more: object = {}): Readonly<Record<string, unknown>> => {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: company.issuer, aud: company.clientId, sub: 'ada', iat: now, exp: now + 600 }
  return Object.assign(claims, more)
}

test.each([
  ['asked for, with the consent of the user', { scopes: ['openid'] }, 'openid offline_access', 'consent'],
  ['left to who named it', { scopes: ['openid', 'offline_access'] }, 'openid offline_access', null],
  ['not asked for where nothing is kept', { offline: false }, 'openid', null],
])('offline access is %s', async (_what, more, scope, prompt) => {
  const url = await client.authenticationUrl(providerOf(more), newLeg())
  const asked = new URL(url.ok ? url.value : 'about:blank').searchParams
  expect([asked.get('scope'), asked.get('prompt')]).toEqual([scope, prompt])
})

test('without it nothing outlives the sign-in; with it each refresh token brings the next', async () => {
  const brief = await signIn(providerOf({ offline: false }))
  expect([brief.claims.sub, brief.issued?.tokens.refresh]).toEqual(['ada', undefined])
  const first = await signIn()
  const renewed = await client.renew(providerOf(), { refresh: refreshOf(first), subject: 'ada' })
  if (!renewed.ok) throw new Error(renewed.error.message)
  const { tokens, idToken } = renewed.value
  expect(idToken?.expiresAtMs).toBeGreaterThan(Date.now())
  expect(tokens.refresh?.equals(refreshOf(first))).toBe(false)
  // The provider takes back all that came of one that is used twice.
  const again = await client.renew(providerOf(), { refresh: refreshOf(first), subject: 'ada' })
  expect(again).toMatchObject({ ok: false, error: { final: true, code: 'invalid_grant' } })
})

test('what is taken back renews nothing', async () => {
  const refresh = refreshOf(await signIn())
  expect(await client.revoke(providerOf(), refresh)).toBe(true)
  expect(await client.renew(providerOf(), { refresh, subject: 'ada' })).toMatchObject({ ok: false })
})

const TOKENS = { access_token: 'another', token_type: 'Bearer', expires_in: 60 }

test('an answer without an id_token and without a refresh token keeps what there is', async () => {
  const refresh = new SecretValue('one-that-stays')
  answerWith(TOKENS)
  const renewed = await client.renew(providerOf(), { refresh, subject: 'ada' })
  expect(renewed).toMatchObject({ ok: true, value: { idToken: undefined } })
  expect(renewed.ok && renewed.value.tokens.refresh?.equals(refresh)).toBe(true)
})

test.each([
  ['of somebody else', () => company.sign(claimsOf({ sub: 'eve' })), true],
  ['for another client', () => company.sign(claimsOf({ aud: 'another' })), false],
  ['of another issuer', () => company.sign(claimsOf({ iss: 'https://elsewhere.example' })), false],
  ['that is over', () => company.sign(claimsOf({ exp: 1 })), false],
  ['without a signature', () => company.sign(claimsOf(), { alg: 'none' }), false],
  ['with the signature of another', () => company.sign(claimsOf()).replace(/\.[^.]+$/, '.AAAA'), false],
  ['that is none', () => 'no JWT', false],
])('an id_token %s is not taken, nor what comes with it', async (_what, idToken, final) => {
  answerWith({ ...TOKENS, id_token: idToken() })
  const renewed = await client.renew(providerOf(), { refresh: new SecretValue('any'), subject: 'ada' })
  expect(renewed).toMatchObject({ ok: false, error: { final } })
})

test.each([
  ['a page', 200, undefined],
  ['an error with the status 200', 200, { error: 'invalid_grant' }],
  ['an error of its own', 503, { error: 'temporarily_unavailable' }],
  ['a token with line breaks', 200, { ...TOKENS, access_token: 'a\r\nb' }],
  ['a token of another kind', 200, { ...TOKENS, token_type: 'DPoP' }],
])('%s renews nothing', async (_what, status, body) => {
  answerWith(body ?? [], status)
  const renewed = await client.renew(providerOf(), { refresh: new SecretValue('any'), subject: 'ada' })
  expect(renewed).toMatchObject({
    ok: false,
    error: { final: body !== undefined && 'error' in body && status === 200 },
  })
})
