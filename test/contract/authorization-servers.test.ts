import { hash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAuthorizationServer } from '../fixtures/authorization-server.ts'
import { signInAtProvider } from '../fixtures/oidc-provider.ts'
import { startResourceProvider } from '../fixtures/resource-provider.ts'
import { startUpstream } from '../fixtures/upstream.ts'
import { modern } from '../e2e/system-harness.ts'

/* What the test providers claim, each of them: a test that passes with one would pass with the other. */

interface Provider {
  readonly issuer: string
  readonly url: string
  readonly secrets: readonly string[]
  count(what: string): number
  expire(): void
  forget(): void
  demand(scope: string): void
  close(): Promise<void>
}

type Json = Readonly<Record<string, unknown>>
const REDIRECT = 'http://127.0.0.1:7411/oauth/callback/x'

async function startSmall(): Promise<Provider> {
  const upstream = await startUpstream({ style: 'modern' })
  const server = await startAuthorizationServer({ behind: upstream.url })
  const close = async (): Promise<void> => {
    await server.close()
    await upstream.close()
  }
  return Object.assign(Object.create(server) as typeof server, { close })
}

describe.each([
  ['of our own', startSmall],
  ['oidc-provider, opaque tokens', () => startResourceProvider({ format: 'opaque' })],
  ['oidc-provider, JWTs', () => startResourceProvider({ format: 'jwt' })],
])('the authorization server %s', (_what, start: () => Promise<Provider>) => {
  let provider: Provider
  let metadata: Json
  beforeAll(async () => {
    provider = await start()
    metadata = await json(`${provider.issuer}/.well-known/oauth-authorization-server`)
  })
  afterAll(() => provider?.close())

  const json = async (url: string, init?: RequestInit): Promise<Json> =>
    (await (await fetch(url, init)).json()) as Json

  async function ask(token?: string): Promise<{ readonly status: number; readonly challenge: string }> {
    const request = modern('tools/list')
    const answer = await fetch(provider.url, {
      ...(request as { body: string }),
      method: 'POST',
      headers: { ...request.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    })
    await answer.arrayBuffer()
    return { status: answer.status, challenge: answer.headers.get('www-authenticate') ?? '' }
  }

  interface Client {
    readonly id: string
    readonly secret: string
  }

  async function register(): Promise<Client> {
    const answer = await json(String(metadata['registration_endpoint']), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        redirect_uris: [REDIRECT],
        application_type: 'native',
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      }),
    })
    return { id: String(answer['client_id']), secret: String(answer['client_secret']) }
  }

  async function authorize(client: Client): Promise<{ readonly code: string; readonly verifier: string }> {
    const verifier = randomBytes(32).toString('base64url')
    const url = new URL(String(metadata['authorization_endpoint']))
    url.search = new URLSearchParams({
      response_type: 'code',
      client_id: client.id,
      redirect_uri: REDIRECT,
      scope: 'notes:read offline_access',
      prompt: 'consent',
      state: 'state',
      code_challenge: hash('sha256', verifier, 'base64url'),
      code_challenge_method: 'S256',
      resource: provider.url,
    }).toString()
    const back = await signInAtProvider(url.href, 'ada')
    expect(back.searchParams.get('iss')).toBe(provider.issuer)
    expect(back.searchParams.get('state')).toBe('state')
    return { code: back.searchParams.get('code') ?? '', verifier }
  }

  async function token(client: Client, fields: Record<string, string>, where = 'token_endpoint') {
    const basic = Buffer.from(`${client.id}:${client.secret}`).toString('base64')
    const answer = await fetch(String(metadata[where]), {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams(fields),
    })
    const text = await answer.text()
    return { status: answer.status, body: text.startsWith('{') ? (JSON.parse(text) as Json) : {} }
  }

  const codeFields = ({ code, verifier }: { code: string; verifier: string }): Record<string, string> => ({
    grant_type: 'authorization_code',
    redirect_uri: REDIRECT,
    code,
    code_verifier: verifier,
    resource: provider.url,
  })
  const refreshFields = (refresh: string): Record<string, string> => ({
    grant_type: 'refresh_token',
    refresh_token: refresh,
    resource: provider.url,
  })

  async function connect(): Promise<{ client: Client; access: string; refresh: string }> {
    const client = await register()
    const { status, body } = await token(client, codeFields(await authorize(client)))
    expect({ status, body }).toMatchObject({ status: 200, body: { token_type: 'Bearer' } })
    return { client, access: String(body['access_token']), refresh: String(body['refresh_token']) }
  }

  test('says who it is, and the server says that it is the one', async () => {
    expect(metadata).toMatchObject({
      issuer: provider.issuer,
      authorization_response_iss_parameter_supported: true,
    })
    expect(metadata['code_challenge_methods_supported']).toContain('S256')
    const { status, challenge } = await ask()
    const named = /resource_metadata="([^"]+)"/.exec(challenge)?.[1]
    expect([status, challenge]).toEqual([401, expect.stringContaining('scope="notes:read"')])
    expect(await json(named ?? '')).toMatchObject({
      resource: provider.url,
      authorization_servers: [provider.issuer],
      scopes_supported: ['notes:read'],
    })
  })

  test('a code is good once, with its verifier, for its resource', async () => {
    const client = await register()
    const wrong = { ...codeFields(await authorize(client)), code_verifier: 'x'.repeat(43) }
    expect((await token(client, wrong)).status).toBe(400)
    const elsewhere = { ...codeFields(await authorize(client)), resource: 'http://127.0.0.1:1/mcp' }
    expect((await token(client, elsewhere)).status).toBe(400)
    const good = codeFields(await authorize(client))
    const { resource, ...unbound } = codeFields(await authorize(client))
    expect((await token(client, unbound)).status, `without ${resource}`).toBe(400)
    expect((await token(client, good)).status).toBe(200)
    expect((await token(client, good)).status).toBe(400)
  })

  test('a refresh token is good once; what ran out, and what was forgotten, is refused', async () => {
    const { client, access, refresh } = await connect()
    expect((await ask(access)).status).toBe(200)
    provider.expire()
    expect((await ask(access)).status).toBe(401)
    const before = provider.count('refresh')
    const { body } = await token(client, refreshFields(refresh))
    expect((await ask(String(body['access_token']))).status).toBe(200)
    expect((await token(client, refreshFields(refresh))).body).toMatchObject({ error: 'invalid_grant' })
    expect(provider.count('refresh')).toBe(before + 2)
    const other = await connect()
    provider.forget()
    expect((await token(other.client, refreshFields(other.refresh))).body).toMatchObject({
      error: 'invalid_grant',
    })
  })

  test('what is revoked is refused', async () => {
    const { client, access, refresh } = await connect()
    expect((await token(client, { token: refresh }, 'revocation_endpoint')).status).toBe(200)
    // Of a JWT the provider says that it cannot be taken back; its resource server is told all the same.
    expect([200, 400]).toContain((await token(client, { token: access }, 'revocation_endpoint')).status)
    expect((await ask(access)).status).toBe(401)
    expect((await token(client, refreshFields(refresh))).status).toBe(400)
  })

  test('every secret that it gives out is in its list, and each endpoint is counted', async () => {
    const { client, access, refresh } = await connect()
    for (const one of [client.secret, access, refresh]) expect(provider.secrets).toContain(one)
    for (const what of ['register', 'authorize', 'code', 'refresh', 'revoke', 'refused'])
      expect(provider.count(what), what).toBeGreaterThan(0)
  })

  test('a scope that is demanded later is named in the challenge', async () => {
    const { access } = await connect()
    provider.demand('notes:more')
    const { status, challenge } = await ask(access)
    expect([status, challenge]).toEqual([403, expect.stringContaining('error="insufficient_scope"')])
    expect(/scope="([^"]+)"/.exec(challenge.replace(/error="[^"]*"/, ''))?.[1]?.split(' ')).toContain(
      'notes:more',
    )
  })
})
