import type * as oauth from 'oauth4webapi'
import type { AuthorizationServer, OAuthClient } from './authorization-server.ts'
import { authenticationOf } from './client-authentication.ts'
import type { Fetcher } from './guarded-fetch.ts'
import { throughFetcher, type Library } from './library.ts'
import { readTokenAnswer } from './token-answer.ts'

const TIMEOUT_MS = 30_000

/** Where tokens come from, as whom and for what. */
export interface TokenSource {
  readonly authorizationServer: AuthorizationServer
  readonly client: OAuthClient
  /** Goes along in every request (RFC 8707). */
  readonly resource: string
  readonly fetcher: Fetcher
  readonly nowMs: () => number
}

/** What the library wants to know for each request. */
export function parametersOf(
  library: Library,
  { authorizationServer, client, fetcher }: TokenSource,
): {
  readonly server: oauth.AuthorizationServer
  readonly client: oauth.Client
  readonly authentication: oauth.ClientAuth
  readonly options: ReturnType<typeof throughFetcher>
} {
  const { issuer, token_endpoint, revocation_endpoint, device_authorization_endpoint } = authorizationServer
  return {
    server: {
      issuer,
      token_endpoint,
      ...(revocation_endpoint === undefined ? {} : { revocation_endpoint }),
      ...(device_authorization_endpoint === undefined ? {} : { device_authorization_endpoint }),
    },
    client: { client_id: client.clientId },
    authentication: authenticationOf(library, client),
    options: throughFetcher(library, fetcher, TIMEOUT_MS, readTokenAnswer),
  }
}
