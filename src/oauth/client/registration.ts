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
import { readScopes } from './challenge.ts'
import { parseObject } from './token-answer.ts'

/** A client that the user has registered. */
export interface GivenClient {
  readonly clientId: string
  readonly secret: SecretValue | undefined
  /** Undefined: as the metadata of the authorization server has it. */
  readonly method?: AuthMethod | undefined
}

/** What a client can be known by. */
export interface ClientSources {
  /** What the user gave. */
  readonly given: GivenClient | undefined
  /** Address of a client ID metadata document that describes this daemon. */
  readonly document: string | undefined
  /** What an earlier authorization was known as to this very issuer. */
  readonly remembered: OAuthClient | undefined
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly nowMs: number
}

const TIMEOUT_MS = 10_000
/** A user takes some time to authorize, and then the secret has to be good. */
const MARGIN_MS = 15 * 60_000

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
    const method = given.method ?? methodFor(server, given.secret !== undefined)
    return ok({ clientId: given.clientId, secret: given.secret, method, redirectUri, from: 'user' })
  }
  if (remembered?.from === 'user') return ok({ ...remembered, redirectUri })
  if (document !== undefined && server.client_id_metadata_document_supported)
    return ok({ clientId: document, secret: undefined, method: 'none', redirectUri, from: 'document' })
  // Another redirect address is another registration, and so is one whose secret is over.
  const isOver = (remembered?.secretExpiresAtMs ?? Infinity) <= sources.nowMs + MARGIN_MS
  // And so is one that may not ask for as much: a step up would be refused for ever.
  const suffices = sources.scopes.every((scope) => remembered?.scopes?.includes(scope) !== false)
  if (remembered?.redirectUri === redirectUri && !isOver && suffices) return ok(remembered)
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

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'

/** Device codes where they are offered: what was registered without them cannot use them later. */
function grantTypes(server: AuthorizationServer): readonly string[] {
  const both = ['authorization_code', 'refresh_token']
  const hasDevice =
    server.device_authorization_endpoint !== undefined &&
    server.grant_types_supported?.includes(DEVICE) !== false
  return hasDevice ? [...both, DEVICE] : both
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
    grant_types: grantTypes(server),
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
  const answer = parseObject(text) ?? {}
  const { client_id: clientId, client_secret: secret, client_secret_expires_at: expiresAt } = answer
  const method = answer['token_endpoint_auth_method'] ?? asked
  const known = AUTH_METHODS.find((one) => one === method)
  if (!isShort(clientId, 2048) || known === undefined)
    return err(
      'the answer of the registration endpoint cannot be used; register a client there, and pass --client-id',
    )
  const hasSecret = isShort(secret, 4096)
  if (known !== 'none' && !hasSecret)
    return err(
      'the authorization server registered a client with a secret, and gave none; register one there, and pass --client-id',
    )
  return ok({
    clientId,
    secret: hasSecret ? new SecretValue(secret) : undefined,
    method: known,
    redirectUri,
    // RFC 7591, 3.2.1: in seconds; 0: it does not end.
    ...(hasSecret && typeof expiresAt === 'number' && expiresAt > 0
      ? { secretExpiresAtMs: expiresAt * 1000 }
      : {}),
    ...(typeof answer['scope'] === 'string' ? { scopes: readScopes(answer['scope']) } : {}),
    from: 'registration',
  })
}

/** RFC 6749, A.1 and A.2: visible ASCII, and spaces. */
const isShort = (value: unknown, most: number): value is string =>
  typeof value === 'string' && value.length <= most && /^[\x20-\x7e]+$/.test(value)
