import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { makeHome, removeHome, startDaemon, type Daemon } from '../fixtures/daemon.ts'
import {
  signInAtProvider,
  startOidcProvider,
  type OidcProvider,
  type Tamper,
} from '../fixtures/oidc-provider.ts'
import { ask, bringBack, codeIn, connectProvider, finishSignIn, startSignIn } from './sign-in-harness.ts'

/** Providers, browsers and strangers that do what they should not. */

let home = ''
let daemon: Daemon
let provider: OidcProvider

beforeAll(async () => {
  home = await makeHome()
  provider = await startOidcProvider({
    accounts: { 'sub-ada': { email: 'ada@example.com', email_verified: true } },
    clientSecret: 'planted-client-secret/with+signs',
  })
  daemon = await startDaemon(home)
  await daemon.apply([
    {
      kind: 'Secret',
      metadata: { name: 'oidc' },
      spec: { data: { secret: 'planted-client-secret/with+signs' } },
    },
  ])
  await connectProvider(daemon, provider, {
    clientSecret: { secretRef: { name: 'oidc', key: 'secret' } },
  })
})

afterEach(() => provider.tamper())

afterAll(async () => {
  await daemon.stop()
  await provider.close()
  await removeHome(home)
})

const send = (response: ServerResponse, value: unknown, type = 'application/json'): true => {
  response.writeHead(200, { 'content-type': type })
  response.end(typeof value === 'string' ? value : JSON.stringify(value))
  return true
}

/** The nonce and the page that the browser gets, with the provider's token endpoint answering so. */
async function comeBack(
  answerOf: (good: Readonly<Record<string, unknown>>) => unknown,
): Promise<{ status: number; text: string }> {
  const started = await startSignIn(daemon.origin, 'corp')
  const nonce = new URL(started.url).searchParams.get('nonce')
  const back = await signInAtProvider(started.url, 'sub-ada')
  const now = Math.floor(Date.now() / 1000)
  const good = {
    iss: provider.issuer,
    aud: provider.clientId,
    sub: 'sub-ada',
    nonce,
    iat: now,
    exp: now + 300,
    email: 'ada@example.com',
    email_verified: true,
    groups: [],
  }
  provider.tamper((path, _request, response) => path === '/token' && send(response, answerOf(good)))
  return bringBack(back)
}

const tokens = (id_token: string): object => ({
  access_token: 'planted-access',
  token_type: 'Bearer',
  id_token,
})

test('a good one passes, so the bad ones are refused for what is bad in them', async () => {
  const page = await comeBack((good) => tokens(provider.sign(good)))
  expect(page.status).toBe(200)
})

describe('an id_token is refused', () => {
  const ROWS: readonly (readonly [string, (good: Readonly<Record<string, unknown>>) => string])[] = [
    ['with another nonce', (good) => provider.sign({ ...good, nonce: 'another' })],
    ['without a nonce', (good) => provider.sign({ ...good, nonce: undefined })],
    ['for another audience', (good) => provider.sign({ ...good, aud: 'somebody-else' })],
    ['for two, and no word who is meant', (good) => provider.sign({ ...good, aud: [good['aud'], 'other'] })],
    [
      'authorized for another party',
      (good) => provider.sign({ ...good, aud: [good['aud'], 'other'], azp: 'other' }),
    ],
    ['of another issuer', (good) => provider.sign({ ...good, iss: 'https://login.example.com' })],
    ['that has expired', (good) => provider.sign({ ...good, exp: Number(good['iat']) - 600 })],
    ['that never expires', (good) => provider.sign({ ...good, exp: undefined })],
    ['from the future', (good) => provider.sign({ ...good, nbf: Number(good['iat']) + 600 })],
    ['without a subject', (good) => provider.sign({ ...good, sub: undefined })],
    ['with the algorithm none', (good) => provider.sign(good, { alg: 'none' })],
    ['with a shared secret for a signature', (good) => provider.sign(good, { alg: 'HS256', kid: 'test' })],
    [
      'of a key that the provider does not have',
      (good) => provider.sign(good, { alg: 'RS256', kid: 'other' }),
    ],
    [
      'whose claims were changed after it was signed',
      (good) => {
        const [header, , signature] = provider.sign(good).split('.')
        const other = Buffer.from(JSON.stringify({ ...good, sub: 'sub-root' })).toString('base64url')
        return `${header}.${other}.${signature}`
      },
    ],
    ['that is none', () => 'planted.planted.planted'],
  ]
  test.each(ROWS)('%s', async (_what, make) => {
    const page = await comeBack((good) => tokens(make(good)))
    expect(page).toMatchObject({ status: 400 })
    expect(page.text).toMatch(/^The sign-in has failed: /)
    expect(page.text).not.toContain('planted')
  })
})

describe('an answer of the provider is refused', () => {
  const ROWS: readonly (readonly [string, Tamper])[] = [
    [
      'without an id_token',
      (_path, _request, response) => send(response, { access_token: 'planted', token_type: 'Bearer' }),
    ],
    ['that is no JSON', (_path, _request, response) => send(response, '<p>planted</p>', 'text/html')],
    ['that is huge', (_path, _request, response) => send(response, `"${'planted'.repeat(400_000)}"`)],
    [
      'that is an error, of which nothing of a stranger is repeated',
      (_path, _request, response) => {
        response.writeHead(400, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ error: 'planted_error', error_description: 'planted <script>' }))
        return true
      },
    ],
    [
      'that leads elsewhere',
      (_path, _request, response) => {
        response.writeHead(307, { location: 'http://127.0.0.1:1/planted' })
        response.end()
        return true
      },
    ],
    [
      'that is cut off',
      (_path, request) => {
        request.socket.destroy()
        return true
      },
    ],
  ]
  test.each(ROWS)('%s', async (_what, tamper) => {
    const started = await startSignIn(daemon.origin, 'corp')
    const back = await signInAtProvider(started.url, 'sub-ada')
    provider.tamper((path, request, response) => path === '/token' && tamper(path, request, response))
    const page = await bringBack(back)
    expect(page).toMatchObject({ status: 400 })
    expect(page.text).not.toContain('planted')
  })
})

