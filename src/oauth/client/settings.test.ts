import { expect, test } from 'vitest'
import { SecretValue } from '../../lib/secret-value.ts'
import { hostsOf, mergeSettings, problemsOf, type OAuthFlags, type OAuthSettings } from './settings.ts'

const SECRET = new SecretValue('canary')
const AUTH = 'https://as.example/authorize'
const TOKEN = 'https://as.example/token'
const ISSUER = 'https://as.example'

// oxfmt-ignore
test.each<readonly [string, OAuthFlags, OAuthSettings, readonly RegExp[]]>([
  ['nothing', {}, {}, []],
  ['a client id', { clientId: 'a' }, {}, []],
  ['an id and a secret', { clientId: 'a', clientSecret: SECRET }, {}, []],
  ['a secret to the id of the file', { clientSecret: SECRET }, { clientId: 'a' }, []],
  ['an id to the secret of the file', { clientId: 'a' }, { clientSecret: SECRET, issuer: ISSUER }, []],
  ['the id of the file again', { clientId: 'a' }, { clientId: 'a', clientSecret: SECRET, issuer: ISSUER }, []],
  ['the issuer of the file again', { issuer: ISSUER }, { clientId: 'a', clientSecret: SECRET, issuer: ISSUER }, []],
  ['a secret for endpoints of the file', {}, { clientId: 'a', clientSecret: SECRET, authUrl: AUTH, tokenUrl: TOKEN }, []],
  ['another secret, elsewhere', { clientSecret: SECRET, issuer: ISSUER }, { clientId: 'a', clientSecret: SECRET }, []],
  ['another id and another secret', { clientId: 'b', clientSecret: SECRET }, { clientId: 'a', clientSecret: SECRET }, []],
  ['scopes alone', { scopes: ['a'] }, {}, []],
  ['an issuer alone', { issuer: 'https://as.example' }, {}, []],
  ['one endpoint of two: the other is discovered', { tokenUrl: TOKEN }, {}, []],
  ['endpoints and an override', { authUrl: AUTH }, { tokenUrl: TOKEN, clientId: 'a' }, []],
  ['a device code', { device: true, deviceUrl: 'https://as.example/device' }, {}, []],
  ['a device code beside the endpoints of the file', { device: true }, { authUrl: AUTH, tokenUrl: TOKEN }, []],
  ['PKCE that is not advertised', { allowWithoutPkceAdvertised: true }, { tokenUrl: TOKEN }, []],
  ['a document for endpoints by hand', { clientMetadataUrl: 'https://us.example/client', authUrl: AUTH, tokenUrl: TOKEN }, {}, []],
  ['how a secret is sent', { clientId: 'a', clientSecret: SECRET, tokenAuthMethod: 'client_secret_post' }, {}, []],
  ['http on loopback', { issuer: 'http://127.0.0.1:1/a', tokenUrl: 'http://localhost:1/', authUrl: 'http://[::1]:1/' }, {}, []],

  ['a secret alone', { clientSecret: SECRET }, {}, [/^--client-secret-stdin: .*--client-id$/]],
  ['a secret for whoever asks', {}, { clientId: 'a', clientSecret: SECRET }, [/^client_secret in the file: .* whom it is for/]],
  ['a secret for whoever asks, but for one endpoint', {}, { clientId: 'a', clientSecret: SECRET, tokenUrl: TOKEN }, [/whom it is for/]],
  ['a secret for whoever asks for a device', { device: true }, { clientId: 'a', clientSecret: SECRET, authUrl: AUTH, tokenUrl: TOKEN }, [/whom it is for/]],
  ['the secret of the file at another issuer', { issuer: 'https://other.example' }, { clientId: 'a', clientSecret: SECRET, issuer: ISSUER }, [/names another address/]],
  ['the secret of the file at another endpoint', { tokenUrl: 'https://other.example/' }, { clientId: 'a', clientSecret: SECRET, authUrl: AUTH, tokenUrl: TOKEN }, [/names another address/]],
  ['the secret of the file where tokens are taken back', { revocationUrl: 'https://other.example/' }, { clientId: 'a', clientSecret: SECRET, issuer: ISSUER }, [/names another address/]],
  ['a secret alone in the file', {}, { clientSecret: SECRET, issuer: ISSUER }, [/^client_secret in the file: .*client_id$/]],
  ['the secret of another client', { clientId: 'b' }, { clientId: 'a', clientSecret: SECRET, issuer: ISSUER }, [/belongs to the client_id in the file/]],
  ['how no secret is sent', { clientId: 'a', tokenAuthMethod: 'client_secret_post' }, {}, [/^--token-auth-method/]],
  ['how no secret is sent, in the file', {}, { tokenAuthMethod: 'client_secret_post' }, [/^token_auth_method in the file/]],
  ['a document beside an id', { clientMetadataUrl: 'https://us.example/client', clientId: 'a' }, {}, [/^--client-metadata-url/]],
  ['a document beside the id of the file', { clientMetadataUrl: 'https://us.example/client' }, { clientId: 'a' }, [/^--client-metadata-url/]],
  ['a page for a device', { device: true, authUrl: AUTH }, {}, [/^--auth-url: has no effect with --device/]],
  ['device codes without a device', { deviceUrl: TOKEN }, {}, [/^--device-url: has no effect without --device/]],
  ['PKCE for a device', { device: true, allowWithoutPkceAdvertised: true }, {}, [/^--allow-without-pkce-advertised: .*--device/]],
  ['PKCE where nothing advertises', { authUrl: AUTH, allowWithoutPkceAdvertised: true }, { tokenUrl: TOKEN }, [/^--allow-without-pkce-advertised: .*by hand/]],
  ['http elsewhere', { tokenUrl: 'http://as.example/token' }, {}, [/^--token-url: must be an https address/]],
  ['a script', { authUrl: 'javascript:alert(1)' }, {}, [/^--auth-url: must be/]],
  ['a document without a path', { clientMetadataUrl: 'https://us.example/' }, {}, [/^--client-metadata-url: must be/]],
  ['a document on loopback', { clientMetadataUrl: 'http://127.0.0.1/client' }, {}, [/^--client-metadata-url: must be/]],
  ['credentials in an address', { tokenUrl: 'https://u:p@as.example/' }, {}, [/^--token-url: must be/]],
  ['a fragment', { issuer: 'https://as.example/#x' }, {}, [/^--issuer: must be/]],
  ['all at once', { clientSecret: SECRET, deviceUrl: 'x', revocationUrl: 'y' }, {}, [/^--revocation-url/, /^--device-url: must/, /^--client-secret-stdin/, /^--device-url: has no/]],
])('what is given and would not be used is a mistake: %s', (_, flags, file, expected) => {
  const problems = problemsOf(flags, file)
  expect(problems).toHaveLength(expected.length)
  expected.forEach((one, i) => expect(problems[i]).toMatch(one))
})

test('setting by setting, flags go before the file', () => {
  const { settings, from } = mergeSettings(
    { clientId: 'flag', scopes: [] },
    { clientId: 'file', tokenUrl: TOKEN, scopes: ['a'] },
  )
  expect(settings).toEqual({ clientId: 'flag', tokenUrl: TOKEN, scopes: [] })
  expect(from).toEqual({ clientId: 'flag', tokenUrl: 'file', scopes: 'flag' })
  expect([...hostsOf(settings)]).toEqual(['as.example'])
})
