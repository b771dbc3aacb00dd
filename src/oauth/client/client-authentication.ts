import type * as oauth from 'oauth4webapi'
import type { OAuthClient } from './authorization-server.ts'
import type { Library } from './library.ts'

/** How the client proves itself at the endpoints of an authorization server (RFC 6749, 2.3). */
export function authenticationOf(
  library: Library,
  { method, secret, clientId }: Pick<OAuthClient, 'method' | 'secret' | 'clientId'>,
): oauth.ClientAuth {
  if (method === 'none' || secret === undefined) return library.None()
  if (method === 'client_secret_post') return library.ClientSecretPost(secret.reveal())
  // RFC 6749, 2.3.1, in the form of RFC 6749, appendix B. The library's own also escapes what this form leaves
  // alone (`-`), and servers that do not decode it then know nobody by that name.
  return (_server, _client, _body, headers) => {
    const pair = Buffer.from(`${formEncode(clientId)}:${formEncode(secret.reveal())}`)
    headers.set('authorization', `Basic ${pair.toString('base64')}`)
  }
}

const formEncode = (value: string): string => new URLSearchParams({ v: value }).toString().slice(2)