describe('what a browser brings back is refused', () => {
  const changed = async (change: (parameters: URLSearchParams) => void, loopbackPort?: number) => {
    const started = await startSignIn(daemon.origin, 'corp', loopbackPort)
    const back = await signInAtProvider(started.url, 'sub-ada')
    change(back.searchParams)
    return bringBack(back)
  }

  test.each<readonly [string, (parameters: URLSearchParams) => void]>([
    ['without a state', (parameters) => parameters.delete('state')],
    [
      'with a state of nobody',
      (parameters) => parameters.set('state', 'csi1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'),
    ],
    [
      'with a state that was changed',
      (parameters) =>
        parameters.set(
          'state',
          (parameters.get('state') ?? '').replace(/.$/, (end) => (end === 'A' ? 'B' : 'A')),
        ),
    ],
    ['with two states', (parameters) => parameters.append('state', 'planted')],
    [
      'with the word of another issuer (RFC 9207)',
      (parameters) => parameters.set('iss', 'https://planted.example.com'),
    ],
    ['without the word of the issuer, who always gives it', (parameters) => parameters.delete('iss')],
    ['with a code that is none', (parameters) => parameters.set('code', 'planted')],
    ['with two codes', (parameters) => parameters.append('code', 'planted')],
    [
      'with an error in place of a code',
      (parameters) => {
        parameters.delete('code')
        parameters.set('error', 'access_denied')
        parameters.set('error_description', 'planted')
      },
    ],
  ])('%s', async (_what, change) => {
    const page = await changed(change)
    expect(page).toMatchObject({ status: 400 })
    expect(page.text).not.toContain('planted')
  })

  test('a code of the provider is good once, for one attempt', async () => {
    const [one, other] = [await startSignIn(daemon.origin, 'corp'), await startSignIn(daemon.origin, 'corp')]
    const back = await signInAtProvider(one.url, 'sub-ada')
    const mixed = new URL(back)
    mixed.searchParams.set('state', new URL(other.url).searchParams.get('state') ?? '')
    expect(await bringBack(mixed)).toMatchObject({ status: 400 })
    expect(await bringBack(back)).toMatchObject({ status: 200 })
    expect(await bringBack(back)).toMatchObject({ status: 400 })
  })

  test('the page that shows a code belongs to no other page, and is kept nowhere', async () => {
    const started = await startSignIn(daemon.origin, 'corp')
    const response = await fetch(await signInAtProvider(started.url, 'sub-ada'))
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'content-type': 'text/plain; charset=utf-8',
    })
    expect(codeIn(await response.text())).toMatch(/^[\w-]{43}$/)
  })
})

test('strangers who ask for what is not there learn nothing, and nothing of theirs is repeated', async () => {
  const challenge = 'A'.repeat(43)
  const start = (body: object) => ask(daemon.origin, ['POST', '/api/v1/auth/oidc/start'], body)
  expect(await start({ provider: 'planted', challenge })).toMatchObject({ status: 404 })
  expect(await start({ provider: 'corp', challenge, loopbackPort: 70_000 })).toMatchObject({ status: 400 })
  expect(await start({ provider: 'corp', challenge: 'planted' })).toMatchObject({ status: 400 })
  const finished = await finishSignIn(daemon.origin, { attempt: challenge, verifier: challenge }, challenge)
  expect(finished).toMatchObject({ status: 401, body: { code: 'sign_in_refused' } })
})

test('a provider that is away, or says that it is another, is said to be so; others are not held up', async () => {
  await daemon.apply([
    {
      kind: 'IdentityProvider',
      metadata: { name: 'away' },
      spec: { issuer: 'http://127.0.0.1:1', clientId: 'x' },
    },
    {
      kind: 'IdentityProvider',
      metadata: { name: 'slash' },
      spec: { issuer: `${provider.issuer}/`, clientId: provider.clientId },
    },
  ])
  const challenge = 'A'.repeat(43)
  for (const name of ['away', 'slash'])
    expect(
      await ask(daemon.origin, ['POST', '/api/v1/auth/oidc/start'], { provider: name, challenge }),
    ).toMatchObject({ status: 503, body: { code: 'unavailable' } })
  expect(await startSignIn(daemon.origin, 'corp')).toMatchObject({ attempt: expect.any(String) })
})

test('a provider that never answers is given up, and whoever signs in meanwhile at another is not held up', async () => {
  const slow = await startOidcProvider({ accounts: {} })
  try {
    await connectProvider(daemon, slow, {}, 'slow')
    slow.tamper(() => new Promise(() => undefined))
    const challenge = 'A'.repeat(43)
    const waiting = ask(daemon.origin, ['POST', '/api/v1/auth/oidc/start'], { provider: 'slow', challenge })
    expect(await startSignIn(daemon.origin, 'corp')).toMatchObject({ attempt: expect.any(String) })
    expect(await waiting).toMatchObject({ status: 503, body: { code: 'unavailable' } })
  } finally {
    await slow.close()
  }
})
