import { expect, test } from 'vitest'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Fetcher, FetchInit } from './guarded-fetch.ts'
import { Unreachable } from './guarded-fetch.ts'
import { refreshTokens } from './token-endpoint.ts'
import type { TokenSource } from './token-source.ts'

const OLD = new SecretValue('old-refresh')

function source(
  answer: () => Response,
  method: 'client_secret_basic' | 'client_secret_post' | 'none' = 'none',
) {
  const sent: FetchInit[] = []
  const fetcher: Fetcher = {
    send(_url, init) {
      sent.push(init)
      return Promise.resolve().then(answer)
    },
    close: () => Promise.resolve(),
  }
  const made: TokenSource = {
    authorizationServer: {
      issuer: 'https://as.example',
      authorization_endpoint: 'https://as.example/authorize',
      token_endpoint: 'https://as.example/token',
      scopes_supported: [],
      authorization_response_iss_parameter_supported: false,
      client_id_metadata_document_supported: false,
    },
    client: {
      clientId: 'a-client:1',
      secret: new SecretValue('s e-c'),
      method,
      redirectUri: 'http://127.0.0.1/cb',
      from: 'user',
    },
    resource: 'https://mcp.example/mcp',
    fetcher,
    nowMs: () => 1000,
  }
  return { made, sent }
}

const json = (body: unknown, status = 200): Response => Response.json(body, { status })
const GOOD = { access_token: 'new', token_type: 'Bearer', expires_in: 60 }

test('a refresh token that is not rotated stays, an expiry that is not named is none', async () => {
  const { made, sent } = source(() => json({ access_token: 'new', token_type: 'bearer' }))
  const issued = await refreshTokens(made, OLD)
  if (!issued.ok) throw new Error(issued.error.message)
  expect(issued.value.tokens).toMatchObject({ refresh: OLD, expiresAtMs: undefined, obtainedAtMs: 1000 })
  expect(issued.value.tokens.access.reveal()).toBe('new')
  expect(issued.value.scopes).toBeUndefined()
  expect(Object.fromEntries(new URLSearchParams(sent[0]?.body))).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'old-refresh',
    resource: 'https://mcp.example/mcp',
    client_id: 'a-client:1',
  })
})

// oxfmt-ignore
test.each([
  ['a number', 60, 61_000], ['a text', '60', 61_000], ['ten years', 315_360_000, 315_360_001_000],
  ['nothing', null, undefined], ['0', 0, undefined], ['less', -60, undefined], ['for ever', 1e12, undefined],
  ['beyond all numbers', '1e999', undefined], ['no number', 'soon', undefined], ['an object', {}, undefined],
])('an expiry that is %s: what cannot be is as if it was not named', async (_, expires_in, expected) => {
  const issued = await refreshTokens(source(() => json({ ...GOOD, expires_in })).made, OLD)
  expect(issued).toMatchObject({ ok: true, value: { tokens: { expiresAtMs: expected } } })
})

test('who the user is, is not asked: an id_token that would not hold is not looked at', async () => {
  const answer = { ...GOOD, id_token: 'not.a.token', refresh_token: null, scope: 'a b' }
  expect(await refreshTokens(source(() => json(answer)).made, OLD)).toMatchObject({
    ok: true,
    value: { tokens: { refresh: OLD }, scopes: ['a', 'b'] },
  })
})

test('a scope that repeats a token is none: scopes are shown', async () => {
  const [access_token, refresh_token] = ['access-0123456789', 'refresh-0123456789']
  const scope = `notes:read ${access_token} x${refresh_token}y`
  const issued = await refreshTokens(
    source(() => json({ ...GOOD, access_token, refresh_token, scope })).made,
    OLD,
  )
  expect(issued).toMatchObject({ ok: true, value: { scopes: ['notes:read'] } })
})

