import { expect, test } from 'vitest'
import { readChallenge, readScopes } from './challenge.ts'

const META = 'https://mcp.example/.well-known/oauth-protected-resource'
const nothing = { resourceMetadata: [], scopes: [], error: undefined }

// oxfmt-ignore
test.each([
  ['nothing', undefined, nothing],
  ['another scheme', 'Basic realm="x", charset="UTF-8"', nothing],
  ['the scheme alone', 'Bearer', nothing],
  ['all of it', `Bearer realm="x", error="insufficient_scope", scope="a b", resource_metadata="${META}"`, { resourceMetadata: [META], scopes: ['a', 'b'], error: 'insufficient_scope' }],
  ['any case, no quotes, odd spaces', `bEARER Scope = a ,resource_metadata=${META}`, { ...nothing, resourceMetadata: [META], scopes: ['a'] }],
  ['another scheme before it', `Basic realm="Bearer scope=no", Bearer scope="yes"`, { ...nothing, scopes: ['yes'] }],
  ['another scheme behind it', `Bearer scope="yes", DPoP algs="ES256", scope="no"`, { ...nothing, scopes: ['yes'] }],
  ['escaped quotes', String.raw`Bearer error="a\"b"`, { ...nothing, error: 'a"b' }],
  ['several of them', `Bearer realm="a", Bearer scope="x", resource_metadata="${META}", Bearer scope="y", error="e"`, { resourceMetadata: [META], scopes: ['x'], error: 'e' }],
  ['more than one address', `Bearer resource_metadata="https://proxy.example/a", resource_metadata="${META}", Bearer resource_metadata="${META}"`, { ...nothing, resourceMetadata: ['https://proxy.example/a', META] }],
  ['no end of addresses', Array.from({ length: 9 }, (_, i) => `Bearer resource_metadata="${i}"`).join(), { ...nothing, resourceMetadata: ['0', '1', '2', '3'] }],
  ['a scheme with a token in place of parameters', 'Negotiate YWJj==, Bearer scope="yes"', { ...nothing, scopes: ['yes'] }],
  ['commas, equal signs and schemes in a quoted string', 'Basic realm="x=1, Bearer scope=no", Bearer error="a, scope=b", scope="yes"', { ...nothing, scopes: ['yes'], error: 'a, scope=b' }],
  ['the same parameter twice', 'Bearer scope="first", scope="second"', { ...nothing, scopes: ['first'] }],
  ['a parameter without a scheme', 'scope="a", Bearer scope="b"', nothing],
  ['a quote that does not end', 'Bearer scope="a', nothing],
  ['more than can be meant', `Bearer scope="${'a '.repeat(10_000)}"`, nothing],
])('%s', (_, header, expected) => {
  expect(readChallenge(header)).toEqual(expected)
})

test('what cannot be a scope is none', () => {
  expect(readScopes('a  b a "c d\\e ü')).toEqual(['a', 'b'])
})
