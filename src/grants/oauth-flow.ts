import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { mintUid } from '../lib/id.ts'
import type { Log } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { sameText } from '../lib/same-text.ts'
import { SecretValue } from '../lib/secret-value.ts'
import type { OAuthClient } from '../oauth/client/authorization-server.ts'
import { checkCallback, mintState, requestAuthorization } from '../oauth/client/authorization.ts'
import { startDevice, waitForDevice, type DeviceLeg } from '../oauth/client/device.ts'
import type { Fetcher } from '../oauth/client/guarded-fetch.ts'
import { readPastedAnswer } from '../oauth/client/pasted-answer.ts'
import { identifyClient } from '../oauth/client/registration.ts'
import { resolve, type Resolved } from '../oauth/client/resolve.ts'
import { chooseScopes } from '../oauth/client/scopes.ts'
import {
  hostsOf,
  type OAuthFlags,
  type OAuthSettings,
  type SettingSources,
} from '../oauth/client/settings.ts'
import type { Issued, TokenFailure } from '../oauth/client/token-answer.ts'
import { exchangeCode } from '../oauth/client/token-endpoint.ts'
import type { TokenSource } from '../oauth/client/token-source.ts'

import type { Attempts, Draft, StartPage } from './attempts.ts'
import { heldClient, heldTokens, mayBeShown, openClient, waitingGrant } from './authorized-grant.ts'
import { readGrantId } from './grant-id.ts'
import type { Grant, GrantKey, OAuthState, Source } from './grant.ts'
import { SHARED } from './holder.ts'
import type { Keeper } from './keeper.ts'
import { findRegistration, keepRegistration } from './registrations.ts'
import { isForExchange } from './report.ts'
import type { Recorded } from './recorded.ts'
import { forgetUnknownClient } from './unknown-client.ts'

export interface StartRequest {
  readonly key: GrantKey
  /** What it is for: a Server, or an address alone. */
  readonly server: string | undefined
  readonly url: string
  readonly flags: OAuthFlags
  /** Key of the principal. */
  readonly startedBy: string
  /** Where it was started in a browser: it ends in the same one, or not at all. */
  readonly page?: StartPage
}

/** An answer that a browser has brought back. */
export interface BroughtBack {
  /** What the browser shows; it has to be what `StartPage.browser` says. */
  readonly browser: string | undefined
  /** Does what is left, on the record. */
  readonly onRecord: (
    draft: Pick<Draft, 'key' | 'startedBy' | 'page'>,
    work: () => Promise<Ended>,
  ) => Promise<Ended>
}

type Ended = Result<GrantKey, string>

export interface Arrival {
  readonly ended: Ended
  /** Where it was started. */
  readonly at: string | undefined
}

export interface Started {
  readonly attempt: string
  /** For the browser of the user; undefined with a device code. */
  readonly authorizeUrl: string | undefined
  readonly device: ShownDevice | undefined
  readonly redirectUri: string
  readonly issuer: string
  readonly scopes: readonly string[]
  /** Who has said what. */
  readonly from: SettingSources
}

/** What a user does at another device (RFC 8628). */
export interface ShownDevice {
  readonly userCode: string
  readonly verificationUrl: string
  readonly verificationUrlComplete: string | undefined
  readonly expiresInSeconds: number
}

/** Authorizations: somebody is sent to an authorization server, and comes back with an answer. */
export interface OAuthFlow {
  /** @throws Fault when the server or its authorization server cannot be used, or what was given contradicts itself */
  start(request: StartRequest): Promise<Started>
  /**
   * Whom an authorization would go to and what it would ask for, with nothing started.
   *
   * @throws Fault as `start`
   */
  preview(request: Pick<StartRequest, 'key' | 'url' | 'flags'>): Promise<Pick<Started, 'issuer' | 'scopes'>>
  /**
   * The answer to an authorization that was started on a command line.
   *
   * @param qualifier of the callback address; undefined: it came another way
   */
  finish(qualifier: string | undefined, answer: URLSearchParams): Promise<Ended>
  /** The answer that the browser brings back. */
  arrive(qualifier: string, answer: URLSearchParams, back: BroughtBack): Promise<Arrival>
  /** The address at which the browser of the user ended, where it could not reach us: the answer to this attempt. */
  paste(attempt: string, text: string): Promise<Result<GrantKey, string>>
  close(): void
}

