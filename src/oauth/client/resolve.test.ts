import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  answerOf,
  challenge,
  endless,
  startStranger,
  type Answer,
  type Answers,
  type Stranger,
} from '../../../test/fixtures/stranger.ts'
import { createFetcher, type Fetcher } from './guarded-fetch.ts'
import { resolve, type Resolved } from './resolve.ts'
import type { OAuthFlags, OAuthSettings } from './settings.ts'
import type { Result } from '../../lib/result.ts'

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

const ask = (
  flags: OAuthFlags = {},
  file?: OAuthSettings,
  preferred?: string,
): Promise<Result<Resolved, readonly string[]>> =>
  resolve({ serverUrl: stranger.url, flags, file, preferred }, fetcher)

async function found(flags: OAuthFlags = {}, file?: OAuthSettings, preferred?: string): Promise<Resolved> {
  const resolved = await ask(flags, file, preferred)
  if (!resolved.ok) throw new Error(resolved.error.join('; '))
  return resolved.value
}

async function problem(flags: OAuthFlags = {}, file?: OAuthSettings): Promise<string> {
  const resolved = await ask(flags, file)
  if (resolved.ok) throw new Error('it was taken')
  expect(resolved.error.join()).not.toContain('canary')
  expect(resolved.error.join()).not.toContain(stranger.origin)
  return resolved.error.join('; ')
}

const RESOURCE = '/.well-known/oauth-protected-resource'
const SERVER = '/.well-known/oauth-authorization-server'
const OPENID = '/.well-known/openid-configuration'
const described = (): object => ({ resource: stranger.url, authorization_servers: [stranger.origin] })
const metadata = (more: object): object => Object.assign({}, stranger.metadata, more)
const leadsTo =
  (location: string): Answer =>
  (response) =>
    response.writeHead(302, { location }).end()

test('what the server says of itself, and its authorization server of itself', async () => {
  const { resource, authorizationServer, from, client, scopes } = await found()
  expect(resource).toEqual({ identifier: stranger.url, scopes: [] })
  expect(authorizationServer).toMatchObject({
    issuer: stranger.origin,
    token_endpoint: `${stranger.origin}/token`,
    device_authorization_endpoint: `${stranger.origin}/device`,
  })
  expect(from).toEqual({
    issuer: 'discovery',
    authUrl: 'discovery',
    tokenUrl: 'discovery',
    deviceUrl: 'discovery',
  })
  expect([client, scopes]).toEqual([undefined, undefined])
})

test('without a challenge the well-known addresses are asked in their order, path first', async () => {
  const before = stranger.seen.length
  stranger.answer({
    '/mcp': answerOf(200, '{}'),
    [`${RESOURCE}/mcp`]: undefined,
    [RESOURCE]: { resource: stranger.origin, authorization_servers: [`${stranger.origin}/tenant`] },
    [`${OPENID}/tenant`]: undefined,
    [`/tenant${OPENID}`]: metadata({ issuer: `${stranger.origin}/tenant` }),
  })
  const { resource, authorizationServer } = await found()
  expect(resource.identifier).toBe(stranger.origin)
  expect(authorizationServer.issuer).toBe(`${stranger.origin}/tenant`)
  expect(stranger.seen.slice(before).map(({ path }) => path)).toEqual([
    '/mcp',
    `${RESOURCE}/mcp`,
    RESOURCE,
    `${SERVER}/tenant`,
    `${OPENID}/tenant`,
    `/tenant${OPENID}`,
  ])
})

test('of several addresses in the challenge, the one whose document is about the server', async () => {
  const at = (path: string): string => `resource_metadata="${stranger.origin}${path}"`
  stranger.answer({
    '/mcp': challenge(`Bearer ${at('/proxy')}, Bearer scope="a", ${at('/own')}`),
    '/proxy': { resource: 'https://proxy.example', authorization_servers: ['https://proxy.example'] },
    '/own': described(),
  })
  const { authorizationServer, challenge: read } = await found()
  expect(authorizationServer.issuer).toBe(stranger.origin)
  expect(read.scopes).toEqual(['a'])
})

test('an issuer that was good before stays, while the server names it', async () => {
  const two = { resource: stranger.url, authorization_servers: ['https://other.example', stranger.origin] }
  stranger.answer({ [`${RESOURCE}/mcp`]: two })
  expect((await found({}, undefined, stranger.origin)).authorizationServer.issuer).toBe(stranger.origin)
})

test('a server of 2025-03-26 is its own authorization server', async () => {
  stranger.answer({ '/mcp': answerOf(401, ''), [`${RESOURCE}/mcp`]: undefined })
  const { resource, authorizationServer } = await found()
  expect(resource.identifier).toBe(stranger.url)
  expect(authorizationServer.issuer).toBe(stranger.origin)
})

