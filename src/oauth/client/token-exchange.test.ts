import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { answerOf, startStranger, type Answer, type Stranger } from '../../../test/fixtures/stranger.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import { createFetcher, type Fetcher } from './guarded-fetch.ts'
import { exchangesTokens, exchangeToken, type Subject } from './token-exchange.ts'
import type { TokenSource } from './token-source.ts'

let stranger: Stranger
let fetcher: Fetcher
beforeAll(async () => {
  stranger = await startStranger()
  fetcher = createFetcher({ loopback: true, hosts: new Set() })
})
afterEach(() => stranger.answer({}))
afterAll(async () => {
  await fetcher.close()
  await stranger.close()
})

const server = (): AuthorizationServer => ({
  issuer: stranger.origin,
  token_endpoint: `${stranger.origin}/token`,
  scopes_supported: [],
  authorization_response_iss_parameter_supported: false,
  client_id_metadata_document_supported: false,
})
const source = (): TokenSource => ({
  authorizationServer: server(),
  client: {
    clientId: 'us',
    secret: new SecretValue('secret'),
    method: 'client_secret_post',
    redirectUri: 'http://127.0.0.1/',
    from: 'user',
  },
  resource: stranger.url,
  fetcher,
  nowMs: () => 1000,
})
const SUBJECT: Subject = {
  token: new SecretValue('canary-of-the-sign-in'),
  type: 'id_token',
  audience: 'notes',
  scopes: ['a', 'b'],
}
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token'
const GOOD = { access_token: 'exchanged', token_type: 'Bearer', issued_token_type: ACCESS, expires_in: 60 }
const withGood = (more: object): object => Object.assign({}, GOOD, more)

test('a sign-in for a token of the upstream, and what was asked for it', async () => {
  stranger.answer({ '/token': withGood({ refresh_token: 'not-kept', scope: 'a' }) })
  const issued = await exchangeToken(source(), SUBJECT)
  if (!issued.ok) throw new Error(issued.error.message)
  expect(issued.value.tokens).toMatchObject({ refresh: undefined, expiresAtMs: 61_000 })
  expect(issued.value.tokens.access.reveal()).toBe('exchanged')
  expect(issued.value.scopes).toEqual(['a'])
  expect(Object.fromEntries(stranger.last('/token'))).toEqual({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'canary-of-the-sign-in',
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    requested_token_type: ACCESS,
    resource: stranger.url,
    audience: 'notes',
    scope: 'a b',
    client_id: 'us',
    client_secret: 'secret',
  })
})

test('an audience and scopes that nobody named are not sent', async () => {
  stranger.answer({ '/token': withGood({ issued_token_type: 'urn:ietf:params:oauth:token-type:jwt' }) })
  expect((await exchangeToken(source(), { ...SUBJECT, audience: undefined, scopes: [] })).ok).toBe(true)
  expect([...stranger.last('/token').keys()]).not.toContain('audience')
  expect([...stranger.last('/token').keys()]).not.toContain('scope')
})

// oxfmt-ignore
test.each<readonly [string, Answer, RegExp, boolean]>([
  ['no type of what was issued', withGood({ issued_token_type: undefined }), /does not say that what it holds is an access token/, false],
  ['a refresh token', withGood({ issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }), /is an access token/, false],
  ['an id_token', withGood({ issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' }), /is an access token/, false],
  ['an assertion that is no bearer token', withGood({ token_type: 'N_A' }), /cannot be used/, false],
  ['a token of two lines', withGood({ access_token: 'canary\r\nx: y' }), /characters that no token has/, false],
  ['an error', answerOf(400, '{"error":"invalid_target","error_description":"canary"}'), /\(invalid_target\)$/, true],
  ['an error with the status 200', { error: 'invalid_request' }, /\(invalid_request\)$/, true],
  ['a page', answerOf(200, '<html>canary'), /cannot be used/, false],
  ['trouble', answerOf(500, 'canary'), /cannot be used/, false],
])('no token: %s', async (_, answer, expected, final) => {
  stranger.answer({ '/token': answer })
  const issued = await exchangeToken(source(), SUBJECT)
  expect(issued).toMatchObject({ ok: false, error: { final, message: expect.stringMatching(expected) as string } })
  expect(JSON.stringify(issued)).not.toContain('canary')
})

test('only where the authorization server says that it does', () => {
  const supporting = (grant_types_supported: readonly string[] | undefined): boolean =>
    exchangesTokens({ ...server(), grant_types_supported })
  expect(supporting(undefined)).toBe(false)
  expect(supporting(['authorization_code'])).toBe(false)
  expect(supporting(['urn:ietf:params:oauth:grant-type:token-exchange'])).toBe(true)
})
