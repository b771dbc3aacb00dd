import { err, ok, type Result } from '../../lib/result.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { browserAddress } from './authorization.ts'
import { loadLibrary, throughFetcher } from './library.ts'
import { failureOf, readAnswer, type Issued } from './token-answer.ts'
import { requestTokens } from './token-endpoint.ts'
import { parametersOf, type TokenSource } from './token-source.ts'

/** Between the device authorization request and its end (RFC 8628). */
export interface DeviceLeg {
  readonly deviceCode: SecretValue
  /** For the user to type; visible ASCII. */
  readonly userCode: string
  /** Where; https, or http on loopback. */
  readonly verificationUrl: string
  /** The same with the code in it, where the authorization server has one. */
  readonly verificationUrlComplete: string | undefined
  /** From its answer on. */
  readonly lifeMs: number
  /** To be waited between two questions. */
  readonly intervalMs: number
}

export type DeviceAnswer =
  | { readonly state: 'issued'; readonly issued: Issued }
  /** `slower`: the interval grows by 5 s from here on. `away`: it doubles (RFC 8628, 3.5). */
  | { readonly state: 'waiting'; readonly pace: 'same' | 'slower' | 'away' }
  /** One public sentence. */
  | { readonly state: 'failed'; readonly problem: string }

/** What it takes to wait; as parameters, so that a test does not. */
export interface Waiting {
  readonly tickMs: () => number
  /** @throws when the signal is aborted */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  readonly signal: AbortSignal
}

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:device_code'
const TIMEOUT_MS = 10_000
const MAX_LIFE_SECONDS = 1800
const DEFAULT_INTERVAL_SECONDS = 5
const MAX_INTERVAL_SECONDS = 60

/**
 * Asks for a code that the user types at another device.
 *
 * @returns one public sentence where there is no such way, or its answer cannot be used
 */
export async function startDevice(
  source: TokenSource,
  scopes: readonly string[],
): Promise<Result<DeviceLeg, string>> {
  if (source.authorizationServer.device_authorization_endpoint === undefined)
    return err(
      'the authorization server has no device codes; leave out --device, and paste the address that the browser ends at',
    )
  const library = await loadLibrary()
  const { server, client, authentication } = parametersOf(library, source)
  const parameters = new URLSearchParams({ resource: source.resource })
  if (scopes.length > 0) parameters.set('scope', scopes.join(' '))
  const options = throughFetcher(library, source.fetcher, TIMEOUT_MS, readDeviceAnswer)
  try {
    const response = await library.deviceAuthorizationRequest(
      server,
      client,
      authentication,
      parameters,
      options,
    )
    return legOf(await library.processDeviceAuthorizationResponse(server, client, response))
  } catch (thrown) {
    const { code, final } = failureOf(thrown)
    if (code !== undefined) return err(`the authorization server refused to give a device code (${code})`)
    return err(final ? 'the authorization server refused to give a device code' : UNUSABLE)
  }
}

const UNUSABLE =
  'the answer of the authorization server holds no device code that can be used; try again, or leave out --device'

const FIELDS = ['device_code', 'user_code', 'verification_uri_complete'] as const

/** Numbers within bounds; the name that drafts of the RFC had for `verification_uri` is still in use. */
const readDeviceAnswer = (answer: Response): Promise<Response> =>
  readAnswer(answer, 'device_code', (body) => {
    const between = (value: unknown, most: number, otherwise: number): number =>
      typeof value === 'number' && value > 0 ? Math.min(Math.max(1, value), most) : otherwise
    return {
      ...Object.fromEntries(FIELDS.flatMap((name) => (body[name] === null ? [] : [[name, body[name]]]))),
      verification_uri: body['verification_uri'] ?? body['verification_url'],
      expires_in: between(body['expires_in'], MAX_LIFE_SECONDS, MAX_LIFE_SECONDS),
      interval: between(body['interval'], MAX_INTERVAL_SECONDS, DEFAULT_INTERVAL_SECONDS),
    }
  })

/** What is shown to the user comes from a stranger: a terminal must survive it, and a browser too. */
function legOf(answer: {
  readonly device_code: string
  readonly user_code: string
  readonly verification_uri: string
  readonly verification_uri_complete?: string
  readonly expires_in: number
  readonly interval?: number
}): Result<DeviceLeg, string> {
  const { device_code, user_code, verification_uri_complete: complete } = answer
  const address = safeAddress(answer.verification_uri)
  const isGood =
    device_code.length <= 4096 && /^[\x21-\x7e]+$/.test(device_code) && /^[\x21-\x7e]{1,64}$/.test(user_code)
  if (!isGood || address === undefined) return err(UNUSABLE)
  return ok({
    deviceCode: new SecretValue(device_code),
    userCode: user_code,
    verificationUrl: address,
    verificationUrlComplete: complete === undefined ? undefined : safeAddress(complete),
    lifeMs: answer.expires_in * 1000,
    intervalMs: (answer.interval ?? DEFAULT_INTERVAL_SECONDS) * 1000,
  })
}

const safeAddress = (text: string): string | undefined =>
  text.length <= 2048 ? browserAddress(text)?.href : undefined

/** Asks once whether the user has agreed. */
export async function askDevice(source: TokenSource, leg: DeviceLeg): Promise<DeviceAnswer> {
  const issued = await requestTokens(source, GRANT_TYPE, { device_code: leg.deviceCode })
  if (issued.ok) return { state: 'issued', issued: issued.value }
  const { code, final, message } = issued.error
  if (code === 'authorization_pending') return { state: 'waiting', pace: 'same' }
  if (code === 'slow_down') return { state: 'waiting', pace: 'slower' }
  if (code === 'access_denied') return { state: 'failed', problem: 'the authorization was denied' }
  if (code === 'expired_token') return { state: 'failed', problem: EXPIRED }
  return final ? { state: 'failed', problem: message } : { state: 'waiting', pace: 'away' }
}

const EXPIRED = 'nobody has typed the code in time; start it again'

/** Asks until the user has agreed or refused, or the code is over; at the pace that the authorization server wants. */
export async function waitForDevice(
  source: TokenSource,
  leg: DeviceLeg,
  { tickMs, sleep, signal }: Waiting,
): Promise<Result<Issued, string>> {
  const end = tickMs() + leg.lifeMs
  let intervalMs = leg.intervalMs
  while (tickMs() + intervalMs <= end) {
    await sleep(intervalMs, signal)
    const answer = await askDevice(source, leg)
    if (answer.state === 'issued') return ok(answer.issued)
    if (answer.state === 'failed') return err(answer.problem)
    if (answer.pace === 'slower') intervalMs += DEFAULT_INTERVAL_SECONDS * 1000
    if (answer.pace === 'away') intervalMs = Math.min(intervalMs * 2, MAX_INTERVAL_SECONDS * 1000)
  }
  return err(EXPIRED)
}
