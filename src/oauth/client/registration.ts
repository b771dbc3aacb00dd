import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import {
  AUTH_METHODS,
  type AuthMethod,
  type AuthorizationServer,
  type OAuthClient,
} from './authorization-server.ts'
import { Unreachable, type Fetcher } from './guarded-fetch.ts'
import { isLoopbackHost } from './addresses.ts'

/** What a client can be known by. */
export interface ClientSources {
  /** What the user gave. */
  readonly given: { readonly clientId: string; readonly secret: SecretValue | undefined } | undefined
  /** Address of a client ID metadata document that describes this daemon. */
  readonly document: string | undefined
  /** What an earlier authorization was known as to this very issuer. */
  readonly remembered: OAuthClient | undefined
  readonly redirectUri: string
  readonly scopes: readonly string[]
}

const TIMEOUT_MS = 10_000

/**
 * As whom to authorize, in the order that MCP gives ("Client registration approaches"): what the user registered, what
 * was registered here before, a client ID metadata document, dynamic registration (RFC 7591).
 */
export async function identifyClient(
  server: AuthorizationServer,
  sources: ClientSources,
  fetcher: Fetcher,
): Promise<Result<OAuthClient, string>> {
  const { given, document, remembered, redirectUri } = sources
  if (given !== undefined) {
    const method = methodFor(server, given.secret !== undefined)
    return ok({ clientId: given.clientId, secret: given.secret, method, redirectUri, from: 'user' })
  }
  if (remembered?.from === 'user') return ok({ ...remembered, redirectUri })
  if (document !== undefined && server.client_id_metadata_document_supported)
    return ok({ clientId: document, secret: undefined, method: 'none', redirectUri, from: 'document' })
  // Another redirect address is another registration.
  if (remembered?.redirectUri === redirectUri) return ok(remembered)
  if (server.registration_endpoint !== undefined)
    return register(server, server.registration_endpoint, sources, fetcher)
  return err(
    `the authorization server registers no clients by itself: register one there with the redirect address ${redirectUri}, and pass --client-id`,
  )
}

/** With a secret: the first method that both sides have; RFC 8414 says what an authorization server has that lists none. */
function methodFor(server: AuthorizationServer, hasSecret: boolean): AuthMethod {
  if (!hasSecret) return 'none'
  const offered = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  return offered.includes('client_secret_basic') || !offered.includes('client_secret_post')
    ? 'client_secret_basic'
    : 'client_secret_post'
}

function methodToRegister(server: AuthorizationServer): AuthMethod | undefined {
  const offered = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  return AUTH_METHODS.find((method) => offered.includes(method))
}

async function register(
  server: AuthorizationServer,
  endpoint: string,
  { redirectUri, scopes }: ClientSources,
  fetcher: Fetcher,
): Promise<Result<OAuthClient, string>> {
  const method = methodToRegister(server)
  if (method === undefined)
    return err('the authorization server supports no way of client authentication that is known here')
  const metadata = {
    client_name: 'Castellan',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: method,
    // OpenID Connect registration: a program on the user's machine, or a site.
    application_type: isLoopbackHost(new URL(redirectUri).hostname) ? 'native' : 'web',
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
  }
  try {
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    const body = JSON.stringify(metadata)
    const answer = await fetcher.send(endpoint, { method: 'POST', headers, body }, TIMEOUT_MS)
    if (answer.status !== 201 && answer.status !== 200)
      return err(
        'the authorization server refused to register this client; pass --client-id of one that you registered',
      )
    return readRegistration(await answer.text(), method, redirectUri)
  } catch (thrown) {
    if (thrown instanceof Unreachable) return err(`registration: ${thrown.message}`)
    throw thrown
  }
}

function readRegistration(text: string, asked: AuthMethod, redirectUri: string): Result<OAuthClient, string> {
  const answer = parseObject(text)
  const clientId = answer?.['client_id']
  const secret = answer?.['client_secret']
  const method = answer?.['token_endpoint_auth_method'] ?? asked
  const known = AUTH_METHODS.find((one) => one === method)
  if (typeof clientId !== 'string' || clientId === '' || clientId.length > 2048 || known === undefined)
    return err('the answer of the registration endpoint cannot be used')
  const hasSecret = typeof secret === 'string' && secret !== ''
  if (known !== 'none' && !hasSecret)
    return err('the authorization server registered a client with a secret, and gave none')
  return ok({
    clientId,
    secret: hasSecret ? new SecretValue(secret) : undefined,
    method: known,
    redirectUri,
    from: 'registration',
  })
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed = JSON.parse(text) as unknown
    return typeof parsed === 'object' && parsed !== null
      ? (parsed as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    // Not JSON: no answer of a registration endpoint.
    return undefined
  }
}
