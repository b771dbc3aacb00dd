import { expect, test } from 'vitest'
import { covers, wellKnownResource } from './resource-metadata.ts'
import { wellKnownIssuer } from './server-metadata.ts'

test('the metadata of a resource is looked for below its path, then at the root', () => {
  expect(wellKnownResource('https://a.example/mcp/')).toEqual([
    'https://a.example/.well-known/oauth-protected-resource/mcp',
    'https://a.example/.well-known/oauth-protected-resource',
  ])
  expect(wellKnownResource('https://a.example/')).toEqual([
    'https://a.example/.well-known/oauth-protected-resource',
  ])
})

test('that of an issuer with the path inserted, then appended', () => {
  expect(wellKnownIssuer('https://a.example')).toEqual([
    'https://a.example/.well-known/oauth-authorization-server',
    'https://a.example/.well-known/openid-configuration',
  ])
  expect(wellKnownIssuer('https://a.example/t1')).toEqual([
    'https://a.example/.well-known/oauth-authorization-server/t1',
    'https://a.example/.well-known/openid-configuration/t1',
    'https://a.example/t1/.well-known/openid-configuration',
  ])
})

// oxfmt-ignore
test.each([
  ['https://a.example/mcp', 'https://a.example/mcp', true],
  ['https://a.example/mcp/', 'https://a.example/mcp', true],
  ['https://a.example', 'https://a.example/mcp', true],
  ['https://a.example/mcp', 'https://a.example/mcp/v2', true],
  ['https://a.example/mcp', 'https://a.example/mcp2', false],
  ['https://a.example/mcp/v2', 'https://a.example/mcp', false],
  ['https://evil.example/mcp', 'https://a.example/mcp', false],
  ['http://a.example/mcp', 'https://a.example/mcp', false],
  ['https://a.example:8443/mcp', 'https://a.example/mcp', false],
  ['https://a.example/mcp#x', 'https://a.example/mcp', false],
  ['https://a.example/mcp?tenant=1', 'https://a.example/mcp?tenant=1', true],
  ['https://a.example/mcp?tenant=2', 'https://a.example/mcp?tenant=1', false],
  ['mcp', 'https://a.example/mcp', false],
])('%s covers %s: %s', (resource, server, expected) => {
  expect(covers(resource, server)).toBe(expected)
})
