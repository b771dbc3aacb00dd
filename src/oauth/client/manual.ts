import type { AuthorizationServer } from './authorization-server.ts'
import { isByHand, type OAuthFlags, type OAuthSettings } from './settings.ts'

/**
 * An authorization server whose endpoints were given by hand.
 *
 * @returns undefined where they do not suffice, and metadata has to be read
 */
export function authorizationServerByHand(
  settings: OAuthSettings,
  { device, clientMetadataUrl }: OAuthFlags,
): AuthorizationServer | undefined {
  const { tokenUrl, issuer } = settings
  if (tokenUrl === undefined || !isByHand(settings, device === true)) return undefined
  return withEndpoints(
    {
      // What its answers name is compared with this: an `iss` that nobody expected is not overlooked.
      issuer: issuer ?? new URL(tokenUrl).origin,
      token_endpoint: tokenUrl,
      scopes_supported: [],
      authorization_response_iss_parameter_supported: false,
      // Who names a document for a server by hand knows that it takes one.
      client_id_metadata_document_supported: clientMetadataUrl !== undefined,
    },
    settings,
  )
}

/** What was found, with the endpoints that were given by hand in place of its own. */
export const withEndpoints = (
  server: AuthorizationServer,
  { authUrl, tokenUrl, revocationUrl, deviceUrl }: OAuthSettings,
): AuthorizationServer => ({
  ...server,
  authorization_endpoint: authUrl ?? server.authorization_endpoint,
  token_endpoint: tokenUrl ?? server.token_endpoint,
  revocation_endpoint: revocationUrl ?? server.revocation_endpoint,
  device_authorization_endpoint: deviceUrl ?? server.device_authorization_endpoint,
})
