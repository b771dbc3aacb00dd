import { describe, expect, test } from 'vitest'
import { SecretValue } from '../../lib/secret-value.ts'
import { isBoundTo, readOrigin } from '../origins.ts'
import {
  headerName,
  headerPrefix,
  hostName,
  hostPattern,
  providerName,
  segmentPrefix,
  variableName,
} from './checks.ts'
import { defaultOrigins, withHost, type Place, type Provider } from './define-provider.ts'
import { describeProvider } from './describe-providers.ts'
import { putInPlace } from './place.ts'
import { BUILT_IN } from './registry.ts'
import { mintGrantStub, mintStub } from './stub.ts'
import { isStandIn } from '../../lib/stand-in.ts'
import { readQualifier } from './values.ts'

const SECRET = 'a-secret-of-a-test'
const exampleOf = ({ qualifier }: Provider): string => qualifier?.example ?? ''

const placesOf = ({ injections, validations }: Provider): readonly Place[] =>
  [...injections, ...validations].map(({ place }) => place)

test('no word means two providers', () => {
  const words = BUILT_IN.flatMap(({ id, aliases }) => [id, ...aliases])
  expect(words.filter((word, i) => words.indexOf(word) !== i)).toEqual([])
  expect(words.filter((word) => providerName(word) !== undefined)).toEqual([])
})

describe.each(BUILT_IN.map((provider) => [provider.id, provider] as const))('%s', (_, provider) => {
  const qualifier = exampleOf(provider)
  const fields = new Set(provider.fields.map(({ name }) => name))

  test('is bound to https origins, and injected nowhere else', () => {
    const origins = defaultOrigins(provider, qualifier)
    expect(origins.map(readOrigin)).toEqual(origins)
    for (const { hosts } of provider.injections) {
      const filled = hosts.map((host) => withHost(host, qualifier))
      expect(filled.filter((host) => hostPattern(host) !== undefined)).toEqual([])
      expect(filled.filter((host) => !origins.includes(`https://${host}`))).toEqual([])
    }
  })

  test('is tested where it may go, and nowhere else', () => {
    const origins = defaultOrigins(provider, qualifier)
    for (const { url, body, method, valid, invalid } of provider.validations) {
      expect(isBoundTo(origins, new URL(withHost(url, qualifier)).origin)).toBe(true)
      expect(body === undefined || method === 'POST').toBe(true)
      expect(valid.filter((status) => invalid.includes(status))).toEqual([])
    }
  })

  test('stands in headers that are its own, and in whole segments', () => {
    for (const place of placesOf(provider)) {
      const placed = putInPlace(place, new SecretValue(SECRET))
      if (place.in === 'segment') {
        expect(segmentPrefix(place.prefix)).toBeUndefined()
        expect(placed).toEqual({ headers: {}, segment: place.prefix + SECRET })
      } else {
        expect([headerName(place.header), headerPrefix(place.prefix)]).toEqual([undefined, undefined])
        expect(placed.segment).toBeUndefined()
        const sent = placed.headers[place.header] ?? ''
        const basic = Buffer.from(`${place.basicUser}:${SECRET}`).toString('base64')
        expect(sent).toBe(place.basicUser === undefined ? place.prefix + SECRET : `Basic ${basic}`)
      }
    }
    for (const { adds, removes } of provider.injections)
      for (const name of [...Object.keys(adds), ...removes]) expect(headerName(name)).toBeUndefined()
  })

  test('names only fields that it has', () => {
    const named = [
      ...provider.oneOf,
      ...provider.injections.map(({ field }) => field),
      ...provider.validations.map(({ field }) => field),
      ...provider.sources.flatMap((source) => (source.kind === 'reader' ? source.fields : [source.field])),
      ...(provider.refresh?.needs ?? []),
      ...Object.values(provider.refresh?.parameters ?? {}).flatMap(
        (text) => /^\{(\w+)\}$/.exec(text)?.[1] ?? [],
      ),
    ]
    expect(named.filter((name) => !fields.has(name))).toEqual([])
    for (const source of provider.sources)
      if (source.kind === 'env')
        expect(source.names.map(variableName)).toEqual(source.names.map(() => undefined))
  })

  test('gives sandboxes stand-ins that look like its credential, differ each time, and are known for what they are', () => {
    for (const seen of provider.sees) {
      if (!('stub' in seen)) continue
      const [one, other] = [mintStub(seen.stub), mintStub(seen.stub)]
      expect(one).not.toBe(other)
      expect(one.startsWith(seen.stub.prefix)).toBe(true)
      expect(one).toHaveLength(seen.stub.length)
      expect(isStandIn(one)).toBe(true)
      // Accepted by what checks its form, so that no tool stumbles over it before it asks.
      const shape = provider.fields.find(({ secret }) => secret)?.shape
      expect(shape?.pattern.test(one) ?? true).toBe(true)
    }
  })

  test('takes its own example, and says what it is without a hole', () => {
    if (provider.qualifier !== undefined)
      expect(readQualifier(provider, qualifier)).toEqual({ ok: true, value: qualifier })
    const described = describeProvider(provider)
    expect(JSON.parse(JSON.stringify(described))).toEqual(described)
    expect(JSON.stringify(described)).not.toContain('undefined')
    expect([described.title, described.description].filter((text) => text === '')).toEqual([])
    const endings = provider.fields.filter(({ prompt }) => /[:.]$/.test(prompt))
    expect(endings).toEqual([])
  })

  test('is renewed at an https address that nobody configures, with what it needs', () => {
    if (provider.refresh === undefined) return
    const { tokenEndpoint, needs } = provider.refresh
    expect(new URL(tokenEndpoint).protocol).toBe('https:')
    expect(needs.length).toBeGreaterThan(0)
  })
})

