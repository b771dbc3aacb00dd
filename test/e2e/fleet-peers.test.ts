import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { hostname } from 'node:os'
import { text as readText } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openOfflineKey } from '../../src/main/keys/offline-keys.ts'
import { createPeerSigner, digestOf, type PeerClaim, type PeerSigner } from '../../src/main/peers/sign.ts'
import { deriveKey } from '../../src/secrets/derive-key.ts'
import { readPostgresKeys } from '../../src/store/postgres/read-keys.ts'
import { startFleet, type Fleet } from './fleet-harness.ts'
import { ok, until } from './system-harness.ts'

/* What a process serves to the others it serves to nobody else: with the key, once, in time, and meant for it. */

interface Peer {
  readonly node: string
  readonly url: string
}

let fleet: Fleet
let signer: PeerSigner
let peer: Peer

const peers = async (): Promise<readonly Peer[]> =>
  (await fleet.postgres.query('fleet', 'select node, url from peers order by node')) as Peer[]

beforeAll(async () => {
  fleet = await startFleet()
  const offline = await openOfflineKey({ home: '/', keyFile: fleet.keyFile })
  const storeKey = offline.storeKey(await readPostgresKeys(fleet.database))
  signer = createPeerSigner(deriveKey(storeKey, 'peer-mac'))
  const all = await peers()
  expect(all).toHaveLength(2)
  peer = all[0] as Peer
})
afterAll(() => fleet?.end())

const PATH = '/peer/v1/session'
const BODY = '{"do":"hello"}'

interface Attempt {
  readonly claim?: Partial<PeerClaim>
  readonly path?: string
  readonly signedPath?: string
  readonly body?: string
  readonly with?: PeerSigner
  readonly header?: string
  readonly method?: string
}

function claimFor(attempt: Attempt): PeerClaim {
  const nonce = randomBytes(16).toString('base64url')
  const base = { from: 'test', to: peer.node, atMs: Date.now(), nonce, digest: digestOf(BODY) }
  return { ...base, ...attempt.claim }
}

function attempt(what: Attempt): Promise<{ status: number; text: string }> {
  const { path = PATH, body = BODY, method = 'POST' } = what
  const header = what.header ?? (what.with ?? signer).sign(what.signedPath ?? path, claimFor(what))
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      new URL(path, peer.url),
      { method, agent: false, headers: header === '' ? {} : { 'castellan-peer': header } },
      (response) => {
        readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject)
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

test('who has the key is served, and the answer is signed as well', async () => {
  const claim = claimFor({})
  const { status, text } = await attempt({ claim })
  expect(status).toBe(200)
  const line = text.split('\n').find((one) => one !== '') ?? ''
  expect(signer.readLine({ nonce: claim.nonce, n: 0 }, line)).toBe('e')
})

// oxfmt-ignore
test.each<[string, () => Attempt, number]>([
  ['nothing signed',                  () => ({ header: '' }),                                              401],
  ['something else than a signature', () => ({ header: 'Bearer x' }),                                      401],
  ['a key of another database',       () => ({ with: createPeerSigner(randomBytes(32)) }),                 401],
  ['signed for another path',         () => ({ signedPath: '/peer/v1/park' }),                             401],
  ['another body',                    () => ({ body: '{"do":"ended","id":"x"}' }),                         401],
  ['meant for another process',       () => ({ claim: { to: 'another' } }),                                421],
  ['a minute old',                    () => ({ claim: { atMs: Date.now() - 60_000 } }),                    403],
  ['from a minute ahead',             () => ({ claim: { atMs: Date.now() + 60_000 } }),                    403],
  ['another path',                    () => ({ path: '/api/v1/status' }),                                  404],
  ['the path of an MCP endpoint',     () => ({ path: '/projects/demo/mcp' }),                              404],
  ['another method',                  () => ({ method: 'PUT' }),                                           404],
])('%s is refused', async (...row) => {
  const [, make, status] = row
  const answer = await attempt(make())
  expect(answer.status).toBe(status)
  expect(answer.text).not.toContain(peer.node)
})

test('the same request twice is served once, also when the second arrives with the first', async () => {
  const claim = claimFor({})
  const both = await Promise.all([attempt({ claim }), attempt({ claim })])
  expect(new Set(both.map(({ status }) => status))).toEqual(new Set([200, 409]))
  expect((await attempt({ claim })).status).toBe(409)
})

test('a body that is too large is not read', async () => {
  const body = 'x'.repeat(17 * 1024 * 1024)
  const answer = await attempt({ body, claim: { digest: digestOf(body) } }).catch((error: Error) => error)
  // It answers and closes: whether the answer is still read depends on the network.
  expect(answer instanceof Error ? 413 : answer.status).toBe(413)
})

test('bodies that say nothing sensible end, and the process goes on', async () => {
  const bodies = ['', 'null', '[]', '{"do":1}', '{"do":"tell"}', '{', '{"do":"ended","id":{}}', '\u0000']
  for (const path of [PATH, '/peer/v1/park']) {
    for (const body of bodies) {
      const claim = { digest: digestOf(body) }
      await attempt({ path, body, claim }).catch(() => undefined)
    }
  }
  expect((await attempt({})).status).toBe(200)
  expect((await fetch(`${fleet.a.origin}/readyz`)).status).toBe(200)
  expect((await fetch(`${fleet.b.origin}/readyz`)).status).toBe(200)
})

test('a process that ends is taken off the list; status names the others as long as they are there', async () => {
  const shown = async (): Promise<string[]> => {
    const status = await ok(['status'], { home: fleet.a.home })
    return status.split('\n').filter((line) => line.startsWith('peer:'))
  }
  const c = await fleet.another()
  expect(await peers()).toHaveLength(3)
  await until('both others are shown', async () => (await shown()).length === 2)
  for (const line of await shown())
    expect(line).toMatch(new RegExp(`^peer: +${hostname()} http://127\\.0\\.0\\.1:\\d+ alive$`))
  await c.stop()
  expect(await peers()).toHaveLength(2)
  await until('one is shown', async () => (await shown()).length === 1)
})

test('with a key of its own a daemon does not join', async () => {
  await expect(fleet.another({ keyFile: `${fleet.keyFile}.other` })).rejects.toThrow('master key')
  expect(await peers()).toHaveLength(2)
})

test('they listen on loopback unless told otherwise', async () => {
  for (const { url } of await peers()) expect(new URL(url).hostname).toBe('127.0.0.1')
})
