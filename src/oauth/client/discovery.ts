import { err, ok, type Result } from '../../lib/result.ts'
import type { AuthorizationServer, Resource } from './authorization-server.ts'
import type { Challenge } from './challenge.ts'
import { Unreachable, type Fetcher } from './guarded-fetch.ts'
import { describeResource } from './resource-metadata.ts'
import { findAuthorizationServer } from './server-metadata.ts'

export interface Found {
  readonly resource: Resource
  readonly authorizationServer: AuthorizationServer
  /** Of the server, when it was asked without a token. */
  readonly challenge: Challenge
}

/**
 * From the url of a Server to the authorization server that issues tokens for it (MCP, "Authorization server
 * discovery"): the challenge, RFC 9728, RFC 8414 or OpenID Connect Discovery.
 *
 * @param preferred an issuer to stay with, where the server still names it
 * @returns one public sentence where it cannot be done
 */
export async function discover(
  serverUrl: string,
  fetcher: Fetcher,
  preferred: string | undefined,
): Promise<Result<Found, string>> {
  try {
    const described = await describeResource(serverUrl, fetcher)
    if (!described.ok) return described
    const { issuers, resource, challenge } = described.value
    const issuer = issuers.find((one) => one === preferred) ?? issuers[0]
    if (issuer === undefined) return err('the server names no authorization server')
    const found = await findAuthorizationServer(issuer, fetcher, false)
    if (!found.ok) return found
    if (found.value === undefined) return err('the authorization server publishes no metadata')
    return ok({ resource, authorizationServer: found.value, challenge })
  } catch (thrown) {
    if (thrown instanceof Unreachable)
      return err(`the way to the authorization server ends: ${thrown.message}`)
    throw thrown
  }
}
