import { Fault } from '../lib/fault.ts'
import { mintUid } from '../lib/id.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { identifyClient } from '../oauth/client/registration.ts'
import { resolve, type Resolved } from '../oauth/client/resolve.ts'
import { chooseScopes } from '../oauth/client/scopes.ts'
import { hostsOf, isByHand, mergeSettings, type OAuthFlags } from '../oauth/client/settings.ts'
import { EXCHANGE, exchangesTokens } from '../oauth/client/token-exchange.ts'
import { heldClient, mayBeShown, openClient } from './authorized-grant.ts'
import { readGrantId } from './grant-id.ts'
import type { Grant, GrantKey, HeldClient, OAuthState } from './grant.ts'
import type { OAuthFlowDeps, Started } from './oauth-flow.ts'

export interface PrepareRequest {
  /** Of everybody's grant. */
  readonly key: GrantKey
  readonly server: string | undefined
  readonly url: string
  readonly flags: OAuthFlags
  /** What is shown of a sign-in. */
  readonly subject: 'id_token' | 'access_token'
  /** How the authorization server calls what tokens are for, where `resource` does not tell it. */
  readonly audience: string | undefined
}

/** What there is to say of a grant that nobody has to authorize. */
export type PreparedExchange = Pick<Started, 'issuer' | 'scopes' | 'from'>

/**
 * Where, and as which client, sign-ins of callers are exchanged (RFC 8693): kept as the grant that all share, without a
 * token in it.
 *
 * @throws Fault `invalid`, `upstream_invalid`
 */
export async function prepareExchange(
  deps: Pick<OAuthFlowDeps, 'keeper' | 'clock' | 'fetcherFor' | 'fileOf' | 'publicOrigin'>,
  { key, server, url, flags, subject, audience }: PrepareRequest,
): Promise<PreparedExchange> {
  const { keeper } = deps
  const { origin } = new URL(url)
  const name = readGrantId(key.name).qualifier ?? ''
  const file = await deps.fileOf(name)
  const idle = withoutEffect(flags)
  if (idle.length > 0) throw new Fault('invalid', { problems: idle })
  const byHand = isByHand(mergeSettings(flags, file ?? {}).settings, false)
  const hosts = [...new Set([...hostsOf(flags), ...(file === undefined ? [] : hostsOf(file))])]
  const fetcher = deps.fetcherFor(origin, hosts)
  const before = await keeper.reload(key)
  const known = before?.origins.includes(origin) === true ? before.oauth : undefined
  const preferred = known?.authorizationServer.issuer
  // Codes, and so PKCE, have no part in it.
  const asked = byHand ? flags : { ...flags, allowWithoutPkceAdvertised: true }
  const resolved = await resolve({ serverUrl: url, flags: asked, file, preferred }, fetcher)
  if (!resolved.ok) throw new Fault('upstream_invalid', { problems: resolved.error })
  const found = serverOf(resolved.value, byHand)
  if (!found.ok) throw new Fault('upstream_invalid', { hint: found.error })
  const redirectUri = `${deps.publicOrigin()}/oauth/callback/${name}`
  const client = await clientOf(deps, found.value, { known, redirectUri, fetcher, flags })
  if (!client.ok) throw new Fault('invalid', { problems: [client.error] })
  const state = stateOf(found.value, client.value, hosts)
  const settings = { exchange: subject, ...(audience === undefined ? {} : { audience }) }
  await keeper.update(key, (stored) =>
    preparedGrant({ key, server, origin, settings, oauth: state, nowMs: deps.clock.nowMs() }, stored),
  )
  return { issuer: state.authorizationServer.issuer, scopes: state.requested, from: found.value.from }
}

function withoutEffect({ device, deviceUrl, clientMetadataUrl, allowWithoutPkceAdvertised }: OAuthFlags) {
  const given = { device, deviceUrl, clientMetadataUrl, allowWithoutPkceAdvertised }
  return Object.entries(given).flatMap(([name, value]) =>
    value === undefined || value === false
      ? []
      : [`${name}: has no effect with an exchange, which nobody authorizes`],
  )
}

/** Who gives the endpoints by hand says that it exchanges tokens; else its metadata has to. */
function serverOf(found: Resolved, byHand: boolean): Result<Resolved, string> {
  if (byHand)
    return ok({
      ...found,
      authorizationServer: { ...found.authorizationServer, grant_types_supported: [EXCHANGE] },
    })
  return exchangesTokens(found.authorizationServer)
    ? ok(found)
    : err(
        'the authorization server does not say that it exchanges tokens (RFC 8693); where it does all the same, give its endpoints by hand: --auth-url and --token-url',
      )
}

async function clientOf(
  { clock }: Pick<OAuthFlowDeps, 'clock'>,
  { client: given, authorizationServer, scopes = [] }: Resolved,
  {
    known,
    redirectUri,
    fetcher,
    flags,
  }: {
    readonly known: OAuthState | undefined
    readonly redirectUri: string
    readonly fetcher: ReturnType<OAuthFlowDeps['fetcherFor']>
    readonly flags: OAuthFlags
  },
): Promise<Result<HeldClient, string>> {
  const kept = known?.clients[authorizationServer.issuer]
  const ours = kept && openClient(kept)
  const remembered = ours !== undefined && mayBeShown(ours, flags) ? ours : undefined
  if (given === undefined && remembered?.from !== 'user')
    return err('clientId: an exchange takes a client that you registered for it: --client-id')
  const client = await identifyClient(
    authorizationServer,
    {
      given,
      document: undefined,
      remembered,
      redirectUri,
      scopes,
      nowMs: clock.nowMs(),
    },
    fetcher,
  )
  return client.ok ? ok(heldClient(client.value)) : client
}

const stateOf = (
  { authorizationServer, resource, challenge, scopes }: Resolved,
  client: HeldClient,
  hosts: readonly string[],
): OAuthState => ({
  resource,
  authorizationServer,
  hosts,
  clients: { [authorizationServer.issuer]: client },
  requested: chooseScopes({
    given: scopes,
    challenged: challenge.scopes,
    resource: resource.scopes,
    authorizationServer: authorizationServer.scopes_supported,
    before: [],
  }).filter((scope) => scope !== 'offline_access' && scope !== 'openid'),
  granted: [],
  tokens: undefined,
  demanded: [],
})

interface About {
  readonly key: GrantKey
  readonly server: string | undefined
  readonly origin: string
  readonly settings: Readonly<Record<string, string>>
  readonly oauth: OAuthState
  readonly nowMs: number
}

/** One that is authorized besides goes on working, where it is renewed at the place that it came from. */
function preparedGrant(
  { key, server, origin, settings, oauth, nowMs }: About,
  stored: Grant | undefined,
): Grant {
  const { issuer, token_endpoint } = oauth.authorizationServer
  const before = stored?.oauth?.authorizationServer
  const same = before?.issuer === issuer && before.token_endpoint === token_endpoint
  if (same && stored?.oauth?.tokens !== undefined && stored.origins.includes(origin))
    return {
      ...stored,
      settings: { ...stored.settings, ...settings },
      oauth: {
        ...stored.oauth,
        authorizationServer: oauth.authorizationServer,
        clients: { ...stored.oauth.clients, ...oauth.clients },
      },
    }
  return {
    ...key,
    uid: stored?.uid ?? mintUid('grt', nowMs),
    server,
    origins: [origin],
    source: 'exchange',
    values: {},
    settings,
    expiresAtMs: undefined,
    oauth,
    trouble: undefined,
    refreshed: undefined,
    givenAtMs: nowMs,
    renewing: undefined,
    version: 0,
  }
}