test('one of 2025-03-26 without metadata: the addresses of that revision, where somebody takes them', async () => {
  stranger.answer({ '/mcp': answerOf(401, ''), [`${RESOURCE}/mcp`]: undefined, [SERVER]: undefined })
  expect(await problem()).toMatch(/2025-03-26, --allow-without-pkce-advertised .*--auth-url/)
  expect((await found({ allowWithoutPkceAdvertised: true })).authorizationServer).toMatchObject({
    issuer: stranger.origin,
    authorization_endpoint: `${stranger.origin}/authorize`,
    token_endpoint: `${stranger.origin}/token`,
    registration_endpoint: `${stranger.origin}/register`,
  })
  // A lie is no absence, and a server that names its issuer is none of that revision.
  stranger.answer({
    '/mcp': answerOf(401, ''),
    [`${RESOURCE}/mcp`]: undefined,
    [SERVER]: metadata({ issuer: 'x' }),
  })
  expect(await problem({ allowWithoutPkceAdvertised: true })).toMatch(/another issuer/)
  stranger.answer({ [SERVER]: undefined })
  expect(await problem({ allowWithoutPkceAdvertised: true })).toMatch(/publishes no metadata; give/)
})

test('flags go before the file, both before discovery; who said what is known', async () => {
  const resolved = await found(
    { clientId: 'mine', scopes: ['a'] },
    { authUrl: 'https://by-hand.example/authorize', clientId: 'old' },
  )
  expect(resolved).toMatchObject({
    client: { clientId: 'mine', secret: undefined },
    scopes: ['a'],
    authorizationServer: {
      authorization_endpoint: 'https://by-hand.example/authorize',
      token_endpoint: `${stranger.origin}/token`,
    },
    from: { clientId: 'flag', scopes: 'flag', authUrl: 'file', tokenUrl: 'discovery', issuer: 'discovery' },
  })
})

test('endpoints by hand: no metadata of an authorization server is read', async () => {
  const before = stranger.count(SERVER)
  const byHand = { authUrl: 'https://as.example/a', tokenUrl: 'https://as.example/t' }
  const { authorizationServer, resource, from } = await found(byHand)
  expect(authorizationServer).toMatchObject({ issuer: 'https://as.example', token_endpoint: byHand.tokenUrl })
  expect(resource.identifier).toBe(stranger.url)
  expect(from).toEqual({ authUrl: 'flag', tokenUrl: 'flag' })
  expect(stranger.count(SERVER)).toBe(before)
  const named = await found({ issuer: 'https://issuer.example' }, byHand)
  expect(named.authorizationServer.issuer).toBe('https://issuer.example')
})

test('endpoints by hand, and a server that is away', async () => {
  stranger.answer({ '/mcp': (response) => response.destroy() })
  expect(await problem()).toMatch(/cannot be reached/)
  const { resource } = await found({ authUrl: 'https://as.example/a', tokenUrl: 'https://as.example/t' })
  expect(resource.identifier).toBe(stranger.url)
})

test('an issuer by hand, whatever the server names', async () => {
  stranger.answer({ [`${RESOURCE}/mcp`]: { resource: stranger.url, authorization_servers: [] } })
  expect(await problem()).toMatch(/--issuer/)
  const { authorizationServer, from } = await found({ issuer: stranger.origin })
  expect(authorizationServer.issuer).toBe(stranger.origin)
  expect(from).toMatchObject({ issuer: 'flag', tokenUrl: 'discovery' })
})

test('PKCE that is not advertised: refused, unless somebody says so; a device code has no use for it', async () => {
  for (const methods of [undefined, [], ['plain'], 'S256']) {
    stranger.answer({ [SERVER]: metadata({ code_challenge_methods_supported: methods }) })
    expect(await problem()).toMatch(/PKCE.*--allow-without-pkce-advertised/)
    expect((await found({ allowWithoutPkceAdvertised: true })).authorizationServer.issuer).toBe(
      stranger.origin,
    )
    expect((await found({ device: true })).authorizationServer.issuer).toBe(stranger.origin)
  }
})

test('an authorization server that only has device codes', async () => {
  stranger.answer({
    [SERVER]: metadata({ authorization_endpoint: undefined, code_challenge_methods_supported: undefined }),
  })
  expect((await found()).authorizationServer.authorization_endpoint).toBeUndefined()
})

