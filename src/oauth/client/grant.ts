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
  /** Who says so: the user, a client ID metadata document, or dynamic registration. */
  readonly from: 'user' | 'document' | 'registration'
}

/** What is remembered of an authorization server; the names are those of RFC 8414. */
export interface AuthorizationServer {
  readonly issuer: string
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly registration_endpoint?: string | undefined
  readonly revocation_endpoint?: string | undefined
  readonly scopes_supported: readonly string[]
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

/** Why a grant cannot be used, until somebody mends it. */
export interface Trouble {
  /** `login`: nobody has authorized it, or it has run out. `scope`: the server wants more. `refused`: it would not help to authorize again. */
  readonly kind: 'login' | 'scope' | 'refused'
  /** One public sentence. */
  readonly message: string
  readonly atMs: number
}

export interface Tokens {
  readonly access: SecretValue
  readonly refresh: SecretValue | undefined
  /** Undefined: the authorization server did not say. */
  readonly expiresAtMs: number | undefined
  readonly obtainedAtMs: number
}

/** An OAuth grant: a credential that an authorization server issued to us, and all that is needed to keep it. */
export interface Grant {
  readonly uid: string
  /** `oauth:NAME` */
  readonly name: string
  /** The Server that it was authorized for. */
  readonly server: string
  /** The only origin that its token is ever sent to. */
  readonly origin: string
  readonly resource: Resource
  readonly authorizationServer: AuthorizationServer
  /** By issuer: no client of one authorization server is ever shown to another. */
  readonly clients: Readonly<Record<string, OAuthClient>>
  /** What was asked for, and what was given. */
  readonly requested: readonly string[]
  readonly granted: readonly string[]
  readonly tokens: Tokens | undefined
  readonly trouble: Trouble | undefined
  /** Scopes that the server has demanded since. */
  readonly demanded: readonly string[]
  /** Until then one process renews it, and the others wait for what comes of it. */
  readonly renewingUntilMs: number | undefined
  /** Counts its changes, so that two processes do not overwrite each other. */
  readonly version: number
}

export interface GrantStore {
  list(): Promise<readonly Grant[]>
  find(name: string): Promise<Grant | undefined>
  /** Durable when it resolves. False: another process has changed it since `grant.version - 1`. */
  save(grant: Grant): Promise<boolean>
  remove(name: string): Promise<void>
}
