import type { SecretValue } from '../../lib/secret-value.ts'

/** How a client proves itself at the token endpoint (RFC 7591, `token_endpoint_auth_method`). */
export type AuthMethod = 'client_secret_basic' | 'client_secret_post' | 'none'
export const AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'none'] as const

/** As whom we are known to one authorization server. */
export interface OAuthClient {
  readonly clientId: string
  readonly secret: SecretValue | undefined
  readonly method: AuthMethod
  readonly redirectUri: string
  /** A secret that was registered for a while; undefined: it does not end. */
  readonly secretExpiresAtMs?: number | undefined
  /** All that a registered client may ask for, where its authorization server has said so. */
  readonly scopes?: readonly string[] | undefined
  /** Who says so: the user, a client ID metadata document, or dynamic registration. */
  readonly from: 'user' | 'document' | 'registration'
}

/**
 * What is remembered of an authorization server; the names are those of RFC 8414. Of one whose endpoints were given by
 * hand without an issuer, `issuer` is the origin of its token endpoint.
 */
export interface AuthorizationServer {
  readonly issuer: string
  /** Missing where users can only authorize with a device code. */
  readonly authorization_endpoint?: string | undefined
  readonly token_endpoint: string
  readonly registration_endpoint?: string | undefined
  readonly revocation_endpoint?: string | undefined
  /** RFC 8628 */
  readonly device_authorization_endpoint?: string | undefined
  readonly scopes_supported: readonly string[]
  readonly grant_types_supported?: readonly string[] | undefined
  readonly token_endpoint_auth_methods_supported?: readonly string[] | undefined
  readonly authorization_response_iss_parameter_supported: boolean
  readonly client_id_metadata_document_supported: boolean
}

/** The protected resource: a Server as its authorization server knows it (RFC 8707, RFC 9728). */
export interface Resource {
  /** Value of `resource` in every request. */
  readonly identifier: string
  readonly scopes: readonly string[]
}

/** What a token endpoint has issued. */
export interface Tokens {
  readonly access: SecretValue
  readonly refresh: SecretValue | undefined
  /** Undefined: the authorization server did not say. */
  readonly expiresAtMs: number | undefined
  readonly obtainedAtMs: number
}
