import { expect, test } from 'vitest'
import { readOAuthFile } from './oauth-file.ts'

const ALL = `
issuer: https://as.example
auth_url: https://as.example/authorize
token_url: https://as.example/token
revocation_url: https://as.example/revoke
device_url: http://127.0.0.1:8080/device
client_id: "42"
client_secret: canary
token_auth_method: client_secret_post
scopes: [read, write]
`

test('all that can be in it', async () => {
  const read = await readOAuthFile(ALL, 'notion.yaml')
  if (!read.ok) throw new Error(read.error.join())
  const { clientSecret, ...rest } = read.value
  expect(clientSecret?.reveal()).toBe('canary')
  expect(rest).toEqual({
    issuer: 'https://as.example',
    authUrl: 'https://as.example/authorize',
    tokenUrl: 'https://as.example/token',
    revocationUrl: 'https://as.example/revoke',
    deviceUrl: 'http://127.0.0.1:8080/device',
    clientId: '42',
    tokenAuthMethod: 'client_secret_post',
    scopes: ['read', 'write'],
  })
  expect(await readOAuthFile('client_id: a', 'notion.yaml')).toEqual({ ok: true, value: { clientId: 'a' } })
})

// oxfmt-ignore
test.each([
  ['nothing', '', 'notion.yaml:1:1: must be a mapping'],
  ['a list', '- client_id: a', 'notion.yaml:1:1: must be a mapping'],
  ['what is no YAML', 'client_id: "a', 'notion.yaml:1:'],
  ['a typing error', '\n\nclientid: a', 'notion.yaml:3:1: field clientid is unknown; did you mean client_id?'],
  ['http', 'token_url: http://as.example/', 'notion.yaml:1:12: token_url must be an https address'],
  ['an address with a password', 'auth_url: https://u:canary@as.example/', 'notion.yaml:1:11: auth_url must be'],
  ['a number', 'client_id: 42', 'notion.yaml:1:12: client_id must be text; put it into quotes'],
  ['a secret of two lines', 'client_secret: "canary\\ncanary"', 'notion.yaml:1:16: client_secret must be one line'],
  ['no way to send a secret', 'token_auth_method: none', 'notion.yaml:1:20: token_auth_method must be client_secret_basic or'],
  ['scopes in one text', 'scopes: read write', 'notion.yaml:1:9: scopes must be a list'],
  ['two scopes in one', 'scopes: [read write]', 'notion.yaml:1:10: scopes[0] must be one scope'],
  ['the same twice', 'client_id: a\nclient_id: b', 'notion.yaml:2:1: the same field is given twice'],
])('%s', async (_, text, expected) => {
  const read = await readOAuthFile(text, 'notion.yaml')
  expect(read.ok ? [] : read.error).toEqual([expect.stringContaining(expected)])
  expect(JSON.stringify(read)).not.toContain('canary')
})
