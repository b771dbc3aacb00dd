import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { mintUid } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { SecretValue } from '../lib/secret-value.ts'
import type { OAuthClient } from '../oauth/client/authorization-server.ts'
import { checkCallback, requestAuthorization } from '../oauth/client/authorization.ts'
import { discover, type Found } from '../oauth/client/discovery.ts'
import type { Fetcher } from '../oauth/client/guarded-fetch.ts'
import { identifyClient } from '../oauth/client/registration.ts'
import { chooseScopes } from '../oauth/client/scopes.ts'
import { exchangeCode } from '../oauth/client/token-endpoint.ts'
import type { Attempts, Draft } from './attempts.ts'
import { readGrantId } from './grant-id.ts'
import type { Grant, GrantKey, HeldClient, OAuthState } from './grant.ts'
import { justIssued } from './held-secret.ts'
import type { Keeper } from './keeper.ts'
import { forgetUnknownClient } from './unknown-client.ts'
import { heldTokens, openClient } from './renewal.ts'

export interface StartRequest {
  readonly key: GrantKey
  /** What it is for: a Server, or an address alone. */
  readonly server: string | undefined
  readonly url: string
  readonly client: { readonly clientId: string; readonly secret: SecretValue | undefined } | undefined
  /** Address of a client ID metadata document. */
  readonly document: string | undefined
  readonly scopes: readonly string[] | undefined
  /** Key of the principal. */
  readonly startedBy: string
}

export interface Started {
  readonly attempt: string
  /** For the browser of the user. */
  readonly authorizeUrl: string
  readonly redirectUri: string
  readonly issuer: string
  readonly scopes: readonly string[]
}

/** Authorizations: somebody is sent to an authorization server, and comes back with an answer. */
export interface OAuthFlow {
  /** @throws Fault when the server or its authorization server cannot be used */
  start(request: StartRequest): Promise<Started>
  /** The answer that the browser brings back to `/oauth/callback/{qualifier}`. */
  finish(qualifier: string, answer: URLSearchParams): Promise<Result<GrantKey, string>>
}

export interface OAuthFlowDeps {
  readonly keeper: Keeper
  readonly attempts: Attempts
  readonly clock: Clock
  readonly log: Log
  readonly fetcherFor: (origin: string) => Fetcher
  /** Where browsers reach this daemon, without a slash at the end. */
  readonly publicOrigin: () => string
  readonly changed: (grant: Grant) => void
}

const MAX_CLIENTS = 16

