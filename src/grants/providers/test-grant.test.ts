import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { SecretValue } from '../../lib/secret-value.ts'
import { createFetcher } from '../../oauth/client/guarded-fetch.ts'
import { bearer, defineProvider, header, secretField, validate, type Provider } from './define-provider.ts'
import { canRefresh, refreshValues } from './refresh-values.ts'
import { testGrant } from './test-grant.ts'

/** A provider on loopback, and what it has been asked. */
let server: Server
let base = ''
let status = 200
let body = '{}'
let asked: { readonly line: string; readonly headers: IncomingMessage['headers']; readonly body: string }[] =
  []
const sender = createFetcher({ loopback: true, hosts: new Set() })

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      asked.push({ line: `${request.method} ${request.url}`, headers: request.headers, body: text })
      response.writeHead(status, { location: '/elsewhere' }).end(body)
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
  asked = []
  status = 200
  body = '{}'
})
afterAll(async () => {
  await sender.close()
  server.close()
})

const SECRET = 'canary-7f3a-secret'
const shown = {}
const tools = { env: {} }
const provider = (...validations: Provider['validations'][number][]): Provider =>
  defineProvider({
    id: 'acme',
    title: 'Acme',
    description: 'd',
    fields: [secretField('token', 'Token')],
    validations,
  })

const run = (given: Provider, allows = (): boolean => true, fields: readonly string[] = ['token']) =>
  testGrant(
    {
      provider: given,
      qualifier: 'h.example',
      values: { shown, secret: Object.fromEntries(fields.map((field) => [field, new SecretValue(SECRET)])) },
      allows,
    },
    { sender, tools },
  )

describe('a test of a grant', () => {
  test.each([
    [200, 'valid', 'Acme accepts it'],
    [401, 'invalid', 'Acme refuses it: give another one'],
    [403, 'unknown', 'Acme answers with status 403, which tells nothing'],
    [302, 'unknown', 'Acme answers with status 302, which tells nothing'],
    [500, 'unknown', 'Acme answers with status 500, which tells nothing'],
  ])('status %i means %s', async (answer, state, message) => {
    status = answer
    const call = validate({ field: 'token', url: `${base}/me`, place: bearer })
    expect(await run(provider(call))).toEqual({ state, message })
    expect(asked).toHaveLength(1)
    expect(asked[0]?.headers.authorization).toBe(`Bearer ${SECRET}`)
  })

  test('sends what the provider wants: method, headers, body, the host of the grant, a segment', async () => {
    const post = validate({
      field: 'token',
      url: `${base}/{host}/x`,
      method: 'POST',
      place: header('x-key'),
      headers: { 'content-type': 'application/json' },
      body: '{"a":1}',
    })
    expect(await run(provider(post))).toMatchObject({ state: 'valid' })
    const segment = validate({
      field: 'token',
      url: `${base}/{segment}/me`,
      place: { in: 'segment', prefix: 'bot' },
    })
    expect(await run(provider(segment))).toMatchObject({ state: 'valid' })
    expect(asked.map(({ line, body: text }) => [line, text])).toEqual([
      ['POST /h.example/x', '{"a":1}'],
      [`GET /bot${SECRET}/me`, ''],
    ])
    expect(asked[0]?.headers).toMatchObject({ 'x-key': SECRET, 'content-type': 'application/json' })
  })

  test('asks nobody that the grant is not bound to', async () => {
    const call = validate({ field: 'token', url: `${base}/me`, place: bearer })
    const verdict = await run(provider(call), () => false)
    expect(verdict).toMatchObject({
      state: 'unknown',
      message: expect.stringContaining('not bound to') as string,
    })
    expect(asked).toEqual([])
  })

  test('says nothing of what it cannot ask', async () => {
    expect(await run(provider())).toMatchObject({
      state: 'unknown',
      message: expect.stringContaining('no call') as string,
    })
    const other = validate({ field: 'other', url: `${base}/me`, place: bearer })
    expect(await run(provider(other))).toMatchObject({ state: 'unknown' })
    const dead = validate({
      field: 'token',
      url: 'http://127.0.0.1:1/{segment}',
      place: { in: 'segment', prefix: '' },
    })
    const verdict = await run(provider(dead))
    expect(verdict).toEqual({ state: 'unknown', message: 'Acme cannot be reached; try again later' })
    expect(asked).toEqual([])
  })

  test('of several calls one that works is enough', async () => {
    status = 401
    const refused = validate({ field: 'token', url: `${base}/a`, place: bearer })
    const taken = validate({ field: 'token', url: `${base}/b`, place: bearer, valid: [401], invalid: [] })
    expect(await run(provider(refused, taken))).toMatchObject({ state: 'valid' })
    expect(await run(provider(refused, refused))).toMatchObject({ state: 'invalid' })
  })
})

