import type { OAuthClient } from '../oauth/client/authorization-server.ts'
import type { OAuthSettings } from '../oauth/client/settings.ts'
import type { Issued } from '../oauth/client/token-answer.ts'
import type { Draft } from './attempts.ts'
import type { Grant, HeldClient, OAuthState, Source } from './grant.ts'
import { justIssued } from './held-secret.ts'

/** A grant of which everything is known but what the authorization server will issue. */
export const waitingGrant = (
  draft: Draft,
  about: {
    readonly uid: string
    readonly nowMs: number
    readonly clients: Readonly<Record<string, HeldClient>>
    readonly source: Source
  },
): Grant => ({
  ...draft.key,
  uid: about.uid,
  server: draft.server,
  origins: draft.origins,
  source: about.source,
  values: {},
  settings: {},
  expiresAtMs: undefined,
  oauth: {
    resource: draft.resource,
    authorizationServer: draft.authorizationServer,
    hosts: draft.hosts,
    clients: about.clients,
    requested: draft.scopes,
    granted: [],
    tokens: undefined,
    demanded: [],
  },
  trouble: undefined,
  refreshed: undefined,
  givenAtMs: about.nowMs,
  renewing: undefined,
  version: 0,
})

/** @param granted what was given before: an answer without scopes gives the same (RFC 6749, 5.1) */
export const heldTokens = (
  { tokens, scopes }: Issued,
  granted: readonly string[],
): Pick<OAuthState, 'tokens' | 'granted'> => ({
  tokens: {
    access: justIssued(tokens.access),
    refresh: tokens.refresh === undefined ? undefined : justIssued(tokens.refresh),
    expiresAtMs: tokens.expiresAtMs,
    obtainedAtMs: tokens.obtainedAtMs,
  },
  granted: scopes ?? granted,
})

export const heldClient = (client: OAuthClient): HeldClient => ({
  ...client,
  secret: client.secret === undefined ? undefined : justIssued(client.secret),
})

export const openClient = (client: HeldClient): OAuthClient => ({ ...client, secret: client.secret?.open() })

/**
 * Whether a client that we are known as already may be used: not where somebody says by hand where its secret would be
 * shown. It was given, or made, for the endpoints that were known then.
 */
export const mayBeShown = (
  { secret }: OAuthClient,
  { tokenUrl, revocationUrl, deviceUrl }: OAuthSettings,
): boolean => secret === undefined || (tokenUrl ?? revocationUrl ?? deviceUrl) === undefined
