import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { answerOf, startStranger, type Answer, type Stranger } from '../../../test/fixtures/stranger.ts'
import { SecretValue } from '../../lib/secret-value.ts'
import { askDevice, startDevice, waitForDevice, type DeviceLeg } from './device.ts'
import { createFetcher, type Fetcher } from './guarded-fetch.ts'
import type { TokenSource } from './token-source.ts'

let stranger: Stranger
let fetcher: Fetcher
beforeAll(async () => {
  stranger = await startStranger()
  fetcher = createFetcher({ loopback: true, hosts: new Set() })
})
afterEach(() => stranger.answer({}))
afterAll(async () => {
  await fetcher.close()
  await stranger.close()
})

const source = (device = true): TokenSource => ({
  authorizationServer: {
    issuer: stranger.origin,
    token_endpoint: `${stranger.origin}/token`,
    device_authorization_endpoint: device ? `${stranger.origin}/device` : undefined,
    scopes_supported: [],
    authorization_response_iss_parameter_supported: false,
    client_id_metadata_document_supported: false,
  },
  client: {
    clientId: 'us',
    secret: undefined,
    method: 'none',
    redirectUri: 'http://127.0.0.1/',
    from: 'user',
  },
  resource: stranger.url,
  fetcher,
  nowMs: () => 1000,
})

const GOOD = {
  device_code: 'the-device-code',
  user_code: 'ABCD-EFGH',
  verification_uri: 'https://as.example/device',
  expires_in: 600,
  interval: 7,
}
const withGood = (more: object): object => Object.assign({}, GOOD, more)

async function start(answer: Answer): Promise<DeviceLeg> {
  stranger.answer({ '/device': answer })
  const leg = await startDevice(source(), ['a', 'b'])
  if (!leg.ok) throw new Error(leg.error)
  return leg.value
}

test('a code for the user, and what was asked for it', async () => {
  const leg = await start(withGood({ verification_uri_complete: 'https://as.example/device?code=ABCD-EFGH' }))
  expect(leg).toEqual({
    deviceCode: leg.deviceCode,
    userCode: 'ABCD-EFGH',
    verificationUrl: 'https://as.example/device',
    verificationUrlComplete: 'https://as.example/device?code=ABCD-EFGH',
    lifeMs: 600_000,
    intervalMs: 7000,
  })
  expect(leg.deviceCode.reveal()).toBe('the-device-code')
  expect(Object.fromEntries(stranger.last('/device'))).toEqual({
    client_id: 'us',
    resource: stranger.url,
    scope: 'a b',
  })
})

// oxfmt-ignore
test.each<readonly [string, object, Partial<DeviceLeg>]>([
  ['no interval: 5 s', { interval: undefined }, { intervalMs: 5000 }],
  ['an interval of a day: a minute', { interval: 86_400 }, { intervalMs: 60_000 }],
  ['an interval of nothing: 5 s', { interval: 0 }, { intervalMs: 5000 }],
  ['an interval of no number: 5 s', { interval: 'soon' }, { intervalMs: 5000 }],
  ['a life of a year: half an hour', { expires_in: 31_536_000 }, { lifeMs: 1_800_000 }],
  ['a life below zero: half an hour', { expires_in: -1 }, { lifeMs: 1_800_000 }],
  ['the address under its old name', { verification_uri: undefined, verification_url: 'https://old.example/' }, { verificationUrl: 'https://old.example/' }],
  ['a complete address that is a script', { verification_uri_complete: 'javascript:canary' }, { verificationUrlComplete: undefined }],
  ['nothing in its place', { verification_uri_complete: null }, { verificationUrlComplete: undefined }],
])('bounds: %s', async (_, more, expected) => {
  expect(await start(withGood(more))).toMatchObject(expected)
})

