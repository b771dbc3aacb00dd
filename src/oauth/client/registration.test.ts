import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { answerOf, startStranger, type Answer, type Stranger } from '../../../test/fixtures/stranger.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import type { AuthorizationServer, OAuthClient } from './authorization-server.ts'
import { createFetcher, type Fetcher } from './guarded-fetch.ts'
import { identifyClient, type ClientSources } from './registration.ts'

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

const NOW = Date.parse('2026-11-21T12:00:00Z')
const server = (more: Partial<AuthorizationServer> = {}): AuthorizationServer => ({
  issuer: stranger.origin,
  token_endpoint: `${stranger.origin}/token`,
  registration_endpoint: `${stranger.origin}/register`,
  scopes_supported: [],
  token_endpoint_auth_methods_supported: ['client_secret_basic'],
  authorization_response_iss_parameter_supported: false,
  client_id_metadata_document_supported: true,
  ...more,
})
const sources = (more: Partial<ClientSources> = {}): ClientSources => ({
  given: undefined,
  document: undefined,
  remembered: undefined,
  redirectUri: 'http://127.0.0.1:7411/oauth/callback/notes',
  scopes: [],
  nowMs: NOW,
  ...more,
})
const REMEMBERED: OAuthClient = {
  clientId: 'remembered',
  secret: new SecretValue('s'),
  method: 'client_secret_basic',
  redirectUri: 'http://127.0.0.1:7411/oauth/callback/notes',
  from: 'registration',
}

async function identified(
  more: Partial<ClientSources> = {},
  ofServer: Partial<AuthorizationServer> = {},
): Promise<OAuthClient> {
  const client = await identifyClient(server(ofServer), sources(more), fetcher)
  if (!client.ok) throw new Error(client.error)
  return client.value
}

test('what the user registered, a document, what is remembered, a registration: in this order', async () => {
  const given = { clientId: 'given', secret: undefined }
  const [document, remembered] = ['https://us.example/client', REMEMBERED]
  expect(await identified({ given, document, remembered })).toMatchObject({ clientId: 'given', from: 'user' })
  expect(await identified({ document, remembered })).toMatchObject({ clientId: document, method: 'none' })
  const without = { client_id_metadata_document_supported: false }
  expect(await identified({ document, remembered }, without)).toMatchObject({ clientId: 'remembered' })
  stranger.answer({ '/register': answerOf(201, '{"client_id":"new","client_secret":"x"}') })
  expect(await identified({ document }, without)).toMatchObject({ clientId: 'new', from: 'registration' })
  const none = await identifyClient(server({ registration_endpoint: undefined }), sources(), fetcher)
  expect(none).toMatchObject({ ok: false, error: expect.stringContaining('--client-id') as string })
})

test('how a secret is sent: as the user says, else as the metadata has it', async () => {
  const given = { clientId: 'given', secret: new SecretValue('s') }
  const post = { token_endpoint_auth_methods_supported: ['client_secret_post'] }
  expect((await identified({ given })).method).toBe('client_secret_basic')
  expect((await identified({ given }, post)).method).toBe('client_secret_post')
  expect((await identified({ given: { ...given, method: 'client_secret_basic' } }, post)).method).toBe(
    'client_secret_basic',
  )
})

test('what is sent, and a secret that does not end', async () => {
  const answer = { client_id: 'new', client_secret: 'x', client_secret_expires_at: 0 }
  stranger.answer({ '/register': answer })
  const client = await identified({ scopes: ['a', 'b'] })
  expect(client).toMatchObject({ clientId: 'new', method: 'client_secret_basic' })
  expect(client.secretExpiresAtMs).toBeUndefined()
  const sent = (): unknown =>
    JSON.parse(stranger.seen.findLast(({ path }) => path === '/register')?.body ?? '')
  expect(sent()).toEqual({
    client_name: 'Castellan',
    redirect_uris: ['http://127.0.0.1:7411/oauth/callback/notes'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
    application_type: 'native',
    scope: 'a b',
  })
  const device = { device_authorization_endpoint: `${stranger.origin}/device` }
  await identified({ redirectUri: 'https://us.example/oauth/callback/notes' }, device)
  expect(sent()).toMatchObject({
    application_type: 'web',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  })
})

test('a secret that ends: registered anew when it is over, or is while the user authorizes', async () => {
  const endsAt = Math.floor(NOW / 1000) + 3600
  stranger.answer({
    '/register': { client_id: 'new', client_secret: 'x', client_secret_expires_at: endsAt },
  })
  const remembered = await identified()
  expect(remembered.secretExpiresAtMs).toBe(endsAt * 1000)
  const before = stranger.count('/register')
  expect(await identified({ remembered })).toBe(remembered)
  expect(stranger.count('/register')).toBe(before)
  await identified({ remembered, nowMs: NOW + 3_000_000 })
  expect(stranger.count('/register')).toBe(before + 1)
  await identified({ remembered, redirectUri: 'http://127.0.0.1:7411/oauth/callback/other' })
  expect(stranger.count('/register')).toBe(before + 2)
})

// oxfmt-ignore
test.each<readonly [string, Answer, RegExp]>([
  ['a refusal', answerOf(400, '{"error":"invalid_redirect_uri","error_description":"canary"}'), /refused to register.*--client-id/],
  ['a redirect', answerOf(302, '', { location: 'https://canary.example/' }), /refused to register/],
  ['a page', answerOf(200, '<html>canary'), /cannot be used.*--client-id/],
  ['no id', { client_secret: 'canary' }, /cannot be used/],
  ['an id that is no text', { client_id: 7 }, /cannot be used/],
  ['an id of two lines', { client_id: 'canary\r\nx: y', client_secret: 's' }, /cannot be used/],
  ['an id without end', { client_id: 'canary'.repeat(1000), client_secret: 's' }, /cannot be used/],
  ['no secret', { client_id: 'canary' }, /gave none/],
  ['a secret of two lines', { client_id: 'canary', client_secret: 'canary\n' }, /gave none/],
  ['a way that is not known', { client_id: 'canary', token_endpoint_auth_method: 'tls_client_auth' }, /cannot be used/],
  ['silence', (response) => response.destroy(), /cannot be reached/],
])('no client: %s', async (_, answer, expected) => {
  stranger.answer({ '/register': answer })
  const client = await identifyClient(server(), sources(), fetcher)
  expect(client).toMatchObject({ ok: false, error: expect.stringMatching(expected) as string })
  expect(JSON.stringify(client)).not.toContain('canary')
})

test('a client that was registered for less than is asked for is registered again', async () => {
  stranger.answer({ '/register': { client_id: 'new', client_secret: 'x', scope: 'notes:read notes:write' } })
  const remembered: OAuthClient = { ...REMEMBERED, scopes: ['notes:read'] }
  const scopesOf = (scopes: readonly string[]) => identified({ remembered, scopes })
  expect(await scopesOf(['notes:read'])).toBe(remembered)
  expect(await scopesOf(['notes:read', 'notes:write'])).toMatchObject({
    clientId: 'new',
    scopes: ['notes:read', 'notes:write'],
  })
  // Who has not said for how much may be asked for anything.
  expect(await identified({ remembered: REMEMBERED, scopes: ['notes:write'] })).toBe(REMEMBERED)
})
