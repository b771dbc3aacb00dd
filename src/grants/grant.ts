import type {
  AuthorizationServer,
  AuthMethod,
  OAuthClient,
  Resource,
} from '../oauth/client/authorization-server.ts'
import type { HeldSecret } from './held-secret.ts'
import type { Holder } from './holder.ts'

/** What tells a grant from every other. */
export interface GrantKey {
  /** A separate set of grants: `default`, `work`. */
  readonly profile: string
  readonly holder: Holder
  /** `oauth:notion` */
  readonly name: string
}

/** One text for it: profiles and holders hold no slash. */
export const keyOf = ({ profile, holder, name }: GrantKey): string => `${profile}/${holder}/${name}`

/** Why a grant cannot be used, until somebody mends it. */
export interface Trouble {
  /** `login`: nobody has authorized it, or it has run out. `scope`: the server wants more. `refused`: it would not help to give it again. */
  readonly kind: 'login' | 'scope' | 'refused'
  /** One public sentence. */
  readonly message: string
  readonly atMs: number
}

/** Where its secret came from. */
export const SOURCES = ['browser', 'device', 'env', 'cli', 'file', 'prompt', 'stdin', 'exchange'] as const
export type Source = (typeof SOURCES)[number]

/** A credential that others issued to us, with all that is needed to keep it. */
export interface Grant extends GrantKey {
  readonly uid: string
  /** The Server that it was given for. */
  readonly server: string | undefined
  /** The only ones that it is ever sent to; `https://*.example.com` is every host below that one. */
  readonly origins: readonly string[]
  readonly source: Source
  /** By field, as its provider names them; empty where an authorization server issues what is sent. */
  readonly values: Readonly<Record<string, HeldSecret>>
  /** What its provider has to know and is no secret: a role, a region. */
  readonly settings: Readonly<Record<string, string>>
  /** Of `values`: when it stops being taken, where that is known. */
  readonly expiresAtMs: number | undefined
  readonly oauth: OAuthState | undefined
  readonly trouble: Trouble | undefined
  readonly refreshed: Refreshed | undefined
  readonly givenAtMs: number
  /** Of `values`: when their provider gave them last. */
  readonly renewedAtMs?: number | undefined
  /** While it is renewed by one process the others wait for what comes of it. */
  readonly renewing: Renewing | undefined
  /** Counts its changes, from 1, so that two processes do not overwrite each other. */
  readonly version: number
}

/** What came of the last renewal. */
export interface Refreshed {
  readonly atMs: number
  /** One public sentence; undefined: it was renewed. */
  readonly problem: string | undefined
}

export interface Renewing {
  /** Boot epoch of the process. */
  readonly by: string
  readonly untilMs: number
}

/** As whom we are known to an authorization server, with its secret at rest. */
export interface HeldClient extends Omit<OAuthClient, 'secret'> {
  readonly method: AuthMethod
  readonly secret: HeldSecret | undefined
}

export interface HeldTokens {
  readonly access: HeldSecret
  readonly refresh: HeldSecret | undefined
  readonly expiresAtMs: number | undefined
  readonly obtainedAtMs: number
}

/** What an authorization server has issued, and all that is needed to keep it. */
export interface OAuthState {
  readonly resource: Resource
  readonly authorizationServer: AuthorizationServer
  /** Hosts of it that a user has named, so that they may be private ones. */
  readonly hosts?: readonly string[] | undefined
  /** By issuer: no client of one authorization server is ever shown to another. */
  readonly clients: Readonly<Record<string, HeldClient>>
  /** What was asked for, and what was given. */
  readonly requested: readonly string[]
  readonly granted: readonly string[]
  readonly tokens: HeldTokens | undefined
  /** Scopes that the server has demanded since. */
  readonly demanded: readonly string[]
}

/** The field of a grant that is sent where nothing else is said. */
const MAIN_FIELD = 'token'

/** What is sent to a server; undefined: it is not there (yet). */
export const credentialOf = ({ oauth, values }: Pick<Grant, 'oauth' | 'values'>): HeldSecret | undefined =>
  oauth === undefined ? (values[MAIN_FIELD] ?? Object.values(values)[0]) : oauth.tokens?.access

export interface GrantFilter {
  readonly holder?: Holder | undefined
  readonly profile?: string | undefined
  readonly name?: string | undefined
}

export interface GrantStore {
  /** In the order of profile, name and holder. What is secret in them is not opened. */
  list(filter?: GrantFilter): Promise<readonly Grant[]>
  find(key: GrantKey): Promise<Grant | undefined>
  /**
   * Durable when it resolves, with what is secret sealed. Undefined: another process has changed it since
   * `grant.version - 1`.
   * @param told other processes hear of it within a moment
   */
  save(grant: Grant, told: boolean): Promise<Grant | undefined>
  remove(key: GrantKey): Promise<void>
  /** Keys of what was changed since it was asked the last time; undefined: nobody knows any more what that was. */
  changes(): Promise<readonly string[] | undefined>
}
