import { expect, test } from 'vitest'
import { SecretValue } from '../../lib/secret-value.ts'
import type { Fetcher, FetchInit } from './guarded-fetch.ts'
import { Unreachable } from './guarded-fetch.ts'
import { refreshTokens, type TokenSource } from './token-endpoint.ts'

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
  ['a page for people', () => new Response('<html>', { headers: { 'content-type': 'text/html' } }), { final: true, says: /cannot be used/ }],
  ['an error with status 200', () => json({ error: 'invalid_grant' }), { final: true, says: /cannot be used/ }],
  ['no token', () => json({ token_type: 'Bearer' }), { final: true, says: /cannot be used/ }],
  ['an empty token', () => json({ ...GOOD, access_token: '' }), { final: true, says: /cannot be used/ }],
  ['another kind of token', () => json({ ...GOOD, token_type: 'mac' }), { final: true, says: /.*/ }],
  ['a token bound to a key that is not there', () => json({ ...GOOD, token_type: 'DPoP' }), { final: true, says: /.*/ }],
  ['an expiry that is none', () => json({ ...GOOD, expires_in: 'soon' }), { final: true, says: /cannot be used/ }],
  ['a grant that has ended', () => json({ error: 'invalid_grant', error_description: 'show me' }, 400), { final: true, says: /\(invalid_grant\)$/ }],
  ['an error of its own', () => json({ error: 'show_me' }, 400), { final: true, says: /^(?!.*show_me)/ }],
  ['for now', () => json({ error: 'temporarily_unavailable' }, 503), { final: false, says: /refused|cannot be used/ }],
  ['away', () => new Response('', { status: 502 }), { final: false, says: /cannot be used/ }],
  ['a redirect', () => new Response('', { status: 302, headers: { location: 'https://evil.example' } }), { final: true, says: /cannot be used/ }],
  ['out of reach', () => { throw new Unreachable('it cannot be reached') }, { final: false, says: /cannot be reached/ }],
])('an answer that is no token: %s', async (_, answer, { final, says }) => {
  const issued = await refreshTokens(source(answer).made, OLD)
  expect(issued).toMatchObject({ ok: false, error: { final, message: expect.stringMatching(says) as string } })
})