test('redirects of metadata: within the origin and not for ever; elsewhere there is no document', async () => {
  stranger.answer({ [SERVER]: leadsTo('/moved'), '/moved': stranger.metadata })
  expect((await found()).authorizationServer.issuer).toBe(stranger.origin)
  for (const location of [
    'https://169.254.169.254/',
    'http://10.0.0.1/',
    'file:///etc/passwd',
    '//[::1]:1/',
    SERVER,
  ]) {
    stranger.answer({ [SERVER]: leadsTo(location) })
    const asked = stranger.count(SERVER)
    expect(await problem()).toMatch(/publishes no metadata/)
    expect(stranger.count(SERVER) - asked).toBeLessThanOrEqual(4)
  }
})

const named = (address: string): Answers => ({ '/mcp': challenge(`Bearer resource_metadata="${address}"`) })
const issuedBy = (issuer: unknown): Answers => ({
  [`${RESOURCE}/mcp`]: { resource: stranger.url, authorization_servers: [issuer] },
})

// oxfmt-ignore
test.each<readonly [string, () => Answers, RegExp]>([
  ['metadata at a private address', () => named('https://10.0.0.1/canary'), /not public/],
  ['metadata at the address of a cloud', () => named('http://169.254.169.254/canary'), /not https/],
  ['metadata in a mapped address', () => named('https://[::ffff:a9fe:a9fe]/canary'), /not public/],
  ['metadata at a number', () => named('https://2852039166/canary'), /not public/],
  ['metadata in a file', () => named('file:///canary'), /not https/],
  ['metadata at no address', () => named('canary'), /not a valid one/],
  ['metadata behind a password', () => named('https://canary:x@as.example/'), /not a valid one/],
  ['metadata that is not there', () => named(`${stranger.origin}/canary`), /where there is none/],
  ['metadata of another resource', () => ({ [`${RESOURCE}/mcp`]: { resource: 'https://canary.example/mcp', authorization_servers: [stranger.origin] } }), /another resource/],
  ['metadata of a resource beside it', () => ({ [`${RESOURCE}/mcp`]: { resource: `${stranger.origin}/canary`, authorization_servers: [stranger.origin] } }), /another resource/],
  ['metadata without a resource', () => ({ [`${RESOURCE}/mcp`]: { authorization_servers: [stranger.origin] } }), /another resource/],
  ['metadata that is a page', () => ({ [`${RESOURCE}/mcp`]: answerOf(200, '<html>canary') }), /where there is none/],
  ['metadata that is a list', () => ({ [`${RESOURCE}/mcp`]: answerOf(200, '["canary"]') }), /where there is none/],
  ['metadata of 1 GB', () => ({ [`${RESOURCE}/mcp`]: endless(2 ** 30).answer }), /larger than 1 MiB/],
  ['no authorization server', () => ({ [`${RESOURCE}/mcp`]: { resource: stranger.url } }), /names no authorization server/],
  ['authorization servers that are no texts', () => issuedBy({ canary: 1 }), /names no authorization server/],
  ['an issuer that is no address', () => issuedBy('canary'), /no address/],
  ['an issuer at a private address', () => issuedBy('https://192.168.1.1'), /not public/],
  ['an issuer that is not https', () => issuedBy('http://as.canary.example'), /not https/],
  ['an issuer without metadata', () => ({ [SERVER]: undefined }), /publishes no metadata.*--auth-url/],
  ['a lying issuer', () => ({ [SERVER]: metadata({ issuer: 'https://canary.example' }) }), /about another issuer/],
  ['an issuer with a slash too many', () => ({ [SERVER]: metadata({ issuer: `${stranger.origin}/` }) }), /about another issuer/],
  ['an issuer of no text', () => ({ [SERVER]: metadata({ issuer: [stranger.origin] }) }), /about another issuer/],
  ['no token endpoint', () => ({ [SERVER]: metadata({ token_endpoint: undefined }) }), /lacks an endpoint/],
  ['a script to authorize at', () => ({ [SERVER]: metadata({ authorization_endpoint: 'javascript:canary' }) }), /not an https address/],
  ['a token endpoint that is not https', () => ({ [SERVER]: metadata({ token_endpoint: 'http://canary.example/' }) }), /not an https address/],
  ['a registration endpoint in a file', () => ({ [SERVER]: metadata({ registration_endpoint: 'file:///canary' }) }), /not an https address/],
])('%s: one sentence, with nothing in it of what the stranger said', async (_, answers, expected) => {
  stranger.answer(answers())
  expect(await problem()).toMatch(expected)
})

test('what would have no effect is said before anybody is asked', async () => {
  const before = stranger.seen.length
  expect(await problem({ device: true, authUrl: 'https://as.example/', deviceUrl: 'nothing' })).toMatch(
    /--device-url: must be.*--auth-url: has no effect/,
  )
  expect(stranger.seen).toHaveLength(before)
})
