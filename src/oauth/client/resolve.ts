import { err, ok, type Result } from '../../lib/result.ts'
import type { AuthorizationServer, Resource } from './authorization-server.ts'
import type { Challenge } from './challenge.ts'
import { Unreachable, type Fetcher } from './guarded-fetch.ts'
import { authorizationServerByHand, withEndpoints } from './manual.ts'
import type { GivenClient } from './registration.ts'
import { canonical, describeResource, type Described } from './resource-metadata.ts'
import { findAuthorizationServer, serverOf20250326 } from './server-metadata.ts'
import {
  mergeSettings,
  problemsOf,
  type OAuthFlags,
  type OAuthSettings,
  type SettingSources,
} from './settings.ts'

export interface ResolveRequest {
  /** Of the Server that tokens are for. */
  readonly serverUrl: string
  readonly flags: OAuthFlags
  /** `oauth/NAME.yaml`, where there is one. */
  readonly file: OAuthSettings | undefined
  /** An issuer to stay with, where the server still names it. */
  readonly preferred: string | undefined
}

/** All that an authorization needs to know, and who said so. */
export interface Resolved {
  readonly resource: Resource
  readonly authorizationServer: AuthorizationServer
  /** Of the server, when it was asked without a token. */
  readonly challenge: Challenge
  /** Undefined: it has to be registered. */
  readonly client: GivenClient | undefined
  /** Undefined: those that the server asks for (`chooseScopes`). */
  readonly scopes: readonly string[] | undefined
  /** Of each setting that has a value. */
  readonly from: SettingSources
}

/**
 * Where the configuration of an OAuth grant comes from, setting by setting, the first that says something: flags, the
 * file, discovery (MCP, "Authorization server discovery": the challenge, RFC 9728, RFC 8414 or OpenID Connect).
 *
 * @returns public sentences: all mistakes in what was given, or the one reason that discovery has come to nothing
 */
export async function resolve(
  { serverUrl, flags, file = {}, preferred }: ResolveRequest,
  fetcher: Fetcher,
): Promise<Result<Resolved, readonly string[]>> {
  const problems = problemsOf(flags, file)
  if (problems.length > 0) return err(problems)
  const { settings, from } = mergeSettings(flags, file)
  const byHand = authorizationServerByHand(settings, flags)
  const found = await withoutFailing(async () => {
    const described = await describe(serverUrl, fetcher, byHand !== undefined)
    if (!described.ok) return described
    const server = byHand
      ? ok(byHand)
      : await discovered(described.value, { issuer: settings.issuer, preferred }, fetcher, flags)
    return server.ok ? ok({ described: described.value, server: server.value }) : server
  })
  if (!found.ok) return err([found.error])
  const { resource, challenge } = found.value.described
  const authorizationServer = withEndpoints(found.value.server, settings)
  const { clientId, clientSecret: secret, tokenAuthMethod: method, scopes } = settings
  const client = clientId === undefined ? undefined : { clientId, secret, method }
  const sources = { ...sourcesOf(authorizationServer, byHand === undefined), ...from }
  return ok({ resource, authorizationServer, challenge, client, scopes, from: sources })
}

async function withoutFailing<T>(find: () => Promise<Result<T, string>>): Promise<Result<T, string>> {
  try {
    return await find()
  } catch (thrown) {
    if (!(thrown instanceof Unreachable)) throw thrown
    return err(
      `the way to the authorization server ends: ${thrown.message}; where it is right all the same, ${BY_HAND}`,
    )
  }
}

/** Where everything else is known, a server that describes nothing, or is away, is only asked for its scopes. */
async function describe(
  serverUrl: string,
  fetcher: Fetcher,
  isKnown: boolean,
): Promise<Result<Described, string>> {
  try {
    return await describeResource(serverUrl, fetcher)
  } catch (thrown) {
    if (!isKnown || !(thrown instanceof Unreachable)) throw thrown
    const challenge = { resourceMetadata: [], scopes: [], error: undefined }
    const resource = { identifier: canonical(serverUrl), scopes: [] }
    return ok({ resource, issuers: [], isOwnIssuer: false, challenge })
  }
}

async function discovered(
  { issuers, isOwnIssuer }: Described,
  { issuer, preferred }: { readonly issuer: string | undefined; readonly preferred: string | undefined },
  fetcher: Fetcher,
  { allowWithoutPkceAdvertised, device }: OAuthFlags,
): Promise<Result<AuthorizationServer, string>> {
  const chosen = issuer ?? issuers.find((one) => one === preferred) ?? issuers[0]
  if (chosen === undefined)
    return err(`the server names no authorization server; say which with --issuer, or ${BY_HAND}`)
  const isAllowed = allowWithoutPkceAdvertised === true
  const found = await findAuthorizationServer(chosen, fetcher, device === true || isAllowed)
  if (!found.ok) return found
  if (found.value !== undefined) return ok(found.value)
  const isOld = isOwnIssuer && issuer === undefined
  if (isOld && isAllowed) return ok(serverOf20250326(chosen))
  return err(
    isOld
      ? `the server publishes no metadata; if it is one of 2025-03-26, --allow-without-pkce-advertised takes the addresses of that revision, else ${BY_HAND}`
      : `the authorization server publishes no metadata; ${BY_HAND}`,
  )
}

const BY_HAND = 'give its endpoints by hand: --auth-url and --token-url'

const sourcesOf = (server: AuthorizationServer, isDiscovered: boolean): SettingSources => {
  if (!isDiscovered) return {}
  const found = {
    issuer: server.issuer,
    authUrl: server.authorization_endpoint,
    tokenUrl: server.token_endpoint,
    revocationUrl: server.revocation_endpoint,
    deviceUrl: server.device_authorization_endpoint,
  }
  return Object.fromEntries(
    Object.entries(found).flatMap(([name, value]) => (value === undefined ? [] : [[name, 'discovery']])),
  )
}