describe('a refresh of a login', () => {
  const refreshOf = (encoding: 'json' | 'form') => ({
    tokenEndpoint: `${base}/token`,
    encoding,
    parameters: {
      grant_type: 'refresh_token',
      refresh_token: '{refreshToken}',
      client_id: 'fixed',
      left_out: '{absent}',
    },
    needs: ['refreshToken'],
    everySeconds: 60,
  })
  const values = { shown, secret: { token: new SecretValue('old'), refreshToken: new SecretValue(SECRET) } }
  const refresh = (encoding: 'json' | 'form' = 'json') => refreshValues(refreshOf(encoding), values, sender)

  test('is possible with all that it needs', () => {
    expect(canRefresh(refreshOf('json'), values)).toBe(true)
    expect(canRefresh(refreshOf('json'), { shown, secret: {} })).toBe(false)
  })

  test.each([
    ['json', `{"grant_type":"refresh_token","refresh_token":"${SECRET}","client_id":"fixed"}`],
    ['form', `grant_type=refresh_token&refresh_token=${SECRET}&client_id=fixed`],
  ] as const)('is asked for as %s', async (encoding, sent) => {
    body = '{"access_token":"new","refresh_token":"rotated","expires_in":"3600","token_type":"bearer"}'
    const refreshed = await refresh(encoding)
    expect(asked.map(({ line, body: text }) => [line, text])).toEqual([['POST /token', sent]])
    expect(refreshed).toMatchObject({ outcome: 'renewed', expiresInSeconds: 3600 })
    const { secret } = refreshed.outcome === 'renewed' ? refreshed.values : values
    expect([secret.token?.reveal(), secret.refreshToken?.reveal()]).toEqual(['new', 'rotated'])
  })

  test.each([
    ['{"access_token":"new"}', undefined],
    ['{"access_token":"new","expires_in":0}', undefined],
    ['{"access_token":"new","expires_in":-1}', undefined],
    ['{"access_token":"new","expires_in":"soon"}', undefined],
    ['{"access_token":"new","expires_in":1e12}', 366 * 24 * 60 * 60],
  ])(
    'keeps the old refresh token where none comes, and believes no absurd life: %s',
    async (answer, life) => {
      body = answer
      const refreshed = await refresh()
      expect(refreshed).toMatchObject({ outcome: 'renewed', expiresInSeconds: life })
      const { secret } = refreshed.outcome === 'renewed' ? refreshed.values : values
      expect(secret.refreshToken?.reveal()).toBe(SECRET)
    },
  )

  test.each([
    [400, '{"error":"invalid_grant"}', 'refused'],
    [400, '{"error":{"code":190}}', 'refused'],
    [200, '{"error":"invalid_grant","access_token":"x"}', 'refused'],
    [400, '{"error":"invalid_client"}', 'failed'],
    [429, '{}', 'failed'],
    [200, '{}', 'failed'],
    [200, '{"access_token":""}', 'failed'],
    [200, '{"access_token":"a\\r\\nb"}', 'failed'],
    [200, '{"access_token":7}', 'failed'],
    [200, '{"access_token":"x","token_type":"mac"}', 'failed'],
    [200, '<html>', 'failed'],
    [200, 'null', 'failed'],
    [302, '{"access_token":"x"}', 'failed'],
  ])('%i %s is %s', async (answer, text, outcome) => {
    status = answer
    body = text
    expect(await refresh()).toEqual({ outcome })
    expect(asked).toHaveLength(1)
  })
})