export function createOAuthFlow(deps: OAuthFlowDeps): OAuthFlow {
  const { keeper, attempts, clock, log } = deps

  async function start(request: StartRequest): Promise<Started> {
    const { key, url } = request
    const { origin } = new URL(url)
    const fetcher = deps.fetcherFor(origin)
    const before = await keeper.reload(key)
    const known = before?.origins[0] === origin ? before.oauth : undefined
    const found = must(await discover(url, fetcher, known?.authorizationServer.issuer))
    const { authorizationServer, resource } = found
    const scopes = scopesFor(request, found, known)
    const redirectUri = `${deps.publicOrigin()}/oauth/callback/${readGrantId(key.name).qualifier ?? ''}`
    const remembered = known?.clients[authorizationServer.issuer]
    const client = must(
      await identifyClient(
        authorizationServer,
        {
          given: request.client,
          document: request.document,
          remembered: remembered && openClient(remembered),
          redirectUri,
          scopes,
          nowMs: clock.nowMs(),
        },
        fetcher,
      ),
    )
    const leg = must(
      requestAuthorization(authorizationServer, client, { scopes, resource: resource.identifier }),
    )
    const draft: Draft = {
      key,
      server: request.server,
      origins: [origin],
      resource,
      authorizationServer,
      clientId: client.clientId,
      scopes,
      redirectUri,
      verifier: leg.verifier.reveal(),
      startedBy: request.startedBy,
    }
    await remember(draft, client, known)
    const attempt = await attempts.add(leg.state, draft)
    log.info({ grant: key.name, server: request.server }, 'an authorization was started')
    return {
      attempt,
      authorizeUrl: leg.url,
      redirectUri,
      issuer: authorizationServer.issuer,
      scopes,
    }
  }

  /** The client that was registered is remembered even when nobody finishes; a grant that works goes on working. */
  async function remember(draft: Draft, client: OAuthClient, known: OAuthState | undefined): Promise<void> {
    const clients = {
      ...Object.fromEntries(Object.entries(known?.clients ?? {}).slice(-MAX_CLIENTS)),
      [draft.authorizationServer.issuer]: heldClient(client),
    }
    await keeper.update(draft.key, (stored) => {
      if (stored?.oauth?.tokens !== undefined && stored.origins[0] === draft.origins[0])
        return { ...stored, oauth: { ...stored.oauth, clients: { ...stored.oauth.clients, ...clients } } }
      return {
        ...waitingGrant(draft, clock.nowMs(), clients),
        uid: stored?.uid ?? mintUid('grt', clock.nowMs()),
      }
    })
  }

  async function finish(qualifier: string, answer: URLSearchParams): Promise<Result<GrantKey, string>> {
    const attempt = await attempts.take(answer.get('state') ?? '')
    if (attempt === undefined || readGrantId(attempt.draft.key.name).qualifier !== qualifier)
      return err('this answer belongs to no authorization that is under way; start it again')
    const { id, draft } = attempt
    const done = await complete(draft, answer).catch(async (thrown: unknown) => {
      await attempts.settle(id, {
        state: 'failed',
        problem: 'the daemon could not keep it; its log says why',
      })
      throw thrown
    })
    await attempts.settle(id, done.ok ? { state: 'done' } : { state: 'failed', problem: done.error })
    log.info({ grant: draft.key.name, ok: done.ok }, 'an authorization has ended')
    return done.ok ? ok(draft.key) : done
  }

  async function complete(draft: Draft, answer: URLSearchParams): Promise<Result<void, string>> {
    const { key, authorizationServer, resource } = draft
    const checked = checkCallback(authorizationServer, answer)
    if (!checked.ok) return checked
    const stored = await keeper.reload(key)
    const client = stored?.oauth?.clients[authorizationServer.issuer]
    if (stored === undefined || client === undefined || client.clientId !== draft.clientId)
      return err('the grant was taken back or started anew meanwhile; start it again')
    const issued = await exchangeCode(
      {
        authorizationServer,
        client: { ...openClient(client), redirectUri: draft.redirectUri },
        resource: resource.identifier,
        fetcher: deps.fetcherFor(draft.origins[0] ?? ''),
        nowMs: clock.nowMs,
      },
      { state: answer.get('state') ?? '', verifier: new SecretValue(draft.verifier) },
      answer,
    )
    if (!issued.ok) {
      await forgetUnknownClient(keeper, stored, authorizationServer.issuer, issued.error)
      return err(issued.error.message)
    }
    const kept = await keeper.update(key, (now) => {
      if (now?.uid !== stored.uid) return undefined
      const grant = waitingGrant(draft, clock.nowMs(), now.oauth?.clients ?? {})
      const oauth = grant.oauth && { ...grant.oauth, ...heldTokens(issued.value, draft.scopes) }
      return { ...grant, uid: now.uid, oauth }
    })
    if (kept?.oauth?.tokens === undefined) return err('the grant was taken back meanwhile; start it again')
    deps.changed(kept)
    return ok(undefined)
  }

  return { start, finish }
}

function scopesFor(
  { scopes }: StartRequest,
  { challenge, resource, authorizationServer }: Found,
  known: OAuthState | undefined,
): readonly string[] {
  const same = known?.authorizationServer.issuer === authorizationServer.issuer
  return chooseScopes({
    given: scopes,
    challenged: [...challenge.scopes, ...(same ? known.demanded : [])],
    resource: resource.scopes,
    authorizationServer: authorizationServer.scopes_supported,
    before: same ? known.requested : [],
  })
}

/** A grant of which everything is known but what the authorization server will issue. */
const waitingGrant = (draft: Draft, nowMs: number, clients: Readonly<Record<string, HeldClient>>): Grant => ({
  ...draft.key,
  uid: '',
  server: draft.server,
  origins: draft.origins,
  source: 'browser',
  values: {},
  settings: {},
  expiresAtMs: undefined,
  oauth: {
    resource: draft.resource,
    authorizationServer: draft.authorizationServer,
    clients,
    requested: draft.scopes,
    granted: [],
    tokens: undefined,
    demanded: [],
  },
  trouble: undefined,
  refreshed: undefined,
  givenAtMs: nowMs,
  renewing: undefined,
  version: 0,
})

const heldClient = (client: OAuthClient): HeldClient => ({
  ...client,
  secret: client.secret === undefined ? undefined : justIssued(client.secret),
})

/** Of what strangers say, and so no bug of ours. */
function must<T>(result: Result<T, string>): T {
  if (result.ok) return result.value
  throw new Fault('upstream_invalid', { hint: result.error })
}