export interface OAuthFlowDeps {
  readonly keeper: Keeper
  readonly attempts: Attempts
  readonly clock: Clock
  readonly log: Log
  /** @param hosts that a user has named, wherever they are */
  readonly fetcherFor: (origin: string, hosts: readonly string[]) => Fetcher
  /** Where browsers reach this daemon, without a slash at the end. */
  readonly publicOrigin: () => string
  /** `oauth/NAME.yaml` of the home. @throws Fault `invalid` when it cannot be read as one */
  readonly fileOf: (name: string) => Promise<OAuthSettings | undefined>
  readonly recorded: Recorded
  readonly changed: (grant: Grant) => void
}

const MAX_CLIENTS = 16

interface Prepared {
  readonly draft: Draft
  readonly client: OAuthClient
  readonly found: Resolved
  readonly known: OAuthState | undefined
}

/** What is found before anybody is told of us. */
interface Looked extends Pick<Prepared, 'found' | 'known'>, Pick<Draft, 'hosts' | 'origins' | 'scopes'> {
  readonly name: string
  readonly fetcher: Fetcher
}

export function createOAuthFlow(deps: OAuthFlowDeps): OAuthFlow {
  const { keeper, attempts, clock, log } = deps
  const ending = new AbortController()

  async function start(request: StartRequest): Promise<Started> {
    const prepared = await prepare(request)
    const { draft, client, found } = prepared
    const { device } = request.flags
    const begun = device === true ? await beginDevice(prepared) : await beginBrowser(prepared)
    log.info({ grant: draft.key.name, server: draft.server }, 'an authorization was started')
    return {
      ...begun,
      redirectUri: client.redirectUri,
      issuer: draft.authorizationServer.issuer,
      scopes: draft.scopes,
      from: found.from,
    }
  }

  async function look({ key, url, flags }: Pick<StartRequest, 'key' | 'url' | 'flags'>): Promise<Looked> {
    const { origin, hostname } = new URL(url)
    const name = readGrantId(key.name).qualifier ?? ''
    const file = await deps.fileOf(name)
    // That of the server stays one of them wherever the grant may be sent later.
    const hosts = [...new Set([hostname, ...hostsOf(flags), ...(file === undefined ? [] : hostsOf(file))])]
    const fetcher = deps.fetcherFor(origin, hosts)
    const before = await keeper.reload(key)
    const known = before?.origins.includes(origin) === true ? before.oauth : undefined
    const preferred = known?.authorizationServer.issuer
    const resolved = await resolve({ serverUrl: url, flags, file, preferred }, fetcher)
    if (!resolved.ok) throw refusal(resolved.error)
    const found = resolved.value
    const origins = known === undefined ? [origin] : (before?.origins ?? [origin])
    return { name, hosts, fetcher, known, found, origins, scopes: scopesFor(found, known) }
  }

  async function prepare(request: StartRequest): Promise<Prepared> {
    const { key, server, flags, startedBy, page } = request
    const { name, hosts, fetcher, known, found, origins, scopes } = await look(request)
    const { authorizationServer, resource } = found
    const redirectUri = `${deps.publicOrigin()}/oauth/callback/${name}`
    const { issuer } = authorizationServer
    const own = known?.clients[issuer]
    const ours = own === undefined ? await knownAs(request, issuer, redirectUri) : openClient(own)
    const remembered = ours !== undefined && mayBeShown(ours, flags) ? ours : undefined
    const client = await identifyClient(
      authorizationServer,
      {
        given: found.client,
        document: flags.clientMetadataUrl,
        remembered,
        redirectUri,
        scopes,
        nowMs: clock.nowMs(),
      },
      fetcher,
    )
    if (!client.ok) throw refusal([client.error])
    if (client.value.from === 'registration' && client.value.clientId !== remembered?.clientId) {
      await noteRegistration(key, server)
      await keepRegistration(keeper, issuer, client.value, clock.nowMs())
    }
    const { clientId } = client.value
    const about = { key, server, origins, hosts, startedBy, page, resource, authorizationServer }
    const draft: Draft = { ...about, clientId, scopes, redirectUri, verifier: '' }
    return { draft, client: client.value, found, known }
  }

  /** What an operator has given for everybody is good for each, and nobody is registered twice. */
  async function knownAs(
    { key, url }: Pick<StartRequest, 'key' | 'url'>,
    issuer: string,
    redirectUri: string,
  ): Promise<OAuthClient | undefined> {
    const shared = key.holder === SHARED ? undefined : await keeper.reload({ ...key, holder: SHARED })
    // One that exchanges sign-ins was registered for that, and not for people who come back from there.
    const isTheirs = shared?.origins.includes(new URL(url).origin) === true && !isForExchange(shared)
    const given = isTheirs ? shared.oauth?.clients[issuer] : undefined
    return given?.from === 'user' ? openClient(given) : findRegistration(keeper, issuer, redirectUri)
  }

  /** We are known to somebody from here on. */
  async function noteRegistration(
    { holder, profile, name }: GrantKey,
    server: string | undefined,
  ): Promise<void> {
    const what = { doing: 'register', holder, profile, name, server } as const
    const noted = await deps.recorded(what, () => Promise.resolve(ok(undefined)))
    if (!noted.ok) throw new Fault('unavailable', { hint: noted.error.message })
  }

  async function beginBrowser(
    prepared: Prepared,
  ): Promise<Pick<Started, 'attempt' | 'authorizeUrl' | 'device'>> {
    const { draft, client } = prepared
    const { scopes, resource, authorizationServer } = draft
    const leg = requestAuthorization(authorizationServer, client, { scopes, resource: resource.identifier })
    if (!leg.ok) throw refusal([leg.error])
    await remember(prepared, 'browser')
    const attempt = await attempts.add(leg.value.state, { ...draft, verifier: leg.value.verifier.reveal() })
    return { attempt, authorizeUrl: leg.value.url, device: undefined }
  }

  async function beginDevice(
    prepared: Prepared,
  ): Promise<Pick<Started, 'attempt' | 'authorizeUrl' | 'device'>> {
    const { draft, client } = prepared
    const source = sourceFor(draft, client)
    const leg = await startDevice(source, draft.scopes)
    if (!leg.ok) throw refusal([leg.error])
    await remember(prepared, 'device')
    const state = mintState()
    const attempt = await attempts.add(state, draft)
    void followDevice(state, source, leg.value)
    const { userCode, verificationUrl, verificationUrlComplete, lifeMs } = leg.value
    const device = { userCode, verificationUrl, verificationUrlComplete, expiresInSeconds: lifeMs / 1000 }
    return { attempt, authorizeUrl: undefined, device }
  }

  /** In this process: when it ends, somebody has to start again. */
  async function followDevice(state: string, source: TokenSource, leg: DeviceLeg): Promise<void> {
    try {
      const issued = await waitForDevice(source, leg, {
        tickMs: clock.tickMs,
        sleep: (ms, signal) => sleep(ms, undefined, { signal, ref: false }),
        signal: ending.signal,
      })
      const attempt = await attempts.take(state)
      if (attempt === undefined) return
      const { id, draft } = attempt
      await settled(id, draft, () =>
        issued.ok ? keepIssued(draft, issued.value, 'device') : Promise.resolve(issued),
      )
    } catch (thrown) {
      if (!ending.signal.aborted) log.error({ err: thrown }, 'waiting for a device code met a bug')
    }
  }

  /** The client that was registered is remembered even when nobody finishes; a grant that works goes on working. */
  async function remember({ draft, client, known }: Prepared, source: Source): Promise<void> {
    const clients = {
      ...Object.fromEntries(Object.entries(known?.clients ?? {}).slice(-MAX_CLIENTS)),
      [draft.authorizationServer.issuer]: heldClient(client),
    }
    await keeper.update(draft.key, (stored) => {
      if (stored?.oauth?.tokens !== undefined && known !== undefined)
        return { ...stored, oauth: { ...stored.oauth, clients: { ...stored.oauth.clients, ...clients } } }
      const uid = stored?.uid ?? mintUid('grt', clock.nowMs())
      return waitingGrant(draft, { uid, nowMs: clock.nowMs(), clients, source })
    })
  }

  async function arrive(
    qualifier: string | undefined,
    answer: URLSearchParams,
    { id: only, browser, onRecord }: BroughtBack & { readonly id?: string | undefined },
  ): Promise<Arrival> {
    const attempt = await attempts.take(answer.get('state') ?? '', only)
    const isHere =
      qualifier === undefined || qualifier === readGrantId(attempt?.draft.key.name ?? '').qualifier
    if (attempt === undefined || !isHere)
      return {
        ended: err('this answer belongs to no authorization that is under way; start it again'),
        at: undefined,
      }
    const { id, draft } = attempt
    const isSameBrowser = draft.page === undefined || sameText(draft.page.browser, browser ?? '')
    const finished = async (): Promise<Ended> =>
      settled(id, draft, () => (isSameBrowser ? complete(draft, answer) : Promise.resolve(err(ELSEWHERE))))
    return { ended: await onRecord(draft, finished), at: isSameBrowser ? draft.page?.at : undefined }
  }

  const finish = async (
    qualifier: string | undefined,
    answer: URLSearchParams,
    id?: string,
  ): Promise<Ended> =>
    (await arrive(qualifier, answer, { id, browser: undefined, onRecord: (_draft, work) => work() })).ended

  async function settled(
    id: string,
    { key }: Draft,
    work: () => Promise<Result<void, string>>,
  ): Promise<Ended> {
    const done = await work().catch(async (thrown: unknown) => {
      await attempts.settle(id, {
        state: 'failed',
        problem: 'the daemon could not keep it; its log says why',
      })
      throw thrown
    })
    await attempts.settle(id, done.ok ? { state: 'done' } : { state: 'failed', problem: done.error })
    log.info({ grant: key.name, ok: done.ok }, 'an authorization has ended')
    return done.ok ? ok(key) : done
  }

  async function complete(draft: Draft, answer: URLSearchParams): Promise<Result<void, string>> {
    const { key, authorizationServer } = draft
    const checked = checkCallback(authorizationServer, answer)
    if (!checked.ok) return checked
    const stored = await keeper.reload(key)
    const client = stored?.oauth?.clients[authorizationServer.issuer]
    if (stored === undefined || client === undefined || client.clientId !== draft.clientId) return err(GONE)
    const leg = { state: answer.get('state') ?? '', verifier: new SecretValue(draft.verifier) }
    const source = sourceFor(draft, { ...openClient(client), redirectUri: draft.redirectUri })
    const issued = await exchangeCode(source, leg, answer)
    if (issued.ok) return keepIssued(draft, issued.value, 'browser')
    return err(await refusedBy(stored, authorizationServer.issuer, issued.error))
  }

  async function refusedBy(stored: Grant, issuer: string, failure: TokenFailure): Promise<string> {
    await forgetUnknownClient(keeper, stored, issuer, failure)
    return failure.message
  }

  async function keepIssued(draft: Draft, issued: Issued, source: Source): Promise<Result<void, string>> {
    const kept = await keeper.update(draft.key, (now) => {
      if (now?.oauth === undefined || isOfAnother(now.oauth, draft)) return undefined
      const { uid, origins } = now
      const { clients } = now.oauth
      // It may have been bound elsewhere while its user was away.
      const grant = { ...waitingGrant(draft, { uid, nowMs: clock.nowMs(), clients, source }), origins }
      return { ...grant, oauth: grant.oauth && { ...grant.oauth, ...heldTokens(issued, draft.scopes) } }
    })
    if (kept?.oauth?.tokens === undefined) return err(GONE)
    deps.changed(kept)
    return ok(undefined)
  }

  const sourceFor = (draft: Draft, client: OAuthClient): TokenSource => ({
    authorizationServer: draft.authorizationServer,
    client,
    resource: draft.resource.identifier,
    fetcher: deps.fetcherFor(draft.origins[0] ?? '', draft.hosts),
    nowMs: clock.nowMs,
  })

  return {
    start,
    async preview(request) {
      const { found, scopes } = await look(request)
      return { issuer: found.authorizationServer.issuer, scopes }
    },
    arrive,
    finish: (qualifier, answer) => finish(qualifier, answer),
    async paste(attempt, text) {
      const callback = `${deps.publicOrigin()}/oauth/callback/`
      const qualifier = text.trim().startsWith(callback)
        ? /^[a-z0-9-]{1,40}/.exec(text.trim().slice(callback.length))?.[0]
        : undefined
      const answer = readPastedAnswer(text, `${callback}${qualifier ?? 'NAME'}`)
      return answer.ok ? finish(qualifier, answer.value, attempt) : answer
    },
    close: () => ending.abort(),
  }
}

const ELSEWHERE = 'it was started in another browser, and ends in that one only; start it again in this one'
const GONE = 'the grant was taken back or started anew meanwhile; start it again'

/** It was started anew for something else: what was issued for one server is not kept as the token of another. */
const isOfAnother = ({ tokens, resource }: OAuthState, draft: Draft): boolean =>
  tokens === undefined && resource.identifier !== draft.resource.identifier

function scopesFor(
  { scopes, challenge, resource, authorizationServer }: Resolved,
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

/** Of what strangers say, or a user has given: no bug of ours. */
function refusal(problems: readonly string[]): Fault {
  const [only] = problems
  const isGiven = problems.length > 1 || only?.startsWith('--') === true || / in the file: /.test(only ?? '')
  return isGiven ? new Fault('invalid', { problems }) : new Fault('upstream_invalid', { hint: only ?? '' })
}
