import { generateKeyPairSync, hash, randomBytes, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { whoami } from '../e2e/credentials-harness.ts'
import { connectAll } from '../e2e/fleet-clients.ts'
import { until } from '../e2e/gateway-harness.ts'
import { signInAtProvider, startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'

/* What only the real provider claims: its server, its rotation, and the exchange of a company's tokens. */

type Json = Readonly<Record<string, unknown>>
const REDIRECT = 'http://127.0.0.1:7411/oauth/callback/x'
const CLIENT = { clientId: 'gateway', secret: 'of-the-gateway-in-tests', redirectUris: [REDIRECT] }
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'

let company: OidcProvider
let provider: ResourceProvider

beforeAll(async () => {
  company = await startOidcProvider({ accounts: { ada: {}, mallory: {} } })
  provider = await startResourceProvider({
    format: 'jwt',
    clients: [CLIENT],
    trusts: { issuer: company.issuer, clientId: company.clientId },
  })
})
afterAll(async () => {
  await provider?.close()
  await company?.close()
})

async function token(fields: Readonly<Record<string, string>>): Promise<Json & { readonly status: number }> {
  const basic = Buffer.from(`${CLIENT.clientId}:${CLIENT.secret}`).toString('base64')
  const answer = await fetch(`${provider.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams(fields),
  })
  return Object.assign((await answer.json()) as Json, { status: answer.status })
}

/** What the client gets for a person who agrees. */
async function authorize(scope = 'notes:read offline_access'): Promise<Json> {
  const verifier = randomBytes(32).toString('base64url')
  const url = new URL(`${provider.issuer}/auth`)
  url.search = new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT.clientId,
    redirect_uri: REDIRECT,
    scope,
    prompt: 'consent',
    code_challenge: hash('sha256', verifier, 'base64url'),
    code_challenge_method: 'S256',
    resource: provider.url,
  }).toString()
  const back = await signInAtProvider(url.href, 'ada')
  return token({
    grant_type: 'authorization_code',
    code: back.searchParams.get('code') ?? '',
    code_verifier: verifier,
    redirect_uri: REDIRECT,
    resource: provider.url,
  })
}

const accessOf = (issued: Json) => ({ url: provider.url, token: String(issued['access_token']) })

describe('its MCP server', () => {
  test('serves both eras, and says who the token says it is', async () => {
    for (const client of await connectAll(accessOf(await authorize()))) {
      const said = (await client.call('whoami', {})) as { content: [{ text: string }] }
      expect(JSON.parse(said.content[0].text)).toMatchObject({ subject: 'ada', client: 'gateway' })
      expect(await client.call('slow', { ms: 1 })).toMatchObject({ content: [{ text: 'done' }] })
      await client.close()
    }
  })

  test('wants more for one of its tools', async () => {
    const post = (issued: Json) =>
      fetch(provider.url, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${String(issued['access_token'])}`,
          'content-type': 'application/json',
        },
        body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write"}}',
      })
    const refused = await post(await authorize())
    expect(refused.status).toBe(403)
    expect(refused.headers.get('www-authenticate')).toContain('scope="notes:read notes:write"')
    expect((await post(await authorize('notes:read notes:write offline_access'))).status).not.toBe(403)
  })

  test('takes no token of another server, of another key, or that has run out', async () => {
    const other = await startResourceProvider({ format: 'jwt', clients: [CLIENT] })
    try {
      const good = accessOf(await authorize())
      expect(await whoami({ ...good, url: other.url })).toContain('invalid_token')
      const [header, payload] = good.token.split('.')
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const forged = sign('sha256', Buffer.from(`${header}.${payload}`), privateKey).toString('base64url')
      expect(await whoami({ ...good, token: `${header}.${payload}.${forged}` })).toContain('invalid_token')
      provider.setLife(1)
      const short = accessOf(await authorize())
      await until('it has run out', async () => JSON.stringify(await whoami(short)).includes('invalid_token'))
    } finally {
      provider.setLife(3600)
      await other.close()
    }
  })
})

test('within its grace a used refresh token is answered as the first time; a strict one takes all back', async () => {
  const refresh = (issued: Json) =>
    token({
      grant_type: 'refresh_token',
      refresh_token: String(issued['refresh_token']),
      resource: provider.url,
    })
  provider.rotate({ graceSeconds: 30 })
  const issued = await authorize()
  const first = await refresh(issued)
  expect(await refresh(issued)).toEqual(first)
  const next = await refresh(first)
  expect(next).toMatchObject({ status: 200 })
  provider.rotate('strict')
  expect(await refresh(first)).toMatchObject({ error: 'invalid_grant' })
  expect(await refresh(next)).toMatchObject({ error: 'invalid_grant' })
})

describe('the exchange of a sign-in for a token', () => {
  const inTime = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds
  const exchange = (claims: Json, fields: Record<string, string> = {}) =>
    token({
      grant_type: EXCHANGE,
      subject_token: company.sign({ iss: company.issuer, aud: company.clientId, exp: inTime(60), ...claims }),
      subject_token_type: ID_TOKEN,
      resource: provider.url,
      scope: 'notes:read',
      ...fields,
    })

  test('gives one for the same person', async () => {
    const issued = await exchange({ sub: 'ada' })
    expect(issued).toMatchObject({ status: 200, token_type: 'Bearer', expires_in: 3600 })
    expect(await whoami(accessOf(issued))).toMatchObject({ subject: 'ada', scopes: ['notes:read'] })
    expect(provider.secrets).toContain(issued['access_token'])
  })

  // oxfmt-ignore
  test.each([
    ['for another client',    { sub: 'ada', aud: 'another' }, {}],
    ['of another issuer',     { sub: 'ada', iss: 'https://evil.example' }, {}],
    ['that has run out',      { sub: 'ada', exp: 1 }, {}],
    ['of somebody unknown',   { sub: 'mallory' }, {}],
    ['of an unknown kind',    { sub: 'ada' }, { subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }],
    ['for another resource',  { sub: 'ada' }, { resource: 'http://127.0.0.1:1/mcp' }],
  ])('takes no token %s', async (_what, claims, fields) => {
    expect(await exchange(claims, fields)).toMatchObject({ status: 400 })
  })
})
