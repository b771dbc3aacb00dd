import type {
  AuthorizationServer,
  OAuthClient,
  Resource,
  Tokens,
} from '../oauth/client/authorization-server.ts'

/** Why a grant cannot be used, until somebody mends it. */
export interface Trouble {
  /** `login`: nobody has authorized it, or it has run out. `scope`: the server wants more. `refused`: it would not help to authorize again. */
  readonly kind: 'login' | 'scope' | 'refused'
  /** One public sentence. */
  readonly message: string
  readonly atMs: number
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
