import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { fuzz, FUZZ_TIMEOUT_MS, fuzzTurns, jsonText } from '../../../test/fixtures/fuzz.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { readChallenge, readScopes } from './challenge.ts'
import { readPastedAnswer } from './pasted-answer.ts'
import { refreshTokens } from './token-endpoint.ts'

const NAMES = ['resource_metadata', 'scope', 'error', 'realm', 'Bearer'] as const
const parameter = fc.record({
  name: fc.constantFrom(...NAMES),
  value: fc.oneof(
    fc.string({ unit: fc.constantFrom('a', 'b', ' ', '=', ',', '"', '\\'), maxLength: 8 }),
    fc.webUrl(),
  ),
  space: fc.constantFrom('', ' '),
})
const one = fc.record({
  scheme: fc.constantFrom('Bearer', 'bearer', 'BEARER', 'Basic', 'DPoP'),
  parameters: fc.array(parameter, { maxLength: 4 }),
})
const other = fc.constantFrom('Negotiate YWJj==', 'Negotiate', 'NTLM TlRMTQ')

type One = (typeof one)['generate'] extends (...args: never) => { readonly value: infer T } ? T : never

const write = ({ scheme, parameters }: One): string => {
  const written = parameters.map(
    ({ name, value, space }) => `${name}${space}=${space}"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`,
  )
  return `${scheme} ${written.join(', ')}`.trim()
}

test(
  'what a server writes is what is read, among whatever else it writes',
  { timeout: FUZZ_TIMEOUT_MS },
  () => {
    fuzz(fc.array(fc.oneof(one, other), { minLength: 1, maxLength: 4 }), (challenges) => {
      const header = challenges.map((each) => (typeof each === 'string' ? each : write(each))).join(', ')
      const bearer = challenges.flatMap((each) =>
        typeof each !== 'string' && each.scheme.toLowerCase() === 'bearer' ? each.parameters : [],
      )
      const named = (wanted: string): readonly string[] =>
        bearer.filter(({ name }) => name === wanted).map(({ value }) => value)
      expect(readChallenge(header)).toEqual({
        resourceMetadata: [...new Set(named('resource_metadata'))].slice(0, 4),
        scopes: readScopes(named('scope')[0]),
        error: named('error')[0],
      })
    })
  },
)

test('whatever else it writes is read without harm', { timeout: FUZZ_TIMEOUT_MS }, () => {
  const piece = fc.constantFrom(
    'Bearer',
    ' ',
    ',',
    '=',
    '"',
    '\\',
    'scope',
    'resource_metadata',
    'x',
    '\t',
    'é',
  )
  fuzz(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: piece, maxLength: 60 })), (header) => {
    const { resourceMetadata, scopes } = readChallenge(header)
    expect(resourceMetadata.length).toBeLessThanOrEqual(4)
    expect(readScopes(scopes.join(' '))).toEqual(scopes)
  })
})

test(
  'what a token endpoint answers is a token that a header can hold, or a sentence',
  { timeout: FUZZ_TIMEOUT_MS },
  async () => {
    const fields = ['access_token', 'token_type', 'expires_in', 'refresh_token', 'scope', 'error', 'id_token']
    const field = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom<unknown>(
          'Bearer',
          'bearer',
          'a-token',
          'a b',
          'a\r\nx: y',
          '\u0000',
          '60',
          60,
        ),
      },
      { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) },
    )
    const likely = fc
      .record(Object.fromEntries(fields.map((name) => [name, field])), { requiredKeys: [] })
      .map((body) => JSON.stringify(body))
    const answer = fc.record({
      body: fc.oneof(likely, jsonText(fields, 2), fc.string({ unit: 'binary' })),
      status: fc.constantFrom(200, 200, 200, 201, 302, 400, 401, 429, 500),
      challenge: fc.constantFrom('', 'Basic realm="x"', 'Bearer error="x"'),
    })
    await fuzzTurns(answer, async ({ body, status, challenge }) => {
      const headers = { 'content-type': 'application/json', 'www-authenticate': challenge }
      const issued = await refreshTokens(
        {
          authorizationServer: {
            issuer: 'https://as.example',
            token_endpoint: 'https://as.example/token',
            scopes_supported: [],
            authorization_response_iss_parameter_supported: false,
            client_id_metadata_document_supported: false,
          },
          client: {
            clientId: 'us',
            secret: undefined,
            method: 'none',
            redirectUri: 'http://127.0.0.1/',
            from: 'user',
          },
          resource: 'https://mcp.example/',
          fetcher: {
            send: () => Promise.resolve(new Response(body, { status, headers })),
            close: () => Promise.resolve(),
          },
          nowMs: () => 0,
        },
        new SecretValue('old'),
      )
      if (!issued.ok) {
        expect(issued.error.message).toMatch(/^the (?:authorization server refused|answer of)/)
        return
      }
      const { access, refresh, expiresAtMs } = issued.value.tokens
      for (const token of [access, refresh]) expect(token?.reveal()).toMatch(/^[\x21-\x7e]+$/)
      expect(expiresAtMs ?? 1000).toBeGreaterThanOrEqual(1000)
      expect(new Date(expiresAtMs ?? 0).getTime()).not.toBeNaN()
    })
  },
)

test('what somebody pastes is the answer at our own address, or none', { timeout: FUZZ_TIMEOUT_MS }, () => {
  const redirect = 'http://127.0.0.1:7411/oauth/callback/notes'
  const text = fc.oneof(
    fc.webUrl({ withQueryParameters: true }),
    fc.string({ unit: 'binary' }),
    fc.string().map((query) => `${redirect}?${query}&state=s&code=c`),
  )
  fuzz(text, (pasted) => {
    const answer = readPastedAnswer(pasted, redirect)
    if (answer.ok) expect(answer.value.get('state')).not.toBeNull()
    else expect(answer.error).toContain(redirect)
  })
})