// oxfmt-ignore
test.each<readonly [string, Answer, RegExp]>([
  ['an error', answerOf(400, '{"error":"invalid_scope","error_description":"canary"}'), /refused.*\(invalid_scope\)$/],
  ['an error of its own', answerOf(400, '{"error":"canary"}'), /refused to give a device code$/],
  ['an error with the status 200', { error: 'unauthorized_client' }, /\(unauthorized_client\)$/],
  ['a challenge', answerOf(401, '{"error":"invalid_client"}', { 'www-authenticate': 'Basic realm="canary"' }), /\(invalid_client\)$/],
  ['a page', answerOf(200, '<html>canary'), /no device code/],
  ['no code', withGood({ device_code: undefined }), /no device code/],
  ['a code for the terminal', withGood({ user_code: 'canary\u001b[2J' }), /no device code/],
  ['a code of two lines', withGood({ user_code: 'canary\nrm' }), /no device code/],
  ['a long code', withGood({ user_code: 'canary'.repeat(20) }), /no device code/],
  ['a device code with line breaks', withGood({ device_code: 'canary\r\n' }), /no device code/],
  ['a page that is a script', withGood({ verification_uri: 'javascript:canary' }), /no device code/],
  ['a page that is not https', withGood({ verification_uri: 'http://canary.example/' }), /no device code/],
  ['no page', withGood({ verification_uri: undefined }), /no device code/],
  ['trouble', answerOf(503, 'canary'), /no device code/],
  ['nothing', (response) => response.destroy(), /no device code|cannot be reached/],
])('no code: %s', async (_, answer, expected) => {
  stranger.answer({ '/device': answer })
  const leg = await startDevice(source(), [])
  expect(leg).toMatchObject({ ok: false, error: expect.stringMatching(expected) as string })
  expect(JSON.stringify(leg)).not.toContain('canary')
})

test('an authorization server without device codes is not asked', async () => {
  expect(await startDevice(source(false), [])).toMatchObject({ ok: false })
})

const LEG: DeviceLeg = {
  deviceCode: new SecretValue('the-device-code'),
  userCode: 'A',
  verificationUrl: 'https://as.example/',
  verificationUrlComplete: undefined,
  lifeMs: 600_000,
  intervalMs: 5000,
}
const refusal = (error: string): Answer =>
  answerOf(400, JSON.stringify({ error, error_description: 'canary' }))

// oxfmt-ignore
test.each<readonly [string, Answer, object]>([
  ['pending', refusal('authorization_pending'), { state: 'waiting', pace: 'same' }],
  ['too fast', refusal('slow_down'), { state: 'waiting', pace: 'slower' }],
  ['denied', refusal('access_denied'), { state: 'failed', problem: 'the authorization was denied' }],
  ['over', refusal('expired_token'), { state: 'failed', problem: expect.stringContaining('start it again') as string }],
  ['a code of another', refusal('invalid_grant'), { state: 'failed', problem: expect.stringContaining('(invalid_grant)') as string }],
  ['away', answerOf(502, 'canary'), { state: 'waiting', pace: 'away' }],
  ['out of reach', (response) => response.destroy(), { state: 'waiting', pace: 'away' }],
])('%s', async (_, answer, expected) => {
  stranger.answer({ '/token': answer })
  expect(await askDevice(source(), LEG)).toEqual(expected)
})

test('waits at the pace of the authorization server, and no longer than the code lives', async () => {
  const script: readonly Answer[] = [
    refusal('authorization_pending'),
    refusal('slow_down'),
    answerOf(503, ''),
    refusal('authorization_pending'),
    { access_token: 'from-device', token_type: 'Bearer' },
  ]
  let [tick, at] = [0, 0]
  const waited: number[] = []
  const waiting = {
    tickMs: () => tick,
    sleep: (ms: number): Promise<void> => {
      stranger.answer({ '/token': script[at++] ?? refusal('authorization_pending') })
      waited.push(ms)
      tick += ms
      return Promise.resolve()
    },
    signal: new AbortController().signal,
  }
  const issued = await waitForDevice(source(), LEG, waiting)
  expect(issued.ok && issued.value.tokens.access.reveal()).toBe('from-device')
  expect(waited).toEqual([5000, 5000, 10_000, 20_000, 20_000])
  expect(Object.fromEntries(stranger.last('/token'))).toEqual({
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: 'the-device-code',
    resource: stranger.url,
    client_id: 'us',
  })
  ;[tick, at] = [0, script.length]
  expect(await waitForDevice(source(), { ...LEG, lifeMs: 12_000 }, waiting)).toMatchObject({ ok: false })
  expect(tick).toBe(10_000)
})