test.each([
  ['client_secret_basic', `Basic ${btoa('a-client%3A1:s+e-c')}`, undefined],
  ['client_secret_post', undefined, 's e-c'],
  ['none', undefined, undefined],
] as const)('%s', async (method, header, inBody) => {
  const { made, sent } = source(() => json(GOOD), method)
  expect((await refreshTokens(made, OLD)).ok).toBe(true)
  expect(sent[0]?.headers['authorization']).toBe(header)
  expect(new URLSearchParams(sent[0]?.body).get('client_secret') ?? undefined).toBe(inBody)
})

// oxfmt-ignore
test.each<readonly [string, () => Response, { final: boolean; says: RegExp }]>([
  ['a page for people', () => new Response('<html>', { headers: { 'content-type': 'text/html' } }), { final: false, says: /cannot be used/ }],
  ['an error with status 200', () => json({ error: 'invalid_grant' }), { final: true, says: /\(invalid_grant\)$/ }],
  ['an error with status 401 and a challenge', () => new Response('{"error":"invalid_client"}', { status: 401, headers: { 'www-authenticate': 'Basic realm="show_me"' } }), { final: true, says: /\(invalid_client\)$/ }],
  ['a list', () => json([GOOD]), { final: false, says: /cannot be used/ }],
  ['nothing', () => new Response(''), { final: false, says: /cannot be used/ }],
  ['no token', () => json({ token_type: 'Bearer' }), { final: false, says: /cannot be used/ }],
  ['an empty token', () => json({ ...GOOD, access_token: '' }), { final: false, says: /cannot be used/ }],
  ['a token that is no text', () => json({ ...GOOD, access_token: { a: 1 } }), { final: false, says: /cannot be used/ }],
  ['a token of two lines', () => json({ ...GOOD, access_token: 'a\r\nset-cookie: show_me' }), { final: false, says: /characters that no token has/ }],
  ['a token with a control character', () => json({ ...GOOD, access_token: 'a\u0000' }), { final: false, says: /characters that no token has/ }],
  ['a token beyond ASCII', () => json({ ...GOOD, access_token: 'tökén' }), { final: false, says: /characters that no token has/ }],
  ['a token of two words', () => json({ ...GOOD, access_token: 'a b' }), { final: false, says: /characters that no token has/ }],
  ['a token of 64 KiB', () => json({ ...GOOD, access_token: 'a'.repeat(65_536) }), { final: false, says: /too long/ }],
  ['a refresh token of two lines', () => json({ ...GOOD, refresh_token: 'a\nb' }), { final: false, says: /characters that no token has/ }],
  ['a token without a kind', () => json({ access_token: 'new' }), { final: false, says: /cannot be used/ }],
  ['another kind of token', () => json({ ...GOOD, token_type: 'mac' }), { final: false, says: /cannot be used/ }],
  ['a token bound to a key that is not there', () => json({ ...GOOD, token_type: 'DPoP' }), { final: false, says: /not Bearer/ }],
  ['too many requests', () => json({ error: 'show_me' }, 429), { final: false, says: /cannot be used/ }],
  ['a grant that has ended', () => json({ error: 'invalid_grant', error_description: 'show me' }, 400), { final: true, says: /\(invalid_grant\)$/ }],
  ['an error of its own', () => json({ error: 'show_me' }, 400), { final: true, says: /^(?!.*show_me)/ }],
  ['for now', () => json({ error: 'temporarily_unavailable' }, 503), { final: false, says: /refused|cannot be used/ }],
  ['away', () => new Response('', { status: 502 }), { final: false, says: /cannot be used/ }],
  ['a redirect', () => new Response('', { status: 302, headers: { location: 'https://evil.example' } }), { final: false, says: /cannot be used/ }],
  ['out of reach', () => { throw new Unreachable('it cannot be reached') }, { final: false, says: /cannot be reached/ }],
])('an answer that is no token: %s', async (_, answer, { final, says }) => {
  const issued = await refreshTokens(source(answer).made, OLD)
  expect(issued).toMatchObject({ ok: false, error: { final, message: expect.stringMatching(says) as string } })
})
