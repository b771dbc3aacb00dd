import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { checkCallback, requestAuthorization } from './authorization.ts'
import type { AuthorizationServer } from './authorization-server.ts'

const server: AuthorizationServer = {
  issuer: 'https://as.example',
  authorization_endpoint: 'https://as.example/authorize?tenant=1',
  token_endpoint: 'https://as.example/token',
  scopes_supported: [],
  authorization_response_iss_parameter_supported: false,
  client_id_metadata_document_supported: false,
}
const client = { clientId: 'c', redirectUri: 'http://127.0.0.1:7411/oauth/callback/x' }

test('the request has all that protects its answer, and nothing secret', () => {
  const leg = requestAuthorization(server, client, {
    scopes: ['a', 'offline_access'],
    resource: 'https://r/mcp',
  })
  if (!leg.ok) throw new Error(leg.error)
  const { state, verifier, url } = leg.value
  const asked = Object.fromEntries(new URL(url).searchParams)
  expect(asked).toEqual({
    tenant: '1',
    response_type: 'code',
    client_id: 'c',
    redirect_uri: client.redirectUri,
    state,
    code_challenge: createHash('sha256').update(verifier.reveal()).digest('base64url'),
    code_challenge_method: 'S256',
    resource: 'https://r/mcp',
    scope: 'a offline_access',
    prompt: 'consent',
  })
  expect(Buffer.from(state, 'base64url')).toHaveLength(32)
  expect(url).not.toContain(verifier.reveal())
})

test.each(['javascript:alert(1)', 'http://as.example/authorize', 'data:text/html,x', 'nothing'])(
  'no browser is sent to %s',
  (authorization_endpoint) => {
    const wanted = { scopes: [], resource: 'r' }
    expect(requestAuthorization({ ...server, authorization_endpoint }, client, wanted).ok).toBe(false)
  },
)

// oxfmt-ignore
test.each([
  ['neither advertised nor sent', false, 'code=1', undefined],
  ['sent and equal', false, 'code=1&iss=https://as.example', undefined],
  ['advertised and equal', true, 'code=1&iss=https://as.example', undefined],
  ['advertised and missing', true, 'code=1', /does not say which/],
  ['sent and another', false, 'code=1&iss=https://evil.example', /another authorization server/],
  ['equal but for a slash', true, 'code=1&iss=https://as.example/', /another authorization server/],
  ['empty', false, 'code=1&iss=', /another authorization server/],
  ['another, with an error', false, 'error=show_me&iss=https://evil.example', /^(?!.*show_me)/],
  ['an error that is known', false, 'error=invalid_scope', /invalid_scope/],
  ['an error that is not', false, 'error=show_me', /^(?!.*show_me)/],
  ['denied', false, 'error=access_denied&error_description=show_me', /denied/],
  ['no code', false, '', /no code/],
  ['two codes', false, 'code=1&code=2', /repeats/],
])('iss and error: %s', (_, advertised, query, problem) => {
  const checked = checkCallback(
    { ...server, authorization_response_iss_parameter_supported: advertised },
    new URLSearchParams(query),
  )
  if (problem === undefined) expect(checked.ok).toBe(true)
  else expect(checked).toMatchObject({ ok: false, error: expect.stringMatching(problem) as string })
})