test.each([
  ['ghp_abcdefghijklmnopqrstuvwxyz0123456789', false],
  ['sk-ant-api03-abc', false],
  ['castellan-stub-mcp:context7', true],
  ['moat-stub-oauth:linear', true],
  ['ghp_moatProxyInjectedPlaceholder000000000000', true],
  ['sk-moat-proxy-injected-placeholder-0000000000000000000000000000000000000000', true],
  ['npm_moatProxyInjected00000000', true],
  ['moat-proxy-injected', true],
  ['moat-0a1b2c3d4e5f', true],
])('%s is a stand-in: %s', (value, expected) => {
  expect(isStandIn(value)).toBe(expected)
})

test('hex shapes have stand-ins of hex digits', () => {
  const stub = mintStub({ prefix: '', length: 64, alphabet: 'hex' })
  expect(stub).toMatch(/^[0-9a-f]{64}$/)
  expect(isStandIn(stub)).toBe(true)
})

test.each([
  ['api.example.com', true],
  ['*.example.com', true],
  ['intranet', true],
  ['*.com', false],
  ['*', false],
  ['a.*.com', false],
  ['https://example.com', false],
  ['example.com/path', false],
  ['example.com:443', false],
  ['Example.com', false],
  ['10.0.0.1', false],
  ['[::1]', false],
  ['-a.example.com', false],
  ['', false],
])('the host %s is taken: %s', (host, expected) => {
  expect(hostPattern(host) === undefined).toBe(expected)
  if (!host.startsWith('*')) expect(hostName(host) === undefined).toBe(expected)
})

test.each([
  ['X-Api-Key', true],
  ['Host', false],
  ['Content-Length', false],
  ['connection', false],
  ['Mcp-Session-Id', false],
  ['Proxy-Authorization', false],
  ['X Key', false],
  ['X-Key\r\nHost', false],
  ['', false],
])('the header %j is taken: %s', (name, expected) => {
  expect(headerName(name) === undefined).toBe(expected)
})

test('the stand-in for a credential of a Server names its grant', () => {
  const [one, other] = [mintGrantStub('mcp:context7'), mintGrantStub('mcp:context7')]
  expect(one).toMatch(/^castellan-stub-mcp:context7-[\w-]{12}$/)
  expect(one).not.toBe(other)
  expect(isStandIn(one)).toBe(true)
})
