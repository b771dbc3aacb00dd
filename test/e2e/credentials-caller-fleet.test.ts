import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startOidcProvider, type OidcProvider } from '../fixtures/oidc-provider.ts'
import { startResourceProvider, type ResourceProvider } from '../fixtures/resource-provider.ts'
import { allAtOnce, failed, whoami } from './credentials-harness.ts'
import { startFleet, type Fleet } from './fleet-harness.ts'
import { createToken, endpoint, httpServer, project, until, type Access } from './gateway-harness.ts'
import { ask, connectProvider, signInBy } from './sign-in-harness.ts'

/* Somebody signs in at one daemon, and calls come to another: what came with the sign-in is there for all of them. */

let company: OidcProvider
let partner: ResourceProvider
let fleet: Fleet
let token: string
let credential: string

const at = (daemon: { readonly origin: string }): Access => ({
  url: endpoint(daemon as Fleet['a'], 'demo', 'notes'),
  token,
})

beforeAll(async () => {
  const ada = { email: 'ada@example.com', email_verified: true }
  company = await startOidcProvider({ accounts: { ada }, offline: true })
  company.setLife(4)
  partner = await startResourceProvider({
    trusts: { issuer: company.issuer, clientId: company.clientId },
    clients: [{ clientId: 'gateway', secret: 'secret-of-the-gateway-client' }],
  })
  fleet = await startFleet()
  const { a } = fleet
  await connectProvider(a, company, { keepTokens: true })
  await a.apply([
    httpServer('notes', partner.url, { auth: { grant: 'oauth:notes', whose: 'caller' } }),
    project('demo', ['notes']),
  ])
  await a.call('POST', '/api/v1/grants', {
    name: 'notes',
    server: 'notes',
    clientId: 'gateway',
    clientSecret: 'secret-of-the-gateway-client',
    exchange: { subject: 'access_token' },
  })
  credential = String((await signInBy(a.origin, 'corp', 'ada')).body['credential'])
  const owner = { kind: 'User', name: 'ada@example.com' }
  const bindings = [{ role: 'run', resource: '*' }]
  await a.apply([{ kind: 'RoleBinding', metadata: { name: 'ada' }, spec: { subjects: [owner], bindings } }])
  token = await createToken(a, 'demo', 'agent', { owner, bindings })
})
afterAll(async () => {
  await fleet?.end()
  await partner?.close()
  await company?.close()
})

const works = (access: Access) => async (): Promise<boolean> => {
  const who = await whoami(access)
  return typeof who !== 'string' && who.subject === 'ada'
}

test('a daemon at which nobody has signed in shows the sign-in of another', async () => {
  const { a, b } = fleet
  await until('b knows of it', works(at(b)))
  expect(await works(at(a))()).toBe(true)
  expect(partner.last('exchange').get('subject_token_type')).toBe(
    'urn:ietf:params:oauth:token-type:access_token',
  )
})

test('a refresh token that is good for one use is used once by both, and then the next one', async () => {
  const { a, b } = fleet
  const before = company.count('/token')
  for (let round = 1; round <= 2; round++) {
    await sleep(2500)
    partner.expire()
    expect(failed(await allAtOnce(20, at(a), at(b)))).toEqual([])
    expect(company.count('/token')).toBe(before + round)
  }
})

test('a daemon that comes later has it too; whoever signs out has it nowhere', async () => {
  const { a, b } = fleet
  const later = await fleet.another()
  expect(await works(at(later))()).toBe(true)
  await ask(b.origin, ['POST', '/api/v1/auth/logout'], undefined, credential)
  for (const daemon of [a, b, later])
    await until('nothing is sent', async () => !(await works(at(daemon))()), 2000)
  await until('it is taken back at the provider', () => company.count('/token/revocation') > 0)
})
